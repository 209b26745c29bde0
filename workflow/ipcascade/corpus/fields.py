"""The fields of texts, read twice: first all abstracts to filter, count and hash them, then those of the sample."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from ipcascade.corpus.applications import Keys, positions
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import ABSTRACT, CorpusOptions
from ipcascade.corpus.scratch import Scratch
from ipcascade.corpus.text import compose, cut_fairly, measure
from ipcascade.sources.base import Source


def measure_abstracts(
    source: Source, options: CorpusOptions, applications: np.ndarray, funnel: Funnel, scratch: Scratch
) -> Iterator[pl.DataFrame]:
    """Applications with an abstract to learn from: application, words (Int32) and text_hash (UInt64).

    applications: sorted numbers. Raises UserError where a filter leaves nothing, and for two abstracts of one.
    """
    with_abstract = in_language = long_enough = 0
    keys = Keys(source, ABSTRACT, scratch)
    for batch in source.texts(ABSTRACT, f"read {source.table_of(ABSTRACT)} (1 of 2)"):
        keys.add(batch["application"])
        batch = batch.with_columns(position=positions(applications, batch["application"]))
        batch = batch.drop_nulls(["position", "text"])
        with_abstract += batch.height
        batch = batch.filter(is_in_language(source, options))
        in_language += batch.height
        measured = pl.concat([batch.select("application"), measure(batch["text"])], how="horizontal")
        measured = measured.filter(pl.col("words") >= options.minimum_words)
        long_enough += measured.height
        yield measured
    keys.refuse_doubles()
    funnel.keep("abstract", with_abstract, None)
    if "language" in source.filters:
        funnel.keep("language of the abstract", in_language, "corpus.language", options.language)
    funnel.keep("words of the abstract", long_enough, "corpus.minimum_words", options.minimum_words)


def is_in_language(source: Source, options: CorpusOptions) -> pl.Expr:
    """Whether a text is in the language of the corpus; of a source that does not tell, all are taken to be."""
    return pl.col("language") == options.language if "language" in source.filters else pl.lit(True)


def read_field(
    source: Source, options: CorpusOptions, field: str, wanted: np.ndarray, task: str, scratch: Scratch
) -> Iterator[pl.DataFrame]:
    """application and text of a field of the wanted applications (sorted numbers); with the abstract document_id, too.

    Only texts in the language of the corpus. Raises UserError for two texts of one application.
    """
    keys = Keys(source, field, scratch)
    for batch in source.texts(field, task):
        keys.add(batch["application"])
        is_wanted = positions(wanted, batch["application"]).is_not_null() & batch["text"].is_not_null()
        batch = batch.filter(is_wanted).filter(is_in_language(source, options))
        ids = [source.document_ids(batch).alias("document_id")] if field == ABSTRACT else []
        yield batch.select("application", "text", *ids)
    keys.refuse_doubles()


def composed(texts: pl.DataFrame, options: CorpusOptions) -> pl.Series:
    """The texts of documents, from columns of their fields."""
    if options.most_words is not None:
        texts = cut_fairly(texts, options.text, options.most_words)
    return texts.select(text=compose(options.text)).to_series()
