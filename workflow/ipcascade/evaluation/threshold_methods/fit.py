"""Fitting thresholds by the method that the config names; on the validation split, never on the test split.

A new method is a module beside this one, with a function that returns `Thresholds`, a case below, and a word in
`ThresholdOptions.method`.

Except for `reference`, which scores masked label sets, thresholds are fitted on the probabilities as they are, before
decoding: the optimum of a level would otherwise depend on the thresholds of the others.

Every fit is exact by sorting once, O(n log n), where a grid would only come near.
"""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.options import by_level
from ipcascade.evaluation.counts import check_probabilities
from ipcascade.evaluation.options import DecodingOptions, ThresholdOptions
from ipcascade.evaluation.threshold_methods.blend import blended_thresholds
from ipcascade.evaluation.threshold_methods.expected_f1 import expected_f1_thresholds
from ipcascade.evaluation.threshold_methods.fixed import fixed_thresholds
from ipcascade.evaluation.threshold_methods.global_optimum import global_thresholds
from ipcascade.evaluation.threshold_methods.per_label import per_label_thresholds
from ipcascade.evaluation.threshold_methods.reference import reference_thresholds
from ipcascade.evaluation.thresholds import Thresholds


def fit_thresholds(
    truth: np.ndarray,
    probabilities: np.ndarray,
    tree: LabelTree,
    options: ThresholdOptions,
    decoding: DecodingOptions,
    seed: int,
) -> Thresholds:
    """Thresholds by the method that the options name.

    truth: bool [documents, labels]; probabilities: float32 [documents, labels], both of the validation split.
    Raises UserError for a probability outside 0 to 1, and for the method `reference` with other than two levels.
    """
    check_probabilities(probabilities, tree.labels)
    match options.method:
        case "fixed":
            return fixed_thresholds(by_level(options.fixed, tree.levels), tree)
        case "global":
            return global_thresholds(truth, probabilities, tree)
        case "per_label":
            return per_label_thresholds(truth, probabilities, tree, options.per_label, seed)
        case "expected_f1":
            return expected_f1_thresholds(probabilities, tree)
        case "blend":
            return blended_thresholds(truth, probabilities, tree, options.blend)
        case "reference":
            return reference_thresholds(truth, probabilities, tree, decoding)
