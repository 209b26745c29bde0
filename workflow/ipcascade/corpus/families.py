"""DOCDB families: which application represents one, which was filed first, which families form a group, their names."""

from collections.abc import Sequence

import polars as pl


def represent(candidates: pl.DataFrame, office_preference: Sequence[str]) -> pl.DataFrame:
    """One candidate per family: the preferred office, then the earliest filing (unknown last), then the smallest id."""
    others = len(office_preference)
    rank = pl.col("office").cast(pl.String)
    rank = rank.replace_strict(list(office_preference), list(range(others)), default=others, return_dtype=pl.UInt16)
    return (
        candidates.with_columns(rank=rank)
        .sort("family", "rank", "date", "appln_id", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
        .drop("rank")
    )


def first_filings(applications: pl.DataFrame, families: pl.Series) -> pl.DataFrame:
    """Year and office of the first filing of each of some families, of all its applications, with or without a text.

    Unknown years and dates come last; of equal ones the smallest appln_id is first.
    Returns family, first_filing_year and first_filing_office, one row for each of the families.
    """
    members = applications.join(families.to_frame("family"), on="family", how="semi")
    return (
        members.sort("family", "filing_year", "date", "appln_id", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
        .select("family", first_filing_year="filing_year", first_filing_office=pl.col("office").cast(pl.String))
    )


def group(candidates: pl.DataFrame) -> pl.DataFrame:
    """Connected families: those that share a normalised abstract, directly or through others.

    Returns family and group, the smallest family connected to it, one row for each family that has candidates.
    """
    families = candidates.select("family").unique()
    links = candidates.select("family", "text_hash").unique()
    links = links.filter(pl.len().over("text_hash") > 1).with_columns(group="family")
    while True:
        spread = links.with_columns(pl.col("group").min().over("text_hash"))
        spread = spread.with_columns(pl.col("group").min().over("family"))
        if spread["group"].equals(links["group"]):
            break
        links = spread
    found = links.select("family", "group").unique()
    return families.join(found, on="family", how="left").with_columns(pl.coalesce("group", "family"))


def family_name(family: pl.Expr) -> pl.Expr:
    """A family as the corpus writes it: its DOCDB id, or `appln-` and the appln_id of an application without one."""
    return pl.when(family > 0).then(family.cast(pl.String)).otherwise(pl.format("appln-{}", -family))
