"""From probabilities to consistent label sets: thresholds, and the mask over the label tree, on arrays.

A label is predicted where its probability is strictly above its threshold, and labels below the first level count only
below confident parents. Probabilities are float32 and thresholds float64, so the comparison is made in float64, where
both are exact: what was predicted while thresholds were fitted is predicted again, bit for bit, when they are applied.

Training imports this module: a change to it runs training again.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from ipcascade.core.label_tree import LabelTree


def predict_masked(
    probabilities: np.ndarray, thresholds: np.ndarray, tree: LabelTree, confidence: float | None
) -> np.ndarray:
    """The labels of each document, level by level from the top.

    A label is predicted where its probability exceeds its threshold and its parent is confident. A label is confident
    where its probability exceeds `confidence`, or, where that is None, where it is predicted itself. Where a document
    has no confident label in the level above, all labels of the level are allowed, so that a label with a high
    probability is not lost; such a label, and one below a confident parent that is not predicted, is predicted without
    its parent (`LabelTree.close` adds it where a measure or a reader needs it).

    probabilities: float32 [documents, labels]; thresholds: float64 [labels]. Returns bool [documents, labels].
    """
    predicted = np.greater(probabilities, thresholds.astype(np.float64, copy=False))
    for above, columns in pairwise(tree.columns.values()):
        # A float64 scalar, not a Python float: NumPy would round the latter to float32 before comparing.
        confident = predicted[:, above] if confidence is None else probabilities[:, above] > np.float64(confidence)
        parents = tree.parent[columns] - above.start
        predicted[:, columns] &= confident[:, parents] | ~confident.any(axis=1, keepdims=True)
    return predicted


def thresholds_of_levels(values: Mapping[str, float], tree: LabelTree) -> np.ndarray:
    """One threshold per level as one per label: float64 [labels]."""
    return np.repeat([float(values[level]) for level in tree.levels], tree.sizes)
