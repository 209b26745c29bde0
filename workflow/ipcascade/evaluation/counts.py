"""The arithmetic that thresholds, measures and the choice of an epoch share, on arrays.

Training imports this module: a change to it runs training again. Two rules keep results the same bytes whatever the
order of the documents and the number of threads: counts are whole numbers, and whatever is not is summed either exactly
(`math.fsum`) or in the order of the sorted probabilities.

0/0 counts as 0 everywhere, as scikit-learn's `zero_division=0`. A cell is a pair of a document and a label.
"""

import math
from collections.abc import Sequence

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree

LOG_LOSS_CLIP = 1e-7
"""Logarithms are taken of probabilities at least this far from 0 and 1, about the spacing of float32 below 1."""
NEVER = 1.0
"""The threshold where no cut of the ranking finds a positive: no probability is above it."""


def check_probabilities(probabilities: np.ndarray, labels: Sequence[str]) -> None:
    """Raises UserError, naming row and label, for a probability that is not a number from 0 to 1.

    probabilities: [documents, labels]. Raises ValueError where it has no rows.
    """
    if not len(probabilities):
        raise ValueError("there are no documents to evaluate")
    valid = (probabilities >= 0) & (probabilities <= 1)  # NaN fails both
    if not valid.all():
        row, label = (int(position) for position in np.argwhere(~valid)[0])
        raise UserError(
            f"the document at row {row} has the probability {probabilities[row, label]} for the label "
            f"{labels[label]!r}, not a number from 0 to 1; a model that diverged in training gives such values"
        )


def clipped(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as float64, those nearer to 0 or 1 than `LOG_LOSS_CLIP` moved to it."""
    return np.clip(probabilities.astype(np.float64), LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their quotient, and 0 for 0/0."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=np.asarray(denominator) > 0)


def precision_recall_f1(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 from counts of true positives, predicted and true, all of one shape."""
    return {
        "precision": ratio(hits, predicted),
        "recall": ratio(hits, true),
        "f1": ratio(2 * hits, predicted + true),
    }


def f1_micro(truth: np.ndarray, predicted: np.ndarray) -> float:
    """F1 over all cells, from bool [documents, labels]."""
    return float(precision_recall_f1((truth & predicted).sum(), predicted.sum(), truth.sum())["f1"])


def f1_macro(truth: np.ndarray, predicted: np.ndarray) -> float:
    """The mean over labels of their F1, from bool [documents, labels]."""
    by_label = precision_recall_f1((truth & predicted).sum(axis=0), predicted.sum(axis=0), truth.sum(axis=0))
    return float(by_label["f1"].mean())


def exact_mean(values: np.ndarray) -> float:
    """The mean, from an exactly rounded sum: the same for any order of the values."""
    return math.fsum(values.tolist()) / len(values)


def counts_above(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each possible cut of a ranking would predict; average precision and exact thresholds are made of it.

    truth, probabilities: [cells]. Returns three arrays [distinct probabilities], from the highest down: the
    probability, the positives at or above it, and the cells at or above it. No cut separates cells of one probability.
    """
    order = np.argsort(probabilities)[::-1]
    ranked = probabilities[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return ranked[last], np.cumsum(truth[order])[last], last + 1


def average_precision(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Sum over the distinct probabilities of (gain in recall) * precision, without interpolation, over [cells].

    None where no cell is true.
    """
    _, positives, cells = counts_above(truth, probabilities)
    if positives[-1] == 0:
        return None
    return float((np.diff(positives, prepend=0) * (positives / cells)).sum() / positives[-1])


def best_f1(truth: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """The threshold with the highest F1 over [cells], and that F1; `NEVER` and 0 where no cut finds a positive.

    Of equally good cuts the one with the fewest predictions is taken.
    """
    values, positives, predicted = counts_above(truth, probabilities)
    f1 = 2 * positives / (predicted + positives[-1])
    f1[values == 0] = 0  # a probability of 0 is not above any threshold
    best = int(np.argmax(f1))
    return (threshold_below(values, best), float(f1[best])) if f1[best] > 0 else (NEVER, 0.0)


def threshold_below(values: np.ndarray, position: int) -> float:
    """The threshold that values[position] is just above: halfway to the next lower value, or to 0 below the last.

    values: descending, float32. In float64 the midpoint of two float32 numbers is strictly below the upper one and not
    below the lower one, so no document changes sides by rounding.
    """
    lower = float(values[position + 1]) if position + 1 < len(values) else 0.0
    return (float(values[position]) + lower) / 2


def best_f1_of_levels(truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree) -> dict[str, tuple[float, float]]:
    """For each level what `best_f1` gives over all cells of the level: {level: (threshold, micro F1)}.

    truth: bool, probabilities: float32, both [documents, labels].
    """
    return {
        level: best_f1(truth[:, columns].ravel(), probabilities[:, columns].ravel())
        for level, columns in tree.columns.items()
    }
