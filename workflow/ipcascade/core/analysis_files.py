"""The tables of an error analysis, CSV files with one row per line: written by `analysis`, read by figures 4 and 5.

A missing value is an empty cell. Several labels in a cell are separated by "; ".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, Kind, check_columns, written_whole
from ipcascade.core.names import (
    BY_FREQUENCY,
    BY_GROUP,
    CONFUSION,
    GUARANTEES,
    LEVELS,
    RELIABILITY,
    RISK_COVERAGE,
    STABILITY,
    WORST_DOCUMENTS,
)

BETWEEN_LABELS = "; "
_TYPES = {Kind.TEXT: pl.String(), Kind.INTEGER: pl.Int64(), Kind.NUMBER: pl.Float64(), Kind.FLAG: pl.Boolean()}
_MICRO = {"precision": Kind.NUMBER, "recall": Kind.NUMBER, "f1": Kind.NUMBER}


@dataclass(frozen=True)
class _Table:
    """What the columns of a table hold, and those in which a value may be missing."""

    columns: Mapping[str, Kind]
    may_be_missing: tuple[str, ...] = ()

    @property
    def types(self) -> dict[str, pl.DataType]:
        return {name: _TYPES[kind] for name, kind in self.columns.items()}


TABLES = {
    RELIABILITY: _Table(
        {"level": Kind.TEXT, "low": Kind.NUMBER, "high": Kind.NUMBER, "pairs": Kind.INTEGER,
         "mean_probability": Kind.NUMBER, "share_true": Kind.NUMBER},
        ("mean_probability", "share_true"),
    ),
    RISK_COVERAGE: _Table(
        {"level": Kind.TEXT, "bound": Kind.NUMBER, "documents": Kind.INTEGER, "coverage": Kind.NUMBER,
         "precision": Kind.NUMBER, "recall": Kind.NUMBER},
    ),
    LEVELS: _Table(
        {"level": Kind.TEXT, "documents": Kind.INTEGER, "brier": Kind.NUMBER, "log_loss": Kind.NUMBER,
         "calibration_error": Kind.NUMBER, "wanted_precision": Kind.NUMBER, "bound": Kind.NUMBER,
         "val_coverage": Kind.NUMBER, "val_precision": Kind.NUMBER, "test_coverage": Kind.NUMBER,
         "test_precision": Kind.NUMBER, "left_to_person": Kind.NUMBER},
        ("bound", "val_precision", "test_precision"),
    ),
    CONFUSION: _Table(
        {"level": Kind.TEXT, "true": Kind.TEXT, "predicted": Kind.TEXT, "true_title": Kind.TEXT,
         "predicted_title": Kind.TEXT, "same_parent": Kind.FLAG, "documents": Kind.INTEGER, "weight": Kind.NUMBER},
        ("same_parent",),
    ),
    BY_GROUP: _Table(
        {"level": Kind.TEXT, "grouping": Kind.TEXT, "group": Kind.TEXT, "documents": Kind.INTEGER, **_MICRO},
    ),
    BY_FREQUENCY: _Table(
        {"level": Kind.TEXT, "code": Kind.TEXT, "title": Kind.TEXT, "train_documents": Kind.INTEGER,
         "support": Kind.INTEGER, "predicted": Kind.INTEGER, **_MICRO},
    ),
    WORST_DOCUMENTS: _Table(
        {"level": Kind.TEXT, "rank": Kind.INTEGER, "document_id": Kind.TEXT, "log_loss": Kind.NUMBER,
         "true": Kind.TEXT, "predicted": Kind.TEXT},
        ("true", "predicted"),
    ),
    GUARANTEES: _Table(
        {"level": Kind.TEXT, "measure": Kind.TEXT, "wanted": Kind.NUMBER, "confidence": Kind.NUMBER,
         "bound": Kind.NUMBER, "val_groups": Kind.INTEGER, "val_mean": Kind.NUMBER, "test_groups": Kind.INTEGER,
         "test_mean": Kind.NUMBER, "test_low": Kind.NUMBER, "test_high": Kind.NUMBER, "held": Kind.FLAG,
         "mean_size": Kind.NUMBER, "share_nonempty": Kind.NUMBER},
        ("bound", "val_groups", "val_mean", "test_groups", "test_mean", "test_low", "test_high", "held", "mean_size",
         "share_nonempty"),
    ),
    STABILITY: _Table(
        {"level": Kind.TEXT, "quantity": Kind.TEXT, "val": Kind.NUMBER, "fitted": Kind.NUMBER, "fall": Kind.NUMBER,
         "mean": Kind.NUMBER, "deviation": Kind.NUMBER, "low": Kind.NUMBER, "high": Kind.NUMBER},
        ("val", "fall", "mean", "deviation", "low", "high"),
    ),
}  # fmt: skip
"""The columns of each table, by the name of its file."""


def write_analysis(folder: Path, name: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one of `TABLES` to a folder, from records with all its columns."""
    types = TABLES[name].types
    frame = pl.DataFrame([{column: record[column] for column in types} for record in records], schema=types)
    with written_whole(folder / name) as temporary:
        temporary.write_bytes(frame.write_csv().encode())


def read_analysis(path: Path, name: str) -> pl.DataFrame:
    """Read one of `TABLES`. Raises UserError where the file is absent, broken, empty, or not such a table."""
    table = TABLES[name]
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
