"""New texts in, labels and probabilities out, through the same tokenizer, model, thresholds and decoding."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

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
