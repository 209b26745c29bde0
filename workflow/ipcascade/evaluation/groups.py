"""Measures by groups of documents: by number of labels, by length of text, and by whatever the corpus says of them.

A group is a name and the documents in it, bool [documents]. Groups without documents are left out.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ipcascade.evaluation.counts import precision_recall_f1

MOST_LABELS = 5
"""From so many labels on, documents are one group."""
WORDS = (0, 50, 100, 150, 200, 300)
"""Where the bands of text length begin."""
UNKNOWN = "unknown"
"""The group of the documents for which the corpus has no value."""

Group = tuple[str, np.ndarray]


def by_label_count(truth: np.ndarray) -> list[Group]:
    """Groups by the number of true labels; truth: bool [documents, labels of the level]."""
    counts = np.minimum(truth.sum(axis=1), MOST_LABELS)
    names = {MOST_LABELS: f"{MOST_LABELS} or more"}
    return [(names.get(count, str(count)), counts == count) for count in np.unique(counts).tolist()]


def by_words(words: np.ndarray) -> list[Group]:
    """Groups by the bands of `WORDS`; words: int [documents]."""
    bands = np.searchsorted(WORDS, words, side="right") - 1
    names = [f"{low} to {after - 1}" for low, after in pairwise(WORDS)] + [f"{WORDS[-1]} or more"]
    return [(names[band], bands == band) for band in np.unique(bands).tolist()]


def by_value(values: Sequence[Any]) -> list[Group]:
    """Groups of equal values, in ascending order; None is the group `UNKNOWN`, the last one."""
    column = np.array(values, dtype=object)
    known = sorted({value for value in values if value is not None})
    groups = [(str(value), column == value) for value in known]
    unknown = np.array([value is None for value in values], dtype=bool)
    return [*groups, (UNKNOWN, unknown)] if unknown.any() else groups


def group_measures(truth: np.ndarray, predicted: np.ndarray, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One record per group: group, documents, and micro precision, recall and f1 over its documents.

    truth, predicted: bool [documents, labels of the level].
    """
    by_document = [counts.sum(axis=1) for counts in (truth & predicted, predicted, truth)]
    records = []
    for name, documents in groups:
        measures = precision_recall_f1(*(counts[documents].sum() for counts in by_document))
        micro = {measure: float(value) for measure, value in measures.items()}
        records.append({"group": name, "documents": int(documents.sum()), **micro})
    return records
