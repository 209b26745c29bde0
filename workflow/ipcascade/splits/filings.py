"""First filings: when and at which office each group of documents was filed first."""

from typing import Any

import polars as pl

from ipcascade.core.names import SPLITS

YEAR, OFFICE = "first_filing_year", "first_filing_office"
"""The columns of a corpus with the year and the office of the first filing of each family; both may be null."""
UNKNOWN = "unknown"


def first_filings(corpus: pl.DataFrame) -> pl.DataFrame:
    """group_id, first_filing_year and first_filing_office of each group, sorted by group_id.

    A group has those of its family that was filed first. Unknown years come last; of equal ones the document_id that
    sorts first counts.
    """
    return (
        corpus.select("group_id", "document_id", YEAR, OFFICE)
        .sort(YEAR, "document_id", nulls_last=True)
        .unique("group_id", keep="first", maintain_order=True)
        .drop("document_id")
        .sort("group_id")
    )


def filings_by_split(corpus: pl.DataFrame, split_of: pl.Series) -> dict[str, dict[str, Any]]:
    """When and where the documents of each split were first filed, with their groups.

    split_of: the split of every row of `corpus`. Of each split: first_year and last_year (None where no year is known),
    documents_without_year, and offices, the documents of each office (`UNKNOWN`: of none).
    """
    filings = corpus.select("group_id").with_columns(split=split_of).join(first_filings(corpus), on="group_id")
    found = {}
    for name in SPLITS:
        part = filings.filter(pl.col("split") == name)
        offices = part[OFFICE].fill_null(UNKNOWN).value_counts(name="documents")
        found[name] = {
            "first_year": part[YEAR].min(),
            "last_year": part[YEAR].max(),
            "documents_without_year": part[YEAR].null_count(),
            "offices": dict(offices.iter_rows()),
        }
    return found
