"""Whether probabilities can be taken at their word: by band of probability, the share of labels that is true."""

from typing import Any

import numpy as np

from ipcascade.evaluation.counts import counts_above

BANDS = 10
"""Bands of equal width; a band holds its lower bound, the last one 1, too."""


def reliability(truth: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """One record per band, from 0 up: low, high, pairs, mean_probability and share_true (None where it is empty).

    truth: bool, probabilities: float32, [documents, labels of the level]. A pair is a document and a label. Where
    probabilities are calibrated, the share that is true is the mean probability (DeGroot and Fienberg 1983).
    """
    values, positives, cells = counts_above(truth.ravel(), probabilities.ravel())
    value = values.astype(np.float64)
    positive, cell = np.diff(positives, prepend=0), np.diff(cells, prepend=0)
    # In float64 ten times a float32 is exact, so that no probability falls into a neighbour's band.
    bands = np.minimum((value * BANDS).astype(np.int64), BANDS - 1)
    pairs, true, total = (np.bincount(bands, weights=of, minlength=BANDS) for of in (cell, positive, cell * value))
    return [
        {
            "low": band / BANDS,
            "high": (band + 1) / BANDS,
            "pairs": int(pairs[band]),
            "mean_probability": float(total[band] / pairs[band]) if pairs[band] else None,
            "share_true": float(true[band] / pairs[band]) if pairs[band] else None,
        }
        for band in range(BANDS)
    ]
