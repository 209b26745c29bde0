"""Families of US patents: those that one application led to, by continuations and divisions."""

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# Words in the types of relation that make one family; a provisional application or a PCT application alone makes none.
RELATIONS = "continu|divis|substitut|reissue"
# Kinds of related document whose number is that of an application: not of a patent, nor of a PCT application.
OF_APPLICATIONS = ("parent-doc", "child-doc")
_NUMBER = r"^[0-9]{7,8}$"


def families(patents: pl.DataFrame, related: pl.DataFrame) -> pl.DataFrame:
    """Patents that are in a family with others: patent and family (the smallest of its patents), Int64.

    patents: patent (Int64) and application (text, its number there); related: patent (Int64), number (text), type and
    kind of the documents that it names. Connected are patents that name, or come from, an application of one number.
    """
    named = related.filter(
        pl.col("type").str.to_lowercase().str.contains(RELATIONS)
        & pl.col("kind")
        .str.to_lowercase()
        .str.replace_all("[ _]", "-")
        .str.replace("ument$", "")
        .is_in(OF_APPLICATIONS)
    ).select("patent", application="number")
    links = pl.concat([patents.select("patent", "application"), named])
    links = links.with_columns(_plain(pl.col("application"))).drop_nulls().unique()
    # Of numbers that only one patent has, none connects anything.
    links = links.filter(pl.col("patent").n_unique().over("application") > 1)
    if links.is_empty():
        return pl.DataFrame(schema={"patent": pl.Int64, "family": pl.Int64})
    patent, place = np.unique(links["patent"].to_numpy(), return_inverse=True)
    application = links["application"].rank("dense").to_numpy().astype(np.int64) - 1 + len(patent)
    size = int(application.max()) + 1
    graph = coo_matrix((np.ones(len(place), dtype=bool), (place, application)), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    found = pl.DataFrame({"patent": patent, "component": component[: len(patent)]})
    return found.select("patent", family=pl.col("patent").min().over("component"))


def _plain(numbers: pl.Expr) -> pl.Expr:
    """Numbers of applications without marks; null for what is none, so that junk connects nothing."""
    digits = numbers.str.replace_all(r"[^0-9A-Za-z]", "").str.zfill(8)
    return pl.when(digits.str.contains(_NUMBER) & ~digits.str.contains("^0+$")).then(digits)
