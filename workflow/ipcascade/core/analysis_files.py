"""The tables of an error analysis, CSV files with one row per line: written by `analysis`, read by figures 4 and 5.

A missing value is an empty cell. Several labels in a cell are separated by "; ".
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.csv_tables import Table as _Table
from ipcascade.core.csv_tables import read_csv_table, write_csv_table
from ipcascade.core.files import Kind
from ipcascade.core.names import (
    BY_FREQUENCY,
    BY_GROUP,
    CALIBRATION,
    CONFUSION,
    GUARANTEES,
    LEVELS,
    RELIABILITY,
    RISK_COVERAGE,
    SOURCE_EFFECTS,
    STABILITY,
    WORST_DOCUMENTS,
)

BETWEEN_LABELS = "; "
# Whose probabilities a row is of: the network's own, before they are combined and calibrated, or those of the run.
NETWORK, COMBINED = "network", "combined"
_MICRO = {"precision": Kind.NUMBER, "recall": Kind.NUMBER, "f1": Kind.NUMBER}

TABLES = {
    CALIBRATION: _Table(
        {"level": Kind.TEXT, "split": Kind.TEXT, "probabilities": Kind.TEXT, "brier": Kind.NUMBER,
         "log_loss": Kind.NUMBER, "calibration_error": Kind.NUMBER},
    ),
    RELIABILITY: _Table(
        {"level": Kind.TEXT, "probabilities": Kind.TEXT, "low": Kind.NUMBER, "high": Kind.NUMBER, "pairs": Kind.INTEGER,
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
    SOURCE_EFFECTS: _Table(
        {"level": Kind.TEXT, "source": Kind.TEXT, "frequency": Kind.TEXT, "labels": Kind.INTEGER,
         "true": Kind.INTEGER, "found": Kind.INTEGER, "true_gained": Kind.INTEGER, "true_lost": Kind.INTEGER,
         "wrong": Kind.INTEGER, "wrong_removed": Kind.INTEGER, "wrong_added": Kind.INTEGER, "f1": Kind.NUMBER,
         "f1_without": Kind.NUMBER},
    ),
}  # fmt: skip
"""The columns of each table, by the name of its file."""


def write_analysis(folder: Path, name: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one of `TABLES` to a folder, from records with all its columns."""
    write_csv_table(folder / name, TABLES[name], records)


def read_analysis(path: Path, name: str) -> pl.DataFrame:
    """Read one of `TABLES`. Raises UserError where the file is absent, broken, empty, or not such a table."""
    return read_csv_table(path, TABLES[name])
