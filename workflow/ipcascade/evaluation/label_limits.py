"""At least one label per document, and at most so many: the options of decoding that every method has, on arrays.

Both look at label sets closed under parents, since measures and readers close them: a label that is predicted without
its parent counts as one below it.
"""

from collections.abc import Mapping

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import NEVER


def add_most_probable(
    predicted: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray, tree: LabelTree
) -> np.ndarray:
    """The predicted labels, and where there is none the most probable one.

    A document without any label gets its most probable label of the first level; then, from the top down, each label
    that has children, but none that is predicted, gets its most probable child. Of equally probable labels the first
    in tree order is taken. A label with a probability of 0 or the threshold `counts.NEVER` is never added.

    predicted: bool, probabilities: float32, both [documents, labels]; thresholds: float64 [labels]. Returns bool
    [documents, labels].
    """
    candidates = np.where(thresholds < NEVER, probabilities, 0)
    closed = tree.close(predicted)
    completed = closed.copy()
    _add_best(completed, np.flatnonzero(~closed.any(axis=1)), np.arange(tree.sizes[0]), candidates)
    for label in np.flatnonzero(tree.has_children):  # in tree order: a label is added before its own children are
        children = np.flatnonzero(tree.parent == label)
        without = completed[:, label] & ~completed[:, children].any(axis=1)
        _add_best(completed, np.flatnonzero(without), children, candidates)
    return predicted | (completed & ~closed)


def _add_best(labels: np.ndarray, rows: np.ndarray, columns: np.ndarray, candidates: np.ndarray) -> None:
    """Set, in `labels`, the best of some columns for some documents, where its probability is above 0.

    labels: bool, candidates: float32, both [documents, labels]; rows: of documents; columns: of labels.
    """
    best = columns[np.argmax(candidates[np.ix_(rows, columns)], axis=1)]
    possible = candidates[rows, best] > 0
    labels[rows[possible], best[possible]] = True


def keep_most_probable(
    predicted: np.ndarray, probabilities: np.ndarray, tree: LabelTree, most: Mapping[str, int]
) -> np.ndarray:
    """The predicted labels without those that are too many for their level.

    From the top down, each level keeps its most probable labels, at most as many as `most` says of it; all below a
    label that goes is removed, too. Of equally probable labels the first in tree order are kept. An ancestor of a
    predicted label counts as predicted, so that closing the result under parents does not exceed the limits either.

    predicted: bool, probabilities: float32, both [documents, labels]; most: by level, levels without a limit are not
    there. Returns bool [documents, labels]; a document with labels keeps at least one.
    """
    kept = tree.close(predicted)
    for level, columns in tree.columns.items():
        if columns.start:
            kept[:, columns] &= kept[:, tree.parent[columns]]
        if level in most:
            kept[:, columns] = _most_probable(kept[:, columns], probabilities[:, columns], most[level])
    return predicted & kept


def _most_probable(labels: np.ndarray, probabilities: np.ndarray, most: int) -> np.ndarray:
    """At most so many labels of each document; labels: bool, probabilities: float32, both [documents, labels]."""
    kept = labels.copy()
    rows = np.flatnonzero(labels.sum(axis=1) > most)
    ranked = np.argsort(np.where(labels[rows], -probabilities[rows], 1), axis=1, kind="stable")
    kept[rows[:, None], ranked[:, most:]] = False
    return kept
