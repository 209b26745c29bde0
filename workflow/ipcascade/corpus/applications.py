"""The applications that can become documents: the filters on tls201, and how other tables are matched with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patstat.tables import Delivery

DUMMY_KINDS = ("D", "Q", "D2")
# Ids above belong to dummy applications, which PATSTAT invents for cited numbers that it does not hold.
LARGEST_APPLN_ID = 900_000_000
COLUMNS = (
    "appln_id", "appln_auth", "appln_kind", "appln_filing_date", "appln_filing_year", "ipr_type", "docdb_family_id",
)  # fmt: skip


@dataclass(frozen=True)
class _Filter:
    """A step of the funnel. keeps: which rows it keeps, None where it keeps all."""

    step: str
    key: str | None
    value: object
    keeps: pl.Expr | None


def _filters(options: CorpusOptions) -> list[_Filter]:
    id_, kind, year = pl.col("appln_id"), pl.col("appln_kind"), pl.col("appln_filing_year")
    is_dummy = kind.is_in(DUMMY_KINDS).fill_null(False) | (id_ <= 0) | (id_ > LARGEST_APPLN_ID)
    first, last = options.first_year, options.last_year
    return [
        _Filter("no dummy application", None, None, ~is_dummy),
        _Filter("kind of right", "corpus.ipr_types", options.ipr_types, _is_among("ipr_type", options.ipr_types)),
        _Filter("application kind", "corpus.kinds", options.kinds, _is_among("appln_kind", options.kinds)),
        _Filter("filing office", "corpus.offices", options.offices, _is_among("appln_auth", options.offices)),
        _Filter("first filing year", "corpus.first_year", first, None if first is None else year >= first),
        _Filter("last filing year", "corpus.last_year", last, None if last is None else year <= last),
    ]


def _is_among(column: str, wanted: Sequence[str] | None) -> pl.Expr | None:
    return None if wanted is None else pl.col(column).is_in(wanted)


def read_applications(delivery: Delivery, options: CorpusOptions, funnel: Funnel) -> pl.DataFrame:
    """Applications that pass the application filters, sorted by appln_id.

    Columns: appln_id, office, kind (categorical), date, filing_year, family: the DOCDB family, or the negative
    appln_id where there is none, so that such an application is a family of its own.
    Raises UserError where a filter leaves nothing, and where an application is there twice.
    """
    filters = _filters(options)
    read, left = 0, [0] * len(filters)
    kept: list[pl.DataFrame] = []
    keys = Keys("tls201")
    for batch in delivery.read("tls201", COLUMNS):
        read += batch.height
        keys.add(batch["appln_id"])
        for number, filter_ in enumerate(filters):
            if filter_.keeps is not None:
                batch = batch.filter(filter_.keeps)
            left[number] += batch.height
        kept.append(
            batch.select(
                "appln_id",
                office=pl.col("appln_auth").cast(pl.Categorical),
                kind=pl.col("appln_kind").cast(pl.Categorical),
                date="appln_filing_date",
                filing_year=pl.col("appln_filing_year").cast(pl.Int16),
                family=pl.coalesce("docdb_family_id", -pl.col("appln_id")),
            )
        )
    keys.refuse_doubles()
    funnel.start("tls201_appln", read, "applications")
    for filter_, amount in zip(filters, left, strict=True):
        funnel.keep(filter_.step, amount, filter_.key, filter_.value)
    return pl.concat(kept).sort("appln_id")


class Keys:
    """The appln_ids of a table in which every application has one row at most: 4 bytes per row."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._ids: list[np.ndarray] = []

    def add(self, ids: pl.Series) -> None:
        """Note the ids of some rows, whether or not these are kept."""
        self._ids.append(ids.to_numpy())

    def refuse_doubles(self) -> None:
        """Raise UserError where an application was there more than once; forgets the ids."""
        ids = np.concatenate(self._ids)
        self._ids.clear()
        ids.sort()
        doubles = ids[1:][ids[1:] == ids[:-1]]
        if doubles.size:
            raise UserError(
                f"{self._table} has appln_id {doubles[0]} more than once; "
                "keep only the files of one edition in the folder"
            )


def positions(sorted_ids: np.ndarray, wanted: pl.Series) -> pl.Series:
    """Where each wanted id is among the sorted ones (not empty), null where it is not among them; Int64 [wanted]."""
    values = wanted.to_numpy()
    places = np.searchsorted(sorted_ids, values)
    found = sorted_ids[np.minimum(places, len(sorted_ids) - 1)] == values
    return pl.Series(places, dtype=pl.Int64).set(pl.Series(~found), None)
