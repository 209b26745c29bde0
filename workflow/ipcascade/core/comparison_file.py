"""Read what the command `comparison` wrote, for figure, report and paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, read_json
from ipcascade.core.schemas import Comparison


def read_comparison(path: Path) -> dict[str, Any]:
    """The numbers of a comparison of runs. Raises UserError where the file is something else or damaged."""
    comparison = read_json(path, Comparison)
    rows = comparison["rows"]
    if comparison["reference"] not in [row["name"] for row in rows]:
        raise UserError(f"{path}: the reference {comparison['reference']!r} is none of its rows; {MAKE_AGAIN}")
    measures = set(rows[0]["measures"])
    for row in rows:
        for of_run in (row["measures"], *row["replicates"].values()):
            if strange := sorted(measures ^ set(of_run)):
                raise UserError(
                    f"{path}: the rows {rows[0]['name']!r} and {row['name']!r} do not agree on the measure "
                    f"{strange[0]!r}; {MAKE_AGAIN}"
                )
    return comparison


def is_of(comparison: Mapping[str, Any], metrics: Mapping[str, Any], run: str) -> bool:
    """Whether a run of a comparison has exactly the measures of a metrics file, so that both are of one model."""
    of_runs: dict[str, dict[str, float]] = {}
    for row in comparison["rows"]:
        of_runs |= row["replicates"] or {row["name"]: row["measures"]}
    if run not in of_runs or comparison["documents"] != metrics["documents"]:
        return False
    names = ((name.rpartition("."), value) for name, value in of_runs[run].items())
    return all(metrics["measures"].get(group, {}).get(key) == value for (group, _, key), value in names)
