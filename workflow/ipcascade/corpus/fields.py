"""The fields of texts, read twice: first all abstracts to filter, count and hash them, then those of the sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from ipcascade.corpus.applications import add_keys, positions, refuse_doubles
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import ABSTRACT, CorpusOptions
from ipcascade.corpus.reading import PartReader, kept_numbers
from ipcascade.corpus.scratch import Scratch, parts_of, ranges_of
from ipcascade.corpus.text import compose, cut_fairly, measure
from ipcascade.sources.base import Source


@dataclass(frozen=True)
class MeasureAbstracts:
    """Puts what is measured of the abstracts to learn from on disk, as the table `abstracts`.

    applications: the file of the numbers of those that may be documents, as `PartReader.keep` makes it.
    Columns: application, words (Int32) and text_hash (UInt64).
    """

    options: CorpusOptions
    applications: Path
    what: ClassVar[str] = ABSTRACT
    stage: ClassVar[str] = "abstracts"

    def __call__(self, source: Source, part: int, scratch: Scratch) -> dict[str, Any]:
        """How many abstracts of these applications there are, how many in the language, and of these long enough."""
        applications = kept_numbers(self.applications)
        with_abstract = in_language = long_enough = 0
        for batch in source.texts(ABSTRACT, part):
            add_keys(scratch, self.stage, batch["application"])
            is_wanted = positions(applications, batch["application"]).is_not_null() & batch["text"].is_not_null()
            batch = batch.filter(is_wanted)
            with_abstract += batch.height
            batch = batch.filter(_is_in_language(source, self.options))
            in_language += batch.height
            measured = pl.concat([batch.select("application"), measure(batch["text"])], how="horizontal")
            measured = measured.filter(pl.col("words") >= self.options.minimum_words)
            long_enough += measured.height
            scratch.add("abstracts", measured, parts_of(measured["application"]))
        return {"with_abstract": with_abstract, "in_language": in_language, "long_enough": long_enough}


def measure_abstracts(reader: PartReader, options: CorpusOptions, applications: np.ndarray, funnel: Funnel) -> None:
    """Put what is measured of the abstracts on disk (`MeasureAbstracts`).

    applications: sorted numbers. Raises UserError where a filter leaves nothing, and for two abstracts of one.
    """
    work = MeasureAbstracts(options, reader.keep("labelled", applications))
    table = reader.source.table_of(ABSTRACT)
    facts = reader.read(work, f"read {table} (1 of 2)")
    refuse_doubles(reader, work.stage, table)
    with_abstract, in_language, long_enough = (
        sum(fact[key] for fact in facts) for key in ("with_abstract", "in_language", "long_enough")
    )
    funnel.keep("abstract", with_abstract, None)
    if "language" in reader.source.filters:
        funnel.keep("language of the abstract", in_language, "corpus.language", options.language)
    funnel.keep("words of the abstract", long_enough, "corpus.minimum_words", options.minimum_words)


def _is_in_language(source: Source, options: CorpusOptions) -> pl.Expr:
    """Whether a text is in the language of the corpus; of a source that does not tell, all are taken to be."""
    return pl.col("language") == options.language if "language" in source.filters else pl.lit(True)


@dataclass(frozen=True)
class ReadField:
    """Puts a field of the texts of some applications on disk, as the table `field ABSTRACT`, in the order of numbers.

    Only texts in the language of the corpus. applications: as of `MeasureAbstracts`; least_words: that an abstract must
    have, None where it is known to be long enough. Columns: application and text; of abstracts document_id, too.
    """

    options: CorpusOptions
    field: str
    applications: Path
    least_words: int | None

    @property
    def what(self) -> str:
        """What is read."""
        return self.field

    @property
    def stage(self) -> str:
        """The name of the table."""
        return f"field {self.field}"

    def __call__(self, source: Source, part: int, scratch: Scratch) -> dict[str, Any]:
        """How many texts there are."""
        applications = kept_numbers(self.applications)
        texts = 0
        for batch in source.texts(self.field, part):
            add_keys(scratch, self.stage, batch["application"])
            is_wanted = positions(applications, batch["application"]).is_not_null() & batch["text"].is_not_null()
            batch = batch.filter(is_wanted).filter(_is_in_language(source, self.options))
            if self.field == ABSTRACT and self.least_words is not None:
                batch = batch.filter(measure(batch["text"])["words"] >= self.least_words)
            ids = [source.document_ids(batch).alias("document_id")] if self.field == ABSTRACT else []
            found = batch.select("application", "text", *ids)
            texts += found.height
            scratch.add(self.stage, found, ranges_of(applications, found["application"]))
        return {"texts": texts}


def read_fields(
    reader: PartReader, options: CorpusOptions, applications: np.ndarray, least_words: int | None = None
) -> int:
    """Put the fields of texts on disk (`ReadField`); return the number of abstracts.

    applications: sorted numbers. Raises UserError for two texts of one.
    """
    kept, abstracts = reader.keep("sampled", applications), 0
    for field in options.text:
        table = reader.source.table_of(field)
        times = " (2 of 2)" if field == ABSTRACT and least_words is None else ""
        work = ReadField(options, field, kept, least_words)
        facts = reader.read(work, f"read {table}{times}")
        refuse_doubles(reader, work.stage, table)
        if field == ABSTRACT:
            abstracts = sum(fact["texts"] for fact in facts)
    return abstracts


def texts_of(scratch: Scratch, documents: pl.DataFrame, unit: Sequence[int], options: CorpusOptions) -> pl.DataFrame:
    """Documents of a unit with their texts, which `read_fields` put on disk, and their ids; sorted by application."""
    for field in options.text:
        texts = scratch.read(f"field {field}", unit).rename({"text": field})
        # Every document has an abstract, and of every_text some applications have none.
        how: Literal["inner", "left"] = "inner" if field == ABSTRACT else "left"
        documents = documents.join(texts, on="application", how=how)
    return documents.with_columns(composed(documents, options)).sort("application")


def composed(texts: pl.DataFrame, options: CorpusOptions) -> pl.Series:
    """The texts of documents, from columns of their fields."""
    if options.most_words is not None:
        texts = cut_fairly(texts, options.text, options.most_words)
    return texts.select(text=compose(options.text)).to_series()
