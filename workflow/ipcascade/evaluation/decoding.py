"""From probabilities and thresholds to the predicted labels, as `decoding` in the config says.

The commands metrics and predict decode here. Choosing an epoch, the history and the published grid use the mask itself.
"""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.mask import predict_masked
from ipcascade.evaluation.options import DecodingOptions


def decode(probabilities: np.ndarray, thresholds: np.ndarray, tree: LabelTree, options: DecodingOptions) -> np.ndarray:
    """The labels of each document, by the method that the options name; `mask` is that of the published system.

    probabilities: float32 [documents, labels]; thresholds: float64 [labels]. Returns bool [documents, labels]. The
    method `mask` is described at `mask.predict_masked`.
    """
    match options.method:
        case "mask":
            return predict_masked(probabilities, thresholds, tree, options.confidence)
