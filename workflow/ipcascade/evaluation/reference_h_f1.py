"""Reference H-F1, the published system's own measure, and its grid search of thresholds.

The measure is defined on two levels. Of a deeper tree it reads the first two; a tree of one level does not have it.

Training imports this module: a change to it runs training again.
"""

from dataclasses import dataclass

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import exact_mean, ratio
from ipcascade.evaluation.mask import predict_masked, thresholds_of_levels

LEVELS = 2
"""Levels that the measure is defined on."""
PARTIAL_CREDIT = 0.5
"""Credit for a label whose parent is right while the label is not."""
GRID = tuple(step / 20 for step in range(2, 15))
"""The published grid of a level: 0.1, 0.15, ..., 0.7 (each the float nearest to its decimal, unlike np.arange's)."""


def has_reference_h_f1(tree: LabelTree) -> bool:
    """Whether the tree has the two levels that the measure needs."""
    return len(tree.levels) >= LEVELS


def first_levels(tree: LabelTree) -> LabelTree:
    """The tree of the levels that the measure reads; its columns are the first ones of `tree`."""
    return tree.select(tree.levels[:LEVELS])


def reference_h_f1(truth: np.ndarray, predicted: np.ndarray, tree: LabelTree) -> np.ndarray:
    """The published system's hierarchical F1 of each document, float64 [documents]; its ceiling is about 1/2, not 1.

    With the true labels S of the first level and C of the second (sections and classes of the IPC), the predicted ones
    S^ and C^, and partial credit a = `PARTIAL_CREDIT`:
    precision = (sum over c in C^ of (1 if c in C, else a if parent(c) in S, else 0)
    + a * #{s in S^ and S without a predicted label below}) / (|S^| + |C^|); recall is the same with the roles of truth
    and prediction exchanged; F1 is their harmonic mean, 0 where both are 0.

    The sets are taken as they are, not closed under parents: the published measure reads S^ and C^ as predicted, and
    closing them would change its denominators.

    truth, predicted: bool [documents, labels]. Raises ValueError for a tree of one level.
    """
    if not has_reference_h_f1(tree):
        raise ValueError("reference H-F1 is defined on two levels; the label tree has one")
    labels = sum(tree.sizes[:LEVELS])
    truth, predicted = truth[:, :labels], predicted[:, :labels]
    precision = ratio(_credit(predicted, truth, tree), predicted.sum(axis=1))
    recall = ratio(_credit(truth, predicted, tree), truth.sum(axis=1))
    return ratio(2 * precision * recall, precision + recall)


def _credit(labels: np.ndarray, others: np.ndarray, tree: LabelTree) -> np.ndarray:
    """The numerator of the precision (labels: predicted, others: true) or recall, float64 [documents]."""
    above, columns = list(tree.columns.values())[:LEVELS]
    # The pairs of a document and one of its labels: few, where the matrix has a column for each label.
    document, label = np.divmod(np.flatnonzero(labels), labels.shape[1])
    is_below = label >= columns.start
    document, label = document[is_below], label[is_below]
    parent = tree.parent[label]
    found, near = others[document, label], others[document, parent]
    credit = np.bincount(document, weights=np.where(found, 1.0, PARTIAL_CREDIT * near), minlength=len(labels))
    childless = np.ones((len(labels), above.stop), dtype=bool)
    childless[document, parent] = False
    return credit + PARTIAL_CREDIT * (labels[:, above] & others[:, above] & childless).sum(axis=1)


@dataclass(frozen=True)
class GridOptimum:
    """The best pair of the grid: the thresholds by level, and the mean reference H-F1 that they reach."""

    thresholds: dict[str, float]
    h_f1: float


def best_on_grid(
    truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, confidence: float | None
) -> GridOptimum:
    """The published search: the pair of `GRID` x `GRID` whose masked label sets have the highest mean reference H-F1.

    Among equals the lowest threshold of the first level wins, then the lowest of the second.

    truth: bool, probabilities: float32, both [documents, labels]; confidence: as in `predict_masked`. Only the first
    two levels are read. Raises ValueError for a tree of one level.
    """
    if not has_reference_h_f1(tree):
        raise ValueError("the published grid has two levels; the label tree has one")
    two = first_levels(tree)
    truth, probabilities = truth[:, : len(two.labels)], probabilities[:, : len(two.labels)]
    best: GridOptimum | None = None
    for first in GRID:
        for second in GRID:
            thresholds = dict(zip(two.levels, (first, second), strict=True))
            predicted = predict_masked(probabilities, thresholds_of_levels(thresholds, two), two, confidence)
            h_f1 = exact_mean(reference_h_f1(truth, predicted, two))
            if best is None or h_f1 > best.h_f1:
                best = GridOptimum(thresholds, h_f1)
    assert best is not None
    return best
