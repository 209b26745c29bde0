"""All texts of a delivery, to be labelled: not only the sampled documents, and not only those with labels."""

from collections.abc import Iterator

import polars as pl

from ipcascade.corpus.abstracts import read_titles
from ipcascade.corpus.applications import Keys, positions, read_applications
from ipcascade.corpus.families import family_name, first_filings
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions, reads_titles
from ipcascade.corpus.text import measure, with_title
from ipcascade.sources.patstat.tables import Delivery

FACTS = ("family_id", "office", "kind", "filing_year", "first_filing_year", "first_filing_office", "split")
"""Columns of the texts; the last three are of the family."""


def every_text(delivery: Delivery, options: CorpusOptions, split_of: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The texts of a delivery some at a time, in its order, made as those of the corpus are.

    They are of all applications that pass the filters of the corpus on applications, and have an abstract in its
    language with enough words; an application needs no label, and of a family all are there. split_of: family_id, split
    of the documents of the corpus.

    Columns: document_id (text, the appln_id), text, and `FACTS`: as in the corpus, and split, that of the family in the
    corpus, null where it is not in it. Memory holds the columns of the applications, and their titles where
    these are part of a text. Raises UserError where no application is left, and for two abstracts of one.
    """
    applications = read_applications(delivery, options, Funnel())
    facts = (
        applications.join(first_filings(applications, applications["family"].unique()), on="family", how="left")
        .sort("appln_id")
        .select(
            pl.col("office", "kind").cast(pl.String), "filing_year", "first_filing_year", "first_filing_office",
            family_id=family_name(pl.col("family")),
        )
    )  # fmt: skip
    ids = applications["appln_id"].to_numpy()
    # Looked up by position: a join with all titles of a delivery would take seconds per block.
    titles = (
        read_titles(delivery, options, applications["appln_id"]).sort("appln_id") if reads_titles(options) else None
    )
    keys = Keys("tls203")
    for batch in delivery.read("tls203", ("appln_id", "appln_abstract_lg", "appln_abstract"), task="read tls203"):
        keys.add(batch["appln_id"])
        batch = batch.with_columns(position=positions(ids, batch["appln_id"]))
        batch = batch.drop_nulls(["position", "appln_abstract"]).filter(pl.col("appln_abstract_lg") == options.language)
        batch = batch.filter(measure(batch["appln_abstract"])["words"] >= options.minimum_words)
        text = pl.col("appln_abstract")
        if titles is not None and len(titles):
            places = positions(titles["appln_id"].to_numpy(), batch["appln_id"])
            batch = batch.with_columns(titles["appln_title"].gather(places))
            text = with_title(pl.col("appln_title"), text)
        yield (
            pl.concat([batch, facts[batch["position"]]], how="horizontal")
            .join(split_of, on="family_id", how="left", maintain_order="left")
            .select(pl.col("appln_id").cast(pl.String).alias("document_id"), text.alias("text"), *FACTS)
        )  # fmt: skip
    keys.refuse_doubles()
