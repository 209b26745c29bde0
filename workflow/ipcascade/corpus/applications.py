"""The applications that can become documents: the filters on them, and how other tables are matched with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.scratch import Scratch, parts_of
from ipcascade.sources.base import Source

# Bytes that sorting a key takes, and that may be taken.
KEY_BYTES, MOST_BYTES = 32, 64 << 20


@dataclass(frozen=True)
class _Filter:
    """A step of the funnel. key: in the section `corpus`; keeps: which rows it keeps, None where it keeps all."""

    step: str
    key: str | None
    value: object
    keeps: pl.Expr | None


def _filters(source: Source, options: CorpusOptions) -> list[_Filter]:
    """Those that the source brings along, and those of the options that it can serve."""
    year, first, last = pl.col("year"), options.first_year, options.last_year
    by_options = [
        _Filter("kind of right", "ipr_types", options.ipr_types, _is_among("right", options.ipr_types)),
        _Filter("application kind", "kinds", options.kinds, _is_among("kind", options.kinds)),
        _Filter("filing office", "offices", options.offices, _is_among("office", options.offices)),
        _Filter("first filing year", "first_year", first, None if first is None else year >= first),
        _Filter("last filing year", "last_year", last, None if last is None else year <= last),
    ]
    return [
        *(_Filter(own.step, None, None, own.keeps) for own in source.own_filters),
        *(filter_ for filter_ in by_options if filter_.key in source.filters),
    ]


def _is_among(column: str, wanted: Sequence[str] | None) -> pl.Expr | None:
    return None if wanted is None else pl.col(column).is_in(wanted)


def read_applications(
    source: Source, options: CorpusOptions, funnel: Funnel, scratch: Scratch
) -> Iterator[pl.DataFrame]:
    """Applications that pass the application filters, in the order of the source.

    Columns: application, office, kind, date, filing_year, link, family: that of the source, or the negative application
    where there is none, so that such an application is a family of its own.
    Raises UserError where a filter leaves nothing, and where an application is there twice.
    """
    filters = _filters(source, options)
    read, left = 0, [0] * len(filters)
    keys = Keys(source, None, scratch)
    for batch in source.applications():
        read += batch.height
        keys.add(batch["application"])
        for number, filter_ in enumerate(filters):
            if filter_.keeps is not None:
                batch = batch.filter(filter_.keeps)
            left[number] += batch.height
        yield batch.select(
            "application",
            "office",
            "kind",
            "date",
            "link",
            filing_year=pl.col("year").cast(pl.Int16),
            family=pl.coalesce("family", -pl.col("application")),
        )
    keys.refuse_doubles()
    funnel.start(source.start[0], read, source.start[1])
    for filter_, amount in zip(filters, left, strict=True):
        funnel.keep(filter_.step, amount, filter_.key and f"corpus.{filter_.key}", filter_.value)


class Keys:
    """The numbers of the applications of a table in which each has one row at most; kept on disk."""

    def __init__(self, source: Source, field: str | None, scratch: Scratch) -> None:
        self._source, self._table, self._scratch = source, source.table_of(field), scratch
        self._name = f"keys of {field or 'applications'}"

    def add(self, numbers: pl.Series) -> None:
        """Note the applications of some rows, whether or not these are kept."""
        self._scratch.add(self._name, pl.DataFrame({"application": numbers}), parts_of(numbers))

    def refuse_doubles(self) -> None:
        """Raise UserError where an application was there more than once; forgets them all."""
        for unit in self._scratch.units(self._scratch.rows[self._name], KEY_BYTES, MOST_BYTES):
            numbers = np.sort(self._scratch.read(self._name, unit)["application"].to_numpy())
            doubles = numbers[1:][numbers[1:] == numbers[:-1]]
            if doubles.size:
                self._source.refuse_double(self._table, int(doubles[0]))
        self._scratch.drop(self._name)


def positions(ordered: np.ndarray, wanted: pl.Series) -> pl.Series:
    """Where each wanted number is among the sorted ones (not empty), null where it is not there; Int64 [wanted]."""
    values = wanted.to_numpy()
    places = np.searchsorted(ordered, values)
    found = ordered[np.minimum(places, len(ordered) - 1)] == values
    return pl.Series(places, dtype=pl.Int64).set(pl.Series(~found), None)
