"""The measures of each label, for the table in a metrics file."""

from typing import Any

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import check_probabilities, precision_recall_f1
from ipcascade.evaluation.ranking import label_average_precisions


def per_label_measures(
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    tree: LabelTree,
    thresholds: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """One record per label, in tree order: code, title, level, support, predicted, precision, recall, f1,
    average_precision (None without positives) and, where thresholds (float [labels]) are given, threshold.

    truth, predicted: bool, probabilities: float32, all [documents, labels]. Raises UserError for a probability outside
    0 to 1 and ValueError where there are no documents.
    """
    check_probabilities(probabilities, tree.labels)
    support, predictions = truth.sum(axis=0), predicted.sum(axis=0)
    scores = precision_recall_f1((truth & predicted).sum(axis=0), predictions, support)
    precisions = label_average_precisions(truth, probabilities)
    levels = [level for level in tree.levels for _ in tree.codes(level)]
    records = []
    for label, code in enumerate(tree.labels):
        record = {
            "code": code,
            "title": tree.titles[label],
            "level": levels[label],
            "support": int(support[label]),
            "predicted": int(predictions[label]),
            **{name: float(scores[name][label]) for name in ("precision", "recall", "f1")},
            "average_precision": precisions[label],
        }
        if thresholds is not None:
            record["threshold"] = float(thresholds[label])
        records.append(record)
    return records
