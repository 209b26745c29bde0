"""Measures of label sets over all levels at once: hierarchical precision, recall and F1, and the reference H-F1."""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import exact_mean, precision_recall_f1
from ipcascade.evaluation.reference_h_f1 import reference_h_f1


def closed_counts(truth: np.ndarray, predicted: np.ndarray, tree: LabelTree) -> tuple[np.ndarray, ...]:
    """Counts of each document over label sets closed under parents: true positives, predicted, true.

    truth, predicted: bool [documents, labels]. Returns three arrays of whole numbers [documents].
    """
    true, closed = tree.close(truth), tree.close(predicted)
    return (true & closed).sum(axis=1), closed.sum(axis=1), true.sum(axis=1)


def hierarchical_measures(truth: np.ndarray, predicted: np.ndarray, tree: LabelTree) -> dict[str, float]:
    """The measures of Kiritchenko et al. (2006), over the labels of all levels.

    With the true set Y and the predicted set Y^ of each document, both closed under parents: precision_micro =
    sum |Y^ and Y| / sum |Y^|, recall_micro = sum |Y^ and Y| / sum |Y|, f1_micro is their harmonic mean, and
    f1_document is the mean over documents of 2 |Y^ and Y| / (|Y^| + |Y|). hiclass calls the average over documents
    "macro": its macro hF is `f1_document`.
    """
    by_document = closed_counts(truth, predicted, tree)
    micro = precision_recall_f1(*(counts.sum() for counts in by_document))
    measures = {f"{name}_micro": float(value) for name, value in micro.items()}
    measures["f1_document"] = exact_mean(precision_recall_f1(*by_document)["f1"])
    return measures


def reference_measures(truth: np.ndarray, predicted: np.ndarray, tree: LabelTree) -> dict[str, float | None]:
    """The mean reference H-F1, its ceiling (that of the truth against itself, about 1/2), and the share of the ceiling.

    The share is None where the ceiling is 0. For trees of at least two levels; the first two are read.
    """
    score = exact_mean(reference_h_f1(truth, predicted, tree))
    ceiling = exact_mean(reference_h_f1(truth, truth, tree))
    return {"h_f1": score, "h_f1_ceiling": ceiling, "h_f1_share": score / ceiling if ceiling else None}
