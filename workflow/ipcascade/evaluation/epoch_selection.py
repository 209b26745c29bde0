"""The measures by which training chooses its best epoch; each is the history's column of the same name.

Training imports this module and what it imports, nothing else of the evaluation: work on other measures, thresholds or
confidence intervals never trains again. Thresholds are fitted on the documents that are measured (validation), so the
values serve to choose an epoch, not as results.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import (
    average_precision,
    best_f1_of_levels,
    check_probabilities,
    clipped,
    f1_macro,
    f1_micro,
)
from ipcascade.evaluation.mask import predict_masked, thresholds_of_levels
from ipcascade.evaluation.options import HIERARCHICAL_F1, REFERENCE_H_F1, VALIDATION_LOSS
from ipcascade.evaluation.reference_h_f1 import best_on_grid


def selection_value(
    measure: str, truth: np.ndarray, scores: np.ndarray, tree: LabelTree, mask_confidence: float | None
) -> float | None:
    """The value of a measure of `selection_measures`, all of them but the validation loss.

    truth: bool, scores: float32, both [validation documents, labels]; mask_confidence: as in `predict_masked`. None for
    an average precision without positives. Raises UserError for a probability outside 0 to 1, and ValueError for
    another measure.
    """
    check_probabilities(scores, tree.labels)
    if measure == REFERENCE_H_F1:
        return best_on_grid(truth, scores, tree, mask_confidence).h_f1
    if measure == HIERARCHICAL_F1:
        predicted = _predict_at_best_thresholds(truth, scores, tree, mask_confidence)
        return f1_micro(tree.close(truth), tree.close(predicted))
    for level, columns in tree.columns.items():
        if measure == f"{level}.average_precision_micro":
            return average_precision(truth[:, columns].ravel(), scores[:, columns].ravel())
        for name, f1 in (("f1_micro", f1_micro), ("f1_macro", f1_macro)):
            if measure == f"global.{level}.{name}":
                predicted = _predict_at_best_thresholds(truth, scores, tree, mask_confidence)
                return f1(truth[:, columns], predicted[:, columns])
    raise ValueError(f"there is no measure {measure!r} to choose an epoch by")


def is_better(measure: str, value: float | None, best: float | None) -> bool:
    """Whether an epoch's value of a measure is better than the best one before it (None: there is none)."""
    if value is None:
        return False
    if best is None:
        return True
    return value < best if measure == VALIDATION_LOSS else value > best


def validation_loss(
    truth: np.ndarray,
    scores: np.ndarray,
    tree: LabelTree,
    weights: Mapping[str, float],
    reduction: Literal["sum", "mean"],
) -> float:
    """The loss from probabilities, without label weights and soft mask, averaged over documents.

    truth: bool, scores: float32, both [validation documents, labels]; weights: one per level; reduction: over the
    labels of a level. Raises UserError for a probability outside 0 to 1.
    """
    check_probabilities(scores, tree.labels)
    probabilities = clipped(scores)
    losses = -np.where(truth, np.log(probabilities), np.log1p(-probabilities))
    total = 0.0
    for level, columns in tree.columns.items():
        of_level = losses[:, columns]
        per_document = of_level.sum(axis=1) if reduction == "sum" else of_level.mean(axis=1)
        total += weights[level] * float(per_document.mean())
    return total


def _predict_at_best_thresholds(
    truth: np.ndarray, scores: np.ndarray, tree: LabelTree, mask_confidence: float | None
) -> np.ndarray:
    """Label sets, bool [documents, labels], at the threshold of each level with the highest micro F1."""
    optima = best_f1_of_levels(truth, scores, tree)
    thresholds = {level: threshold for level, (threshold, _) in optima.items()}
    return predict_masked(scores, thresholds_of_levels(thresholds, tree), tree, mask_confidence)
