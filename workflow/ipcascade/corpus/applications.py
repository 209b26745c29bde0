"""The applications that can become documents: the filters on them, and how other tables are matched with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.reading import PartReader
from ipcascade.corpus.scratch import Scratch, parts_of
from ipcascade.sources.base import APPLICATIONS, Source

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


@dataclass(frozen=True)
class ReadApplications:
    """Puts the applications that pass the application filters on disk, as the table `applications`.

    Columns: application, office, kind, date, filing_year, link, family: that of the source, or the negative application
    where there is none, so that such an application is a family of its own.
    """

    options: CorpusOptions
    what: ClassVar[str] = APPLICATIONS
    stage: ClassVar[str] = "applications"

    def __call__(self, source: Source, part: int, scratch: Scratch) -> dict[str, Any]:
        """How many rows were read, and how many each filter left."""
        filters = _filters(source, self.options)
        read, left = 0, [0] * len(filters)
        for batch in source.applications(part):
            read += batch.height
            add_keys(scratch, self.stage, batch["application"])
            for number, filter_ in enumerate(filters):
                if filter_.keeps is not None:
                    batch = batch.filter(filter_.keeps)
                left[number] += batch.height
            kept = batch.select(
                "application",
                "office",
                "kind",
                "date",
                "link",
                filing_year=pl.col("year").cast(pl.Int16),
                family=pl.coalesce("family", -pl.col("application")),
            )
            scratch.add("applications", kept, parts_of(kept["application"]))
        return {"read": read, "left": left}


def read_applications(reader: PartReader, options: CorpusOptions, funnel: Funnel) -> np.ndarray:
    """Put the applications on disk (`ReadApplications`); return their numbers, sorted.

    Raises UserError where a filter leaves nothing, and where an application is there twice.
    """
    source = reader.source
    facts = reader.read(ReadApplications(options), "read the applications")
    refuse_doubles(reader, ReadApplications.stage, source.table_of(APPLICATIONS))
    funnel.start(source.start[0], sum(fact["read"] for fact in facts), source.start[1])
    for number, filter_ in enumerate(_filters(source, options)):
        amount = sum(fact["left"][number] for fact in facts)
        funnel.keep(filter_.step, amount, filter_.key and f"corpus.{filter_.key}", filter_.value)
    return numbers_in(reader.scratch, "applications")


def numbers_in(scratch: Scratch, table: str) -> np.ndarray:
    """The distinct applications of a table on disk, sorted."""
    units = scratch.units(scratch.rows[table], KEY_BYTES, MOST_BYTES)
    found = [scratch.read(table, unit, ["application"])["application"].unique().to_numpy() for unit in units]
    numbers = np.concatenate(found)
    numbers.sort()
    return numbers


def add_keys(scratch: Scratch, stage: str, numbers: pl.Series) -> None:
    """Note the applications of some rows, kept or not, of a table in which each has one row at most."""
    scratch.add(f"keys of {stage}", pl.DataFrame({"application": numbers}), parts_of(numbers))


def refuse_doubles(reader: PartReader, stage: str, table: str) -> None:
    """Raise UserError where an application was noted more than once; forgets them all."""
    scratch, name = reader.scratch, f"keys of {stage}"
    for unit in scratch.units(scratch.rows[name], KEY_BYTES, MOST_BYTES):
        numbers = np.sort(scratch.read(name, unit)["application"].to_numpy())
        doubles = numbers[1:][numbers[1:] == numbers[:-1]]
        if doubles.size:
            reader.source.refuse_double(table, int(doubles[0]))
    scratch.drop(name)


def positions(ordered: np.ndarray, wanted: pl.Series) -> pl.Series:
    """Where each wanted number is among the sorted ones (not empty), null where it is not there; Int64 [wanted]."""
    values = wanted.to_numpy()
    places = np.searchsorted(ordered, values)
    found = ordered[np.minimum(places, len(ordered) - 1)] == values
    return pl.Series(places, dtype=pl.Int64).set(pl.Series(~found), None)
