"""Read what the command `comparison` wrote, for its figure."""

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
