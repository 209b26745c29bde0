"""The method `global`: for each level the one threshold with the highest micro F1, exactly."""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import best_f1_of_levels
from ipcascade.evaluation.mask import thresholds_of_levels
from ipcascade.evaluation.thresholds import Thresholds


def global_thresholds(truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree) -> Thresholds:
    """One threshold per level; truth: bool, probabilities: float32, both [documents, labels].

    facts: threshold and f1_micro by level. A level without positives gets `counts.NEVER`.
    """
    optima = best_f1_of_levels(truth, probabilities, tree)
    values = thresholds_of_levels({level: threshold for level, (threshold, _) in optima.items()}, tree)
    facts = {level: {"threshold": threshold, "f1_micro": f1} for level, (threshold, f1) in optima.items()}
    return Thresholds(values, "global", facts)
