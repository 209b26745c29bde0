"""From probabilities and thresholds to the predicted labels, as `decoding` in the config says.

The commands metrics and predict decode here. Choosing an epoch, the history and the published grid use the mask itself.
"""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.coherent import predict_coherent
from ipcascade.evaluation.label_limits import add_most_probable, keep_most_probable
from ipcascade.evaluation.mask import predict_masked
from ipcascade.evaluation.options import DecodingOptions, most_labels


def decode(probabilities: np.ndarray, thresholds: np.ndarray, tree: LabelTree, options: DecodingOptions) -> np.ndarray:
    """The labels of each document, by the method that the options name; `mask` is that of the published system.

    The methods are described at `mask.predict_masked` and `coherent.predict_coherent`, the options `at_least_one` and
    `at_most` in label_limits.py. `at_most` is applied last: no document has more labels than it says, though a label
    that `at_least_one` added may go again.

    probabilities: float32 [documents, labels]; thresholds: float64 [labels]. Returns bool [documents, labels].
    """
    match options.method:
        case "mask":
            predicted = predict_masked(probabilities, thresholds, tree, options.confidence)
        case "coherent":
            predicted = predict_coherent(probabilities, thresholds, tree)
    if options.at_least_one:
        predicted = add_most_probable(predicted, probabilities, thresholds, tree)
    if most := most_labels(options, tree.levels):
        predicted = keep_most_probable(predicted, probabilities, tree, most)
    return predicted
