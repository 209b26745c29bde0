"""What a source of evidence corrects, and what it spoils: predicted labels with all sources, and without one of them.

Without a source means that all that comes after it is made without it, too: the weights of the others, calibration and
thresholds are fitted anew. So the difference is what the source is worth to someone who would have to do without it,
and what others can make up for is not counted. Sources overlap, so their effects do not add up.
"""

from typing import Any

import numpy as np

from ipcascade.evaluation.counts import precision_recall_f1

RARE_BELOW, FREQUENT_FROM = 10, 100
"""Training documents of a label below which it is rare, and from which it is frequent."""
ALL, RARE, MEDIUM, FREQUENT = "all", "rare", "medium", "frequent"
"""Groups of labels by frequency."""


def source_effects(
    truth: np.ndarray, predicted: np.ndarray, without: np.ndarray, training_truth: np.ndarray
) -> list[dict[str, Any]]:
    """One record for all labels of a level, and one per group of them by frequency that has labels.

    truth; predicted, with all sources; without, the source in question: bool [documents, labels of the level];
    training_truth: of the training documents, likewise. Keys: frequency (the group), labels (in it); then counts of
    pairs of a document and a label: true, found (of these, with all sources), true_gained (found only with the source),
    true_lost (only without), wrong (predicted with all sources and not true), wrong_removed (predicted only without),
    wrong_added (only with); and F1 micro over the labels of the group, f1 and f1_without.
    """
    train_documents = training_truth.sum(axis=0)
    rare, frequent = train_documents < RARE_BELOW, train_documents >= FREQUENT_FROM
    groups = {ALL: np.ones_like(rare), RARE: rare, MEDIUM: ~rare & ~frequent, FREQUENT: frequent}
    counts = {
        "true": truth,
        "found": truth & predicted,
        "true_gained": truth & predicted & ~without,
        "true_lost": truth & without & ~predicted,
        "wrong": predicted & ~truth,
        "wrong_removed": without & ~predicted & ~truth,
        "wrong_added": predicted & ~without & ~truth,
    }
    by_label = {name: cells.sum(axis=0) for name, cells in counts.items()}
    return [
        {"frequency": group, "labels": int(labels.sum()), **_effects(by_label, labels)}
        for group, labels in groups.items()
        if labels.any()
    ]


def _effects(by_label: dict[str, np.ndarray], labels: np.ndarray) -> dict[str, int | float]:
    """The counts of some labels together, and F1 with and without the source, which follows from them."""
    count = {name: int(of_label[labels].sum()) for name, of_label in by_label.items()}
    found_without = count["found"] - count["true_gained"] + count["true_lost"]
    wrong_without = count["wrong"] - count["wrong_added"] + count["wrong_removed"]
    return {
        **count,
        "f1": _f1(count["found"], count["wrong"], count["true"]),
        "f1_without": _f1(found_without, wrong_without, count["true"]),
    }


def _f1(found: int, wrong: int, true: int) -> float:
    return float(precision_recall_f1(*map(np.array, (found, found + wrong, true)))["f1"])
