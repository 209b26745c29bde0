"""Read metrics/SPLIT.json, for tables and summaries."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ipcascade.core.files import check_content, read_json
from ipcascade.core.schemas import HierarchicalMeasures, LevelMeasures, Metrics, ReferenceMeasures


def read_metrics(path: Path) -> dict[str, Any]:
    """What the command `metrics` wrote. Raises UserError where the file is something else or damaged."""
    metrics = read_json(path, Metrics)
    schemas: dict[str, type[BaseModel]] = {
        **dict.fromkeys(metrics["levels"], LevelMeasures),
        "hierarchical": HierarchicalMeasures,
    }
    if "reference" in metrics["measures"]:
        schemas["reference"] = ReferenceMeasures
    for name, schema in schemas.items():
        check_content(schema, metrics["measures"].get(name), str(path), f"measures.{name}")
    return metrics
