"""New texts in, labels and probabilities out, through the same tokenizer, model, thresholds and decoding."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import Progress
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.inference.options import ScoringOptions
from ipcascade.inference.scoring import score
from ipcascade.model.export import load_model


@dataclass(frozen=True)
class Prediction:
    """Labels of texts: predicted (bool) and probabilities (float32), both [texts, labels] in the order of `tree`.

    truncated: texts that were cut off at the model's maximum length.
    """

    predicted: np.ndarray
    probabilities: np.ndarray
    tree: LabelTree
    truncated: int

    def label_lists(self, level: str) -> pl.Series:
        """The predicted codes of a level, one list per text."""
        codes, columns = np.array(self.tree.codes(level), dtype=object), self.tree.columns[level]
        lists = [codes[row].tolist() for row in self.predicted[:, columns]]
        return pl.Series(level, lists, dtype=pl.List(pl.String))


def read_texts(path: Path) -> pl.DataFrame:
    """A CSV or Parquet table with the columns document_id and text, both as strings.

    Raises UserError for another format, a missing column, a missing id or text, or an id that is there twice.
    """
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif path.suffix == ".csv":
            table = pl.read_csv(path, infer_schema=False)
        else:
            raise UserError(f"{path}: new texts come as .csv or .parquet")
        for name in ("document_id", "text"):
            if name not in table.columns:
                raise UserError(f"{path} lacks the column {name!r}; it has {', '.join(table.columns)}")
        table = table.select(pl.col("document_id").cast(pl.String), pl.col("text").cast(pl.String))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} could not be read: {str(error).splitlines()[0]}") from error
    for name in table.columns:
        if (row := table[name].is_null().arg_max()) is not None and table[name].null_count():
            raise UserError(f"{path}, row {row + 1}: {name} is missing")
    if table.is_empty():
        raise UserError(f"{path} has no rows")
    twice = table.filter(pl.col("document_id").is_duplicated())["document_id"]
    if len(twice):
        raise UserError(f"{path}: the document_id {twice[0]!r} is there more than once")
    return table


def predict(
    texts: list[str], model_folder: Path, thresholds_file: Path, options: ScoringOptions, device: torch.device
) -> Prediction:
    """Label texts with an exported model and the thresholds fitted for it (a thresholds.json).

    A label brings its ancestors along, also where they alone would stay below their thresholds.
    """
    model, tree, treatment = load_model(model_folder, options.batching)
    thresholds, decoding = read_thresholds(thresholds_file, tree)
    cache = TokenCache.of_texts(load_tokenizer(model_folder, treatment["max_length"]), texts)
    with Progress("prediction", len(texts), "texts") as progress:
        scores = score(model, cache, np.arange(len(texts)), options, device, progress.advance)
    predicted = tree.close(decode(scores, thresholds.values, tree, decoding))
    return Prediction(predicted, scores, tree, cache.facts["truncated_documents"])
