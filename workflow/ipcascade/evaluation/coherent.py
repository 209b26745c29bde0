"""The decoding `coherent`: label sets closed under parents, the best ones by what their labels gain, on arrays."""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import NEVER


def predict_coherent(probabilities: np.ndarray, thresholds: np.ndarray, tree: LabelTree) -> np.ndarray:
    """Of each document the label set, closed under parents, with the largest sum of p - t over its labels.

    p is the probability of a label and t its threshold. From the bottom up, what a label gains is

        gain(v) = p_v - t_v + sum over its children c of max(0, gain(c))

    and from the top down a label is predicted where its gain is above 0 and its parent is predicted. So a label below
    its threshold is predicted where the labels below it gain more than it loses, and one above its threshold is not
    where its parent loses more. A label without children has to be above its threshold, strictly, as elsewhere. Gains
    are computed in float64, and a gain of exactly 0 is not predicted, so of equally good sets the smallest is taken.

    A label with the threshold `counts.NEVER` is never predicted, whatever the labels below it gain. Since the sets are
    closed, nothing below it is predicted either.

    With one threshold t = F/2 for all labels, where F is the highest value of

        2 * (sum of p over the predicted labels) / (number of predicted labels + sum of all p)

    over all closed label sets of all documents, these sets reach it: F is micro hierarchical F1 with the counts of true
    labels replaced by their expectations (Dinkelbach, "On Nonlinear Fractional Programming", Management Science 1967).
    The thresholds of a fit are others, per level or per label, so that any threshold method can be decoded.

    probabilities: float32 [documents, labels]; thresholds: float64 [labels]. Returns bool [documents, labels].
    """
    predicted = np.zeros(probabilities.shape, dtype=bool)
    parents, gained = np.zeros(0, dtype=np.int64), np.zeros((len(probabilities), 0))
    for columns in reversed(tree.columns.values()):
        gain = probabilities[:, columns] - thresholds[columns].astype(np.float64, copy=False)
        gain[:, parents - columns.start] += gained
        gain[:, thresholds[columns] >= NEVER] = -np.inf
        predicted[:, columns] = gain > 0
        if columns.start:  # all levels but the first have parents
            parents, gained = _by_parent(np.maximum(gain, 0), tree.parent[columns])
    for columns in list(tree.columns.values())[1:]:
        predicted[:, columns] &= predicted[:, tree.parent[columns]]
    return predicted


def _by_parent(values: np.ndarray, parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns of the parents, and the sum over the children of each, [documents, parents].

    values: [documents, labels of a level]; parent: the column of the parent of each of these labels.
    """
    order = np.argsort(parent, kind="stable")
    parents, starts = np.unique(parent[order], return_index=True)
    return parents, np.add.reduceat(values[:, order], starts, axis=1)
