"""CSV tables of ours, which people open too: one row per line, a missing value is an empty cell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, Kind, check_columns, written_whole

_TYPES = {Kind.TEXT: pl.String(), Kind.INTEGER: pl.Int64(), Kind.NUMBER: pl.Float64(), Kind.FLAG: pl.Boolean()}


@dataclass(frozen=True)
class Table:
    """What the columns of a table hold, and those in which a value may be missing."""

    columns: Mapping[str, Kind]
    may_be_missing: tuple[str, ...] = ()

    @property
    def types(self) -> dict[str, pl.DataType]:
        """The columns' types in memory."""
        return {name: _TYPES[kind] for name, kind in self.columns.items()}


def write_csv_table(path: Path, table: Table, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records that have all columns of the table."""
    rows = [{column: record[column] for column in table.columns} for record in records]
    with written_whole(path) as temporary:
        temporary.write_bytes(pl.DataFrame(rows, schema=table.types).write_csv().encode())


def read_csv_table(path: Path, table: Table) -> pl.DataFrame:
    """Read such a table. Raises UserError where the file is absent, broken, empty, or not such a table."""
    try:
        # Bytes, since polars takes some paths for patterns of names.
        frame = pl.read_csv(path.read_bytes(), infer_schema=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except pl.exceptions.PolarsError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is not a readable CSV file: {reason}; {MAKE_AGAIN}") from None
    if frame.columns != list(table.columns):
        raise UserError(
            f"{path} has the columns {', '.join(frame.columns)}, not {', '.join(table.columns)}; {MAKE_AGAIN}"
        )
    typed = frame.select(_as(column, table.types[column]) for column in table.columns)
    for column, kind in table.columns.items():
        # What is empty may be missing; what is there and is no such value may not.
        given = typed if column not in table.may_be_missing else typed.filter(frame[column].is_not_null())
        wrong = frame.filter(typed[column].is_null() & frame[column].is_not_null())
        if len(wrong):
            raise UserError(f"{path}: the column {column!r} has {wrong[column][0]!r}, not {kind.value}; {MAKE_AGAIN}")
        check_columns(path, given, {column: kind})
    return typed


def _as(column: str, dtype: pl.DataType) -> pl.Expr:
    """A column of texts as another type; null where a text is no such value."""
    if dtype == pl.Boolean:
        return pl.col(column).replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    return pl.col(column).cast(dtype, strict=False)
