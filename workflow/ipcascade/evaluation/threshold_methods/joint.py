"""The micro+macro method of Lin and Lin, the guard `joint` of the method `per_label`.

"On the Thresholding Strategy for Infrequent Labels in Multi-label Classification", CIKM 2023, section 4.3;
`train_thresholding` of LibMultiLabel.
"""

from dataclasses import dataclass

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.evaluation.counts import counts_above, ratio, threshold_below


def joint_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, folds: int, seed: int
) -> np.ndarray:
    """One threshold per label, float64 [labels]; truth: bool, probabilities: float32, both [documents, labels].

    Level by level, labels are taken by descending frequency. The documents are dealt into folds anew for each label;
    in each fold the cut is chosen that maximises

        F1 of the label in the fold / j  +  2 (TP + tp) / (2 (TP + tp) + (FP + fp) + (FN + fn))

    where j counts the labels so far, this one included, tp, fp and fn are the label's counts in the fold, and TP, FP
    and FN the counts of all labels before it at their chosen cuts, summed over folds: its share of macro F1, plus
    the micro F1 so far. The label's threshold is the mean over folds. Predicting nothing is a cut too (at the highest
    probability of the fold). The original trains one model per fold; here the folds only steady the threshold.
    """
    thresholds = np.empty(len(tree.labels))
    folds = min(folds, len(truth))
    for columns in tree.columns.values():
        labels = np.arange(columns.start, columns.stop)
        labels = labels[np.argsort(-truth[:, labels].sum(axis=0), kind="stable")]
        before = _Counts(0, 0)
        for rank, label in enumerate(labels, start=1):
            deal = stream(seed, "thresholds", "joint", tree.labels[label]).permutation(len(truth))
            cuts = [
                _best_cut(truth[fold, label], probabilities[fold, label], before, rank)
                for fold in np.array_split(deal, folds)
            ]
            thresholds[label] = sum(cut for cut, _ in cuts) / folds
            for _, counts in cuts:
                before += counts
    return thresholds


@dataclass(frozen=True)
class _Counts:
    """hits: true positives TP; total: 2 TP + FP + FN."""

    hits: int
    total: int

    def __add__(self, other: "_Counts") -> "_Counts":
        return _Counts(self.hits + other.hits, self.total + other.total)


def _best_cut(truth: np.ndarray, probabilities: np.ndarray, before: _Counts, rank: int) -> tuple[float, _Counts]:
    """The threshold of one label in one fold, and the label's counts there; truth, probabilities: [documents].

    before: the counts of the labels before it; rank: how many labels there are so far, j above.
    """
    values, positives, predicted = counts_above(truth, probabilities)
    possible = values > 0
    # The first cut predicts nothing.
    hits = np.append(0, positives[possible])
    total = np.append(0, predicted[possible]) + positives[-1]
    micro = ratio(2 * (before.hits + hits), before.total + total)
    best = int(np.argmax(ratio(2 * hits, total) / rank + micro))
    threshold = threshold_below(values, best - 1) if best else float(values[0])
    return threshold, _Counts(int(hits[best]), int(total[best]))
