"""The method `per_label`: one threshold per label, with a guard, since a rare label fitted alone overfits."""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import best_f1
from ipcascade.evaluation.options import PerLabelOptions
from ipcascade.evaluation.threshold_methods.global_optimum import global_thresholds
from ipcascade.evaluation.threshold_methods.joint import joint_thresholds
from ipcascade.evaluation.thresholds import Thresholds


def per_label_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, options: PerLabelOptions, seed: int
) -> Thresholds:
    """One threshold per label; truth: bool, probabilities: float32, both [documents, labels].

    `scutfbr`: the label's exact F1 maximum; a label whose maximum is below `floor`, or with fewer than
    `minimum_positives` positives, takes its level's global threshold. (SCutFBR of Yang, 2001, falls back to the
    highest validation score or to never instead, which gives up the rare labels.)

    `joint`: see joint.py. A label without positives takes its level's global threshold: its absence from validation
    does not show where its threshold should be.

    facts: guard, the level's global optimum, and fallen_back: {code: reason}.
    """
    everywhere = global_thresholds(truth, probabilities, tree)
    if options.guard == "joint":
        values = joint_thresholds(truth, probabilities, tree, options.folds, seed)
        support = truth.sum(axis=0)
        fallen_back = {code: "positives: 0" for label, code in enumerate(tree.labels) if not support[label]}
    else:
        values, fallen_back = _own_maxima(truth, probabilities, tree, options)
    for code in fallen_back:
        values[tree.index[code]] = everywhere.values[tree.index[code]]
    facts = {"guard": options.guard, "global": everywhere.facts, "fallen_back": fallen_back}
    return Thresholds(values, "per_label", facts)


def _own_maxima(
    truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, options: PerLabelOptions
) -> tuple[np.ndarray, dict[str, str]]:
    """The threshold with the highest F1 of each label, and the codes that shall not have theirs, with the reason."""
    support = truth.sum(axis=0)
    values, fallen_back = np.empty(len(tree.labels)), {}
    for label, code in enumerate(tree.labels):
        values[label], f1 = best_f1(truth[:, label], probabilities[:, label])
        if support[label] < options.minimum_positives:
            fallen_back[code] = f"positives: {support[label]}"
        elif f1 < options.floor:
            fallen_back[code] = f"best F1: {f1:.4f}"
    return values, fallen_back
