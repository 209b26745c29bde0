"""costs.csv, what the runs of a comparison took: written by `costs`, read by `comparison`."""

from pathlib import Path

import polars as pl

from ipcascade.core.csv_tables import Table, read_csv_table
from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, Kind

AMOUNTS = ("seconds", "memory_mib", "gpu_memory_mib")
COSTS = Table(
    {"run": Kind.TEXT, "job": Kind.TEXT, "benchmark": Kind.TEXT, **dict.fromkeys(AMOUNTS, Kind.NUMBER)}, AMOUNTS
)
"""One row per run and job: its name, the file of its benchmark, wall-clock seconds, peak memory and peak memory of the
GPU. A job that several runs share has a row in each."""


def read_costs(path: Path) -> pl.DataFrame:
    """The table. Raises UserError where the file is something else or damaged, or an amount is below 0."""
    costs = read_csv_table(path, COSTS)
    for name in AMOUNTS:
        if below := costs.filter(pl.col(name) < 0)[name].to_list():
            raise UserError(f"{path}: the column {name!r} has {below[0]}, which is below 0; {MAKE_AGAIN}")
    return costs
