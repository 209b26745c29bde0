"""Measures of the probabilities of one level as probabilities: Brier score, log loss, calibration error."""

import numpy as np

from ipcascade.evaluation.counts import clipped, counts_above

CALIBRATION_BINS = 15
"""Bins of equal width of the expected calibration error."""


def calibration_measures(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The measures of one level by name; truth: bool, probabilities: float32, [documents, labels of the level].

    Over all cells: Brier score (mean squared error), log loss (mean binary cross-entropy), and expected calibration
    error over `CALIBRATION_BINS` bins of equal width.
    """
    values, positives, cells = counts_above(truth.ravel(), probabilities.ravel())
    value = values.astype(np.float64)
    positive, cell = np.diff(positives, prepend=0), np.diff(cells, prepend=0)
    negative = cell - positive
    inside = clipped(value)
    bins = np.minimum((value * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gap = np.bincount(bins, weights=cell * value) - np.bincount(bins, weights=positive)
    return {
        "brier": float((positive * (1 - value) ** 2 + negative * value**2).sum() / truth.size),
        "log_loss": float(-(positive * np.log(inside) + negative * np.log1p(-inside)).sum() / truth.size),
        "calibration_error": float(np.abs(gap).sum() / truth.size),
    }
