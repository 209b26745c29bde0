"""How good predicted labels and probabilities are: one set of measures for validation, test, baseline and prediction.

Each topic has a module: flat.py and hierarchical.py measure label sets, ranking.py and calibration.py probabilities.
All of it is NumPy alone and holds no loop over documents, since validation runs it once per epoch. 0/0 counts as 0.

Arrays: truth and predicted are bool [documents, labels], probabilities float32 [documents, labels], all with the
columns in tree order.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.calibration import calibration_measures
from ipcascade.evaluation.counts import check_probabilities
from ipcascade.evaluation.flat import flat_measures
from ipcascade.evaluation.hierarchical import hierarchical_measures, reference_measures
from ipcascade.evaluation.ranking import ranking_measures
from ipcascade.evaluation.reference_h_f1 import has_reference_h_f1


def evaluate(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, tree: LabelTree) -> dict[str, Any]:
    """Every measure, nested: "documents", then one entry per level, "hierarchical", and "reference".

    Joins `label_set_measures` and `probability_measures`. All leaves are plain int, float or None, never NaN.
    Raises UserError for a probability outside 0 to 1 and ValueError where there are no documents.
    """
    measures = label_set_measures(truth, predicted, tree)
    of_probabilities = probability_measures(truth, probabilities, tree)
    return measures | {level: measures[level] | of_probabilities[level] for level in tree.levels}


def label_set_measures(truth: np.ndarray, predicted: np.ndarray, tree: LabelTree) -> dict[str, Any]:
    """The measures that need label sets: per level, hierarchical, and, from two levels on, the reference H-F1."""
    if not len(truth):
        raise ValueError("there are no documents to evaluate")
    measures: dict[str, Any] = {"documents": len(truth)}
    for level, columns in tree.columns.items():
        measures[level] = flat_measures(truth[:, columns], predicted[:, columns])
    measures["hierarchical"] = hierarchical_measures(truth, predicted, tree)
    if has_reference_h_f1(tree):
        measures["reference"] = reference_measures(truth, predicted, tree)
    return measures


def probability_measures(truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree) -> dict[str, Any]:
    """The measures that need no threshold: one entry per level."""
    check_probabilities(probabilities, tree.labels)
    return {
        level: ranking_measures(truth[:, columns], probabilities[:, columns])
        | calibration_measures(truth[:, columns], probabilities[:, columns])
        for level, columns in tree.columns.items()
    }


def flatten(measures: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    """Nested measures as one row: {"class.f1_micro": 0.5, ...}; None stays None, so that the columns never change."""
    flat: dict[str, float | None] = {}
    for name, value in measures.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
