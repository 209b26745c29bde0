"""Measures of the label sets of one level, as if it had no parents: precision, recall, F1, exact match, counts."""

from typing import Any

import numpy as np

from ipcascade.evaluation.counts import exact_mean, precision_recall_f1, ratio


def flat_measures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """The measures of one level by name; truth, predicted: bool [documents, labels of the level].

    F1, precision and recall: `micro` from the counts of all labels together, `macro` averaged over all labels,
    `macro_supported` over the labels that occur in the truth, `weighted` over labels by their support, `document` over
    documents (scikit-learn's `samples`).
    """
    hits = truth & predicted
    support = truth.sum(axis=0)
    by_label = [hits.sum(axis=0), predicted.sum(axis=0), support]
    by_document = [hits.sum(axis=1), predicted.sum(axis=1), truth.sum(axis=1)]
    micro = precision_recall_f1(*(counts.sum() for counts in by_label))
    label, document = precision_recall_f1(*by_label), precision_recall_f1(*by_document)

    measures: dict[str, Any] = {}
    for name in ("f1", "precision", "recall"):
        measures[f"{name}_micro"] = float(micro[name])
        measures[f"{name}_macro"] = float(label[name].mean())
        measures[f"{name}_macro_supported"] = float(ratio(label[name][support > 0].sum(), (support > 0).sum()))
        measures[f"{name}_weighted"] = float(ratio((support * label[name]).sum(), support.sum()))
        measures[f"{name}_document"] = exact_mean(document[name])
    documents = len(truth)
    return measures | {
        "exact_match": int((truth == predicted).all(axis=1).sum()) / documents,
        "labels_with_support": int((support > 0).sum()),
        "labels_predicted": int((by_label[1] > 0).sum()),
        "labels_per_document": int(support.sum()) / documents,
        "predicted_per_document": int(by_label[1].sum()) / documents,
        "documents_without_prediction": int((by_document[1] == 0).sum()) / documents,
    }
