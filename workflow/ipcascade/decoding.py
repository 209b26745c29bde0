"""From probabilities to consistent label sets: the one function that every reader of probabilities calls.

A label is decided where its probability is strictly above its threshold, and a class counts only below a confident
section. Probabilities are float32 and thresholds float64, so the comparison is made in float64, where both are exact:
what was decided while thresholds were fitted is decided again, bit for bit, when they are applied.
"""

import numpy as np

from .config import DecodingOptions
from .taxonomy import Taxonomy


def decode(
    probabilities: np.ndarray, thresholds: np.ndarray, taxonomy: Taxonomy, options: DecodingOptions
) -> np.ndarray:
    """The labels of each document by the method `mask`, the rule of the published system.

    A section is predicted where its probability exceeds its threshold. A class is predicted where its probability
    exceeds its threshold and its section is confident: more probable than `options.confidence`, or, where that is
    None, predicted itself. A document without a confident section may take any class, so that a class that is sure of
    itself is not lost; such a class, and one below a confident section that is not predicted, stands without its
    section (`Taxonomy.close` adds it where a measure or a reader wants it).

    probabilities: float32 [documents, labels]; thresholds: float64 [labels]. Returns bool [documents, labels].
    """
    columns = taxonomy.columns
    predicted = np.greater(probabilities, thresholds.astype(np.float64, copy=False))
    if options.confidence is None:
        confident = predicted[:, columns["section"]]
    else:
        # A float64 scalar, not a Python float: NumPy would round the latter to float32 before comparing.
        confident = probabilities[:, columns["section"]] > np.float64(options.confidence)
    masked = confident.any(axis=1)
    predicted[:, columns["class"]] &= confident[:, taxonomy.parent_index] | ~masked[:, np.newaxis]
    return predicted
