"""What is to be said of all predictions of a table together: how many texts have no label, are unsure, were cut off."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, column_names

UNSURE_BELOW = 0.5


def prediction_facts(predictions: Path, levels: Sequence[str]) -> dict[str, Any]:
    """The content of NAME.json (core.schemas.PredictionFacts), from predictions in Parquet, read column by column.

    Of a long table only the texts are known that have a row. Raises UserError where a column is missing.
    """
    present, scan = column_names(predictions), pl.scan_parquet(predictions, glob=False)
    if "confidence" not in present:
        return _of_long(predictions, present, scan)
    for name in (*levels, "classifiable", "cut_off"):
        if name not in present:
            raise UserError(f"{predictions} lacks the column {name!r}; {MAKE_AGAIN}")
    similarity = pl.col("similarity") if "similarity" in present else pl.lit(None, pl.Float32)
    asked = {f"without {level}": (pl.col(level).list.len() == 0).sum() for level in levels} | {
        "texts": pl.len(),
        "unclassifiable": (~pl.col("classifiable")).sum(),
        "cut_off": (pl.col("cut_off") > 0).sum(),
        "unsure": (pl.col("confidence") < UNSURE_BELOW).sum(),
        "median_confidence": pl.col("confidence").median(),
        "median_similarity": similarity.median(),
    }
    found = scan.select(**asked).collect(engine="streaming").row(0, named=True)
    return {"without_label": {level: found.pop(f"without {level}") for level in levels}, **found}


def _of_long(predictions: Path, present: Sequence[str], scan: pl.LazyFrame) -> dict[str, Any]:
    for name in ("document_id", "classifiable"):
        if name not in present:
            raise UserError(f"{predictions} lacks the column {name!r}; {MAKE_AGAIN}")
    texts = scan.group_by("document_id").agg(pl.col("classifiable").first())
    asked = {"texts": pl.len(), "unclassifiable": (~pl.col("classifiable")).sum()}
    unknown = dict.fromkeys(("cut_off", "unsure", "median_confidence", "median_similarity"))
    found = texts.select(**asked).collect(engine="streaming").row(0, named=True)
    return {"without_label": {}, **found, **unknown}
