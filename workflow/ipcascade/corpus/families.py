"""Families of applications: which application represents one, which was filed first, which families form a group."""

from collections.abc import Sequence

import polars as pl


def represent(candidates: pl.DataFrame, office_preference: Sequence[str]) -> pl.DataFrame:
    """One candidate per family: the preferred office, then the earliest filing (unknown last), then by number."""
    others = len(office_preference)
    rank = pl.col("office").cast(pl.String)
    rank = rank.replace_strict(list(office_preference), list(range(others)), default=others, return_dtype=pl.UInt16)
    return (
        candidates.with_columns(rank=rank)
        .sort("family", "rank", "date", "application", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
        .drop("rank")
    )


def first_filings(applications: pl.DataFrame, families: pl.Series) -> pl.DataFrame:
    """Year and office of the first filing of each of some families, of all its applications, with or without a text.

    Unknown years and dates come last; of equal ones the smallest number is first.
    Returns family, first_filing_year and first_filing_office, one row for each of the families.
    """
    members = applications.join(families.to_frame("family"), on="family", how="semi")
    return (
        members.sort("family", "filing_year", "date", "application", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
        .select("family", first_filing_year="filing_year", first_filing_office=pl.col("office").cast(pl.String))
    )


def shared_by(candidates: pl.DataFrame) -> pl.DataFrame:
    """What candidates can have in common with those of other families: family and shared (UInt64), each pair once.

    Shared is the hash of a normalised abstract, or a link.
    """
    found = [candidates.select("family", shared="text_hash")]
    if candidates["link"].count():
        found.append(candidates.drop_nulls("link").select("family", shared=pl.col("link").cast(pl.UInt64)))
    return pl.concat(found).unique()


def links_of(shared: pl.DataFrame) -> pl.DataFrame:
    """Of what families share, that which several have. All that is the same must be there."""
    return shared.unique().filter(pl.len().over("shared") > 1)


def connected(links: pl.DataFrame) -> pl.DataFrame:
    """Families that are connected by what they share, directly or through others.

    Returns family and group, the smallest family connected to it, for the families of the links.
    """
    links = links.with_columns(group="family")
    while True:
        spread = links.with_columns(pl.col("group").min().over("shared"))
        spread = spread.with_columns(pl.col("group").min().over("family"))
        if spread["group"].equals(links["group"]):
            break
        links = spread
    return links.select("family", "group").unique()
