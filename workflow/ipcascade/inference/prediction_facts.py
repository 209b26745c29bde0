"""What is to be said of all predictions of a table together: how many texts have no label, are unsure, were cut off."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, column_names

UNSURE_BELOW = 0.5
_FACTS = ("texts", "unclassifiable", "cut_off", "unsure", "median_confidence", "median_similarity")


def prediction_facts(predictions: Path, levels: Sequence[str]) -> dict[str, Any]:
    """The content of NAME.facts.json (schemas.PredictionFacts), from predictions in Parquet, read column by column.

    Of a long table nothing is known: texts without any row are not in it. Raises UserError where a column is missing.
    """
    present, scan = column_names(predictions), pl.scan_parquet(predictions, glob=False)
    if "confidence" not in present:
        if "probability" not in present:
            raise UserError(f"{predictions} is no table of predictions; {MAKE_AGAIN}")
        return {"without_label": {}, **dict.fromkeys(_FACTS)}
    for name in (*levels, "classifiable", "cut_off"):
        if name not in present:
            raise UserError(f"{predictions} lacks the column {name!r}; {MAKE_AGAIN}")
    # Without a named neighbour it is -1.
    similarity = pl.col("similarity") if "similarity" in present else pl.lit(None, pl.Float32)
    similarity = pl.when(similarity > -1).then(similarity)
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
