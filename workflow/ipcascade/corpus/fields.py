"""The fields of texts, read twice: first all abstracts to filter, count and hash them, then those of the sample."""

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.corpus.applications import Keys, positions
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import ABSTRACT, CorpusOptions
from ipcascade.corpus.text import compose, cut_fairly, measure
from ipcascade.sources.base import Source


def measure_abstracts(
    source: Source, options: CorpusOptions, applications: pl.DataFrame, funnel: Funnel
) -> pl.DataFrame:
    """Applications with an abstract to learn from: their columns, words (Int32) and text_hash (UInt64).

    applications: sorted by their numbers. Raises UserError where a filter leaves nothing, and for two abstracts of one.
    """
    numbers = applications["application"].to_numpy()
    with_abstract = in_language = 0
    kept: list[pl.DataFrame] = []
    keys = Keys(source, ABSTRACT)
    for batch in source.texts(ABSTRACT, f"read {source.table_of(ABSTRACT)} (1 of 2)"):
        keys.add(batch["application"])
        batch = batch.with_columns(position=positions(numbers, batch["application"]))
        batch = batch.drop_nulls(["position", "text"])
        with_abstract += batch.height
        batch = batch.filter(is_in_language(source, options))
        in_language += batch.height
        measured = pl.concat([batch.select("application"), measure(batch["text"])], how="horizontal")
        kept.append(measured.filter(pl.col("words") >= options.minimum_words))
    keys.refuse_doubles()
    abstracts = pl.concat(kept).sort("application")
    funnel.keep("abstract", with_abstract, None)
    if "language" in source.filters:
        funnel.keep("language of the abstract", in_language, "corpus.language", options.language)
    funnel.keep("words of the abstract", abstracts.height, "corpus.minimum_words", options.minimum_words)
    rows = np.searchsorted(numbers, abstracts["application"].to_numpy())
    return applications[rows].with_columns(abstracts["words"], abstracts["text_hash"])


def is_in_language(source: Source, options: CorpusOptions) -> pl.Expr:
    """Whether a text is in the language of the corpus; of a source that does not tell, all are taken to be."""
    return pl.col("language") == options.language if "language" in source.filters else pl.lit(True)


def read_texts(source: Source, options: CorpusOptions, wanted: pl.Series) -> pl.DataFrame:
    """application, document_id and text of the wanted applications (sorted), which all have an abstract to learn from.

    Raises UserError where abstracts of the first reading are gone, and for two texts of one application in a table.
    """
    task = f"read {source.table_of(ABSTRACT)} (2 of 2)"
    texts = read_field(source, options, ABSTRACT, wanted, task, with_ids=True).rename({"text": ABSTRACT})
    if texts.height != len(wanted):
        raise UserError(
            f"{source.place}: {source.table_of(ABSTRACT)} gave {texts.height:,} of {len(wanted):,} abstracts on its "
            "second reading; the files changed meanwhile: run this again when nothing writes there"
        )
    for field in options.text:
        if field != ABSTRACT:
            others = read_field(source, options, field, wanted, f"read {source.table_of(field)}")
            texts = texts.join(others.rename({"text": field}), on="application", how="left", maintain_order="left")
    if options.most_words is not None:
        texts = cut_fairly(texts, options.text, options.most_words)
    return texts.select("application", "document_id", text=compose(options.text))


def read_field(
    source: Source, options: CorpusOptions, field: str, wanted: pl.Series, task: str, with_ids: bool = False
) -> pl.DataFrame:
    """application and text of a field of the wanted applications (sorted), where there is one; their document_id, too.

    Only texts in the language of the corpus. Raises UserError for two texts of one application.
    """
    numbers, keys = wanted.to_numpy(), Keys(source, field)
    batches = []
    for batch in source.texts(field, task):
        keys.add(batch["application"])
        is_wanted = positions(numbers, batch["application"]).is_not_null() & batch["text"].is_not_null()
        batch = batch.filter(is_wanted).filter(is_in_language(source, options))
        ids = [source.document_ids(batch).alias("document_id")] if with_ids else []
        batches.append(_copied(batch.select("application", *ids, "text")))
    keys.refuse_doubles()
    return pl.concat(batches)


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with a copy of its texts: polars' views of them would keep those of all rows it was filtered from."""
    copied = pl.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copied, pl.DataFrame)
    return copied
