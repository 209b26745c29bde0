"""The method `reference`: the published grid search by reference H-F1, for trees of two levels."""

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.mask import thresholds_of_levels
from ipcascade.evaluation.options import DecodingOptions
from ipcascade.evaluation.reference_h_f1 import LEVELS, best_on_grid
from ipcascade.evaluation.thresholds import Thresholds


def reference_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, decoding: DecodingOptions
) -> Thresholds:
    """One threshold per level; truth: bool, probabilities: float32, both [documents, labels].

    facts: the best pair by level, and the h_f1 that it reaches. Raises UserError for a tree of other than two levels.
    """
    if len(tree.levels) != LEVELS:
        raise UserError(
            f"thresholds.method: reference is defined for two levels, and the label tree has {len(tree.levels)}; "
            "choose global or per_label"
        )
    best = best_on_grid(truth, probabilities, tree, decoding.confidence)
    return Thresholds(thresholds_of_levels(best.thresholds, tree), "reference", {**best.thresholds, "h_f1": best.h_f1})
