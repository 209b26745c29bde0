"""All texts of a source, to be labelled: not only the sampled documents, and not only those with labels."""

from collections.abc import Iterator

import polars as pl

from ipcascade.corpus.applications import Keys, positions, read_applications
from ipcascade.corpus.families import first_filings
from ipcascade.corpus.fields import composed, is_in_language, read_field
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import ABSTRACT, CorpusOptions
from ipcascade.corpus.scratch import Scratch
from ipcascade.corpus.text import measure
from ipcascade.sources.base import Source

FACTS = ("family_id", "office", "kind", "filing_year", "first_filing_year", "first_filing_office", "split")
"""Columns of the texts; the last three are of the family."""


def every_text(
    source: Source, options: CorpusOptions, split_of: pl.DataFrame, scratch: Scratch
) -> Iterator[pl.DataFrame]:
    """The texts of a source some at a time, in its order, made as those of the corpus are.

    They are of all applications that pass the filters of the corpus on applications, and have an abstract in its
    language with enough words; an application needs no label, and of a family all are there. split_of: family_id, split
    of the documents of the corpus.

    Columns: document_id (text), text, and `FACTS`: as in the corpus, and split, that of the family in the corpus, null
    where it is not in it. Memory holds the columns of the applications, and all fields of their texts but the abstract.
    Raises UserError where no application is left, and for two texts of one.
    """
    applications = pl.concat(
        batch.with_columns(pl.col("office", "kind").cast(pl.Categorical))
        for batch in read_applications(source, options, Funnel(), scratch)
    ).sort("application")
    families = applications["family"].unique()
    names = pl.concat(source.family_names(families.sort().to_numpy())).unique("family").rename({"name": "family_id"})
    facts = (
        applications.join(first_filings(applications, families), on="family", how="left")
        .join(names, on="family", how="left")
        .sort("application")
        .select(
            pl.col("office", "kind").cast(pl.String), "filing_year", "first_filing_year", "first_filing_office",
            "family_id",
        )
    )  # fmt: skip
    numbers = applications["application"].to_numpy()
    # Looked up by position: a join with all titles of a delivery would take seconds per block.
    others = {
        field: pl.concat(
            read_field(source, options, field, numbers, f"read {source.table_of(field)}", scratch)
        ).sort("application")
        for field in options.text if field != ABSTRACT
    }  # fmt: skip
    keys = Keys(source, ABSTRACT, scratch)
    for batch in source.texts(ABSTRACT, f"read {source.table_of(ABSTRACT)}"):
        keys.add(batch["application"])
        batch = batch.with_columns(position=positions(numbers, batch["application"]))
        batch = batch.drop_nulls(["position", "text"]).filter(is_in_language(source, options))
        batch = batch.filter(measure(batch["text"])["words"] >= options.minimum_words)
        texts = batch.select(pl.col("text").alias(ABSTRACT))
        for field, found in others.items():
            texts = texts.with_columns(_of(found, batch["application"]).alias(field))
        ids = source.document_ids(batch).alias("document_id")
        yield (
            pl.concat([pl.DataFrame([ids, composed(texts, options)]), facts[batch["position"]]], how="horizontal")
            .join(split_of, on="family_id", how="left", maintain_order="left")
            .select("document_id", "text", *FACTS)
        )
    keys.refuse_doubles()


def _of(found: pl.DataFrame, wanted: pl.Series) -> pl.Series:
    """The texts of some applications, null where there is none; found: application (sorted), text."""
    if found.is_empty():
        return pl.Series([None] * len(wanted), dtype=pl.String)
    return found["text"].gather(positions(found["application"].to_numpy(), wanted))
