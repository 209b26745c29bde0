"""Predictions as tables: which columns they have, wide or long."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ipcascade.core.documents import label_lists
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.inference.options import PredictionOptions
from ipcascade.inference.prediction import Prediction


def check_columns(columns: Sequence[str], tree: LabelTree, where: Path) -> None:
    """Raise UserError where a column of a user's table has the name of one that predictions add."""
    taken = {*tree.levels, "confidence", "classifiable", "cut_off", "neighbours", "similarity", *tree.labels}
    for name in columns:
        if name in taken:
            raise UserError(
                f"{where}: its column {name!r} has the name of a column of the predictions; rename it, or set "
                "prediction.layout: long, which keeps no other columns"
            )


def table_of(texts: pl.DataFrame, prediction: Prediction, options: PredictionOptions) -> pl.DataFrame:
    """The predictions of a block of texts.

    wide: a row per text, with the columns of the input but its text. long: a row per text and label that is predicted
    or has at least the probability `floor`, the most probable first. Raises UserError as `Prediction.classifiable`.
    """
    classifiable = prediction.classifiable(options)
    if options.layout == "wide":
        return _wide(texts, prediction, classifiable)
    return _long(texts["document_id"], prediction, classifiable, options.floor)


def _wide(texts: pl.DataFrame, prediction: Prediction, classifiable: np.ndarray) -> pl.DataFrame:
    others = [name for name in texts.columns if name not in ("document_id", "text")]
    columns = {name: texts[name] for name in ("document_id", *others)}
    columns |= label_lists(prediction.predicted, prediction.tree)
    columns |= {
        "confidence": pl.Series(prediction.confidences, dtype=pl.Float32),
        "classifiable": pl.Series(classifiable),
        "cut_off": pl.Series(prediction.cut_off, dtype=pl.Float32),
    }
    if prediction.neighbours is not None and prediction.similarities is not None:
        columns["neighbours"] = pl.Series(prediction.neighbours, dtype=pl.List(pl.String))
        columns["similarity"] = pl.Series(prediction.similarities.max(axis=1, initial=-1.0), dtype=pl.Float32)
    columns |= {
        code: pl.Series(prediction.probabilities[:, column]) for column, code in enumerate(prediction.tree.labels)
    }
    return pl.DataFrame(columns)


def _long(ids: pl.Series, prediction: Prediction, classifiable: np.ndarray, floor: float) -> pl.DataFrame:
    tree = prediction.tree
    levels = np.repeat(np.array(tree.levels, dtype=object), tree.sizes)
    row, column = np.nonzero(prediction.predicted | (prediction.probabilities >= floor))
    probability = prediction.probabilities[row, column]
    order = np.lexsort((column, -probability, row))
    row, column = row[order], column[order]
    return pl.DataFrame(
        {
            "document_id": ids.gather(row),
            "level": pl.Series(levels[column].tolist(), dtype=pl.String),
            "label": pl.Series(np.array(tree.labels, dtype=object)[column].tolist(), dtype=pl.String),
            "probability": pl.Series(probability[order], dtype=pl.Float32),
            "predicted": pl.Series(prediction.predicted[row, column], dtype=pl.Boolean),
            "classifiable": pl.Series(classifiable[row], dtype=pl.Boolean),
        }
    )
