"""The section on runs: the comparison, where it was made and is of these results."""

from collections.abc import Mapping
from typing import Any

from ipcascade.core.comparison_file import is_of
from ipcascade.reporting.captions import caption
from ipcascade.reporting.report.elements import (
    Cell,
    Column,
    Section,
    Table,
    Text,
    known,
    read_figure,
    signed,
    with_interval,
)
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.tables import comparison_measures
from ipcascade.reporting.words import duration, gibibytes

HOW = "The target `runs` makes it; after that, the report shows it when it is made again."


def section(results: Results, comparison: Mapping[str, Any] | None, main: str) -> Section:
    """Runs side by side on test; main: the name of the run that the report is of."""
    if comparison is None:
        return Section("runs", "Runs compared", [Text(f"There is no comparison of runs. {HOW}")])
    if not is_of(comparison, results.metrics("test"), main):
        old = f"results/comparison/test.json is of other results than those of this report. {HOW}"
        return Section("runs", "Runs compared", [Text(old, warns=True)])
    stem = results.folder / "figures" / "figure6"
    parts: list[Any] = [_measures(comparison), _differences(comparison)]
    if stem.with_suffix(".svg").exists():
        parts.insert(0, read_figure("Figure 6: runs compared", caption("figure6"), stem, results.folder))
    return Section("runs", "Runs compared", parts)


def _measures(comparison: Mapping[str, Any]) -> Table:
    names = comparison_measures(comparison["levels"])
    rows = []
    for row in comparison["rows"]:
        cells = [with_interval(row["measures"].get(name), row["confidence_intervals"].get(name)) for name in names]
        deviations = [row["deviations"].get(name) for name in names]
        rows.append(
            [
                Cell(row["name"]),
                *(map(_with_deviation, cells, deviations)),
                known(row["seconds"], duration),
                known(row["memory_mib"], gibibytes),
            ]
        )
    headings = [Column("Run"), *(Column(heading, True) for heading in (*names.values(), "Time", "Memory"))]
    caption = (
        "Runs on test with their intervals; replicates (other training seeds) as mean ± standard deviation. Time is "
        "that of all jobs that a run comes from."
    )
    return Table("runs-measures", caption, headings, rows)


def _with_deviation(cell: Cell, deviation: float | None) -> Cell:
    return cell if deviation is None else Cell(f"{cell.text} ± {deviation:.4f}", cell.order, cell.note)


def _differences(comparison: Mapping[str, Any]) -> Table:
    names = comparison_measures(comparison["levels"])
    rows = [
        [
            Cell(row["name"]),
            *(signed(row["differences"].get(name), row["difference_intervals"].get(name)) for name in names),
        ]
        for row in comparison["rows"]
        if row["name"] != comparison["reference"]
    ]
    headings = [Column("Run"), *(Column(heading, True) for heading in names.values())]
    caption = f"Differences to {comparison['reference']}, with intervals by paired bootstrap."
    return Table("runs-differences", caption, headings, rows)
