"""Read metrics/SPLIT.json, for tables and summaries."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, check_content, read_json
from ipcascade.core.schemas import HierarchicalMeasures, LevelMeasures, Metrics, ReferenceMeasures


def read_metrics(path: Path) -> dict[str, Any]:
    """What the command `metrics` wrote. Raises UserError where the file is something else or damaged."""
    metrics = read_json(path, Metrics)
    schemas: dict[str, type[BaseModel]] = dict.fromkeys(metrics["levels"], LevelMeasures)
    schemas["hierarchical"] = HierarchicalMeasures
    if len(metrics["levels"]) > 1:
        schemas["reference"] = ReferenceMeasures
    if strange := sorted({*schemas, "documents"} ^ metrics["measures"].keys()):
        raise UserError(f"{path}: 'measures' and 'levels' do not agree on {strange[0]!r}; {MAKE_AGAIN}")
    if metrics["measures"]["documents"] != metrics["documents"]:
        raise UserError(f"{path}: 'measures.documents' and 'documents' are not equal; {MAKE_AGAIN}")
    for name, schema in schemas.items():
        check_content(schema, metrics["measures"].get(name), str(path), f"measures.{name}")
    return metrics
