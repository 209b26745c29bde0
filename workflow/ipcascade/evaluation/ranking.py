"""Measures of how probabilities rank the labels of one level; they need no threshold.

Memory: 8 bytes per document and label of the level, then 6 per true label of a document and label of the level.
"""

import numpy as np

from ipcascade.evaluation.counts import average_precision, exact_mean, ratio

PRECISION_AT = (1, 3, 5)


def ranking_measures(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """The measures of one level by name; truth: bool, probabilities: float32, [documents, labels of the level].

    Average precision (micro: over all cells; macro: over the labels with positives; None without positives), precision
    at k (true labels among the k most probable of a document, over k; of equally probable labels the first in tree
    order), and, as scikit-learn defines them, label-ranking average precision and coverage (the rank of a document's
    least probable true label).
    """
    documents = len(truth)
    supported = [value for value in label_average_precisions(truth, probabilities) if value is not None]
    measures: dict[str, float | None] = {
        "average_precision_micro": average_precision(truth.ravel(), probabilities.ravel()),
        "average_precision_macro": sum(supported) / len(supported) if supported else None,
    }
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(PRECISION_AT)]
    hit = np.take_along_axis(truth, best, axis=1)
    for k in PRECISION_AT:
        measures[f"precision_at_{k}"] = int(hit[:, :k].sum()) / (k * documents)
    return measures | _measures_of_true_ranks(truth, probabilities)


def label_average_precisions(truth: np.ndarray, probabilities: np.ndarray) -> list[float | None]:
    """The average precision of each label; None for a label without positives."""
    by_label = zip(np.ascontiguousarray(truth.T), np.ascontiguousarray(probabilities.T), strict=True)
    return [average_precision(*label) for label in by_label]


def _measures_of_true_ranks(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    # One row for each pair of a document and one of its true labels.
    document, label = np.nonzero(truth)
    at_or_above = probabilities[document] >= probabilities[document, label, np.newaxis]
    rank = at_or_above.sum(axis=1)
    true_rank = (at_or_above & truth[document]).sum(axis=1)
    labels = truth.sum(axis=1)
    precision = np.bincount(document, weights=true_rank / rank, minlength=len(truth))
    lowest = np.zeros(len(truth), dtype=np.int64)
    np.maximum.at(lowest, document, rank)
    return {
        # A document without true labels cannot be ranked wrongly: 1, as in scikit-learn.
        "label_ranking_average_precision": exact_mean(np.where(labels > 0, ratio(precision, labels), 1.0)),
        "coverage": int(lowest.sum()) / len(truth),
    }
