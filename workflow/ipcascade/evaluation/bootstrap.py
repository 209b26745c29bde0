"""Confidence intervals of the headline measures, by bootstrap over groups of documents.

Groups (what no split divides) are drawn with replacement, not documents: members of a group share their labels and most
of their text, so documents are not independent and would make the confidence intervals too narrow.

All headline measures follow from counts that add up over groups. So nothing is evaluated again: the counts of a
bootstrap sample are a row of weights, how often each group was drawn, times a matrix of counts per group.

Memory: 24 bytes per group and label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.evaluation.counts import precision_recall_f1, ratio
from ipcascade.evaluation.hierarchical import closed_counts
from ipcascade.evaluation.reference_h_f1 import has_reference_h_f1, reference_h_f1

# Bootstrap samples that are worked on at once: bounds memory at this many float64 per group.
SAMPLES_AT_ONCE = 50
# Macro measures by the ends of their names: which labels they average over depends on the bootstrap sample.
MACRO = (".f1_macro", ".f1_macro_supported")
# Sums of H-F1 are kept in whole multiples of this: exact in float64 up to 2**53, thus the same in any order.
H_F1_UNIT = 2.0**-30


def confidence_intervals(
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: Sequence[Any] | np.ndarray,
    tree: LabelTree,
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, list[float]]:
    """Percentiles [low, high] of the headline measures, by their dotted names; empty where samples is 0.

    truth, predicted: bool [documents, labels]; groups: one name per document; confidence: the share of samples within.
    """
    if samples == 0:
        return {}
    bounds = [(1 - confidence) / 2, (1 + confidence) / 2]
    values = bootstrap_values(truth, predicted, groups, tree, samples, seed)
    return {name: [float(bound) for bound in np.quantile(sample, bounds)] for name, sample in values.items()}


def bootstrap_values(
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: Sequence[Any] | np.ndarray,
    tree: LabelTree,
    samples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """The headline measures in each bootstrap sample, from 0 to 1: {dotted name: float64 [samples]}.

    Groups are numbered in the order of their names: the order of the documents changes nothing.
    """
    found = unclipped_values(truth, predicted, groups, tree, samples, seed)
    return found | {name: np.clip(values, 0, 1) for name, values in found.items() if name.endswith(MACRO)}


def unclipped_values(
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: Sequence[Any] | np.ndarray,
    tree: LabelTree,
    samples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """`bootstrap_values`, where those of macro measures may be a little below 0 or above 1 (see `_recentred`).

    Differences of runs are taken of these: cutting off is not linear, and all else that is done to the values is.
    """
    counts = _counts_of_groups(truth, predicted, groups, tree)
    occurs = (counts.predicted + counts.true).any(axis=0)
    parts: dict[str, list[np.ndarray]] = {}
    for weights in group_weights(len(counts.documents), samples, seed):
        for name, values in _headline_measures(counts.of_samples(weights), occurs, tree).items():
            parts.setdefault(name, []).append(values)
    found = {name: np.concatenate(values) for name, values in parts.items()}
    everything = _headline_measures(counts.of_samples(np.ones((1, len(counts.documents)))), occurs, tree)
    return found | {name: _recentred(found[name], float(everything[name][0])) for name in found if name.endswith(MACRO)}


def _recentred(values: np.ndarray, value: float) -> np.ndarray:
    """Bootstrap values of macro F1, moved so that their mean is the value over all documents.

    Which rare labels a sample misses moves its macro F1 one way: leaving them out of the mean raises it where they have
    a low F1, as rare labels do. That is due to resampling, not to the documents.
    """
    return values - values.mean() + value


def headline_names(tree: LabelTree) -> tuple[str, ...]:
    """The dotted names of the measures that are bootstrapped."""
    ones, labels = np.ones(1), np.ones((1, len(tree.labels)))
    counts = _Counts(labels, labels, labels, ones, ones, ones, ones, ones)
    return tuple(_headline_measures(counts, labels[0], tree))


def group_weights(groups: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group is drawn in each bootstrap sample: float64 [some samples, groups], some at a time."""
    generator = stream(seed, "bootstrap")
    for start in range(0, samples, SAMPLES_AT_ONCE):
        weights = np.empty((min(SAMPLES_AT_ONCE, samples - start), groups))
        for sample in weights:
            sample[:] = np.bincount(generator.integers(groups, size=groups), minlength=groups)
        yield weights


@dataclass(frozen=True)
class _Counts:
    """What the headline measures are made of, one row per group, or per bootstrap sample; whole numbers as float64.

    hits (true positives), predicted, true: [rows, labels]. The same over label sets closed under parents, of all labels
    together: [rows]. h_f1: the sum of the documents' reference H-F1 in `H_F1_UNIT`, [rows]. documents: [rows].
    """

    hits: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    closed_hits: np.ndarray
    closed_predicted: np.ndarray
    closed_true: np.ndarray
    h_f1: np.ndarray
    documents: np.ndarray

    def of_samples(self, weights: np.ndarray) -> "_Counts":
        """The counts of bootstrap samples, from those of groups; weights: [samples, groups]. Sums are exact."""
        return _Counts(**{field.name: weights @ getattr(self, field.name) for field in fields(self)})


def _counts_of_groups(
    truth: np.ndarray, predicted: np.ndarray, groups: Sequence[Any] | np.ndarray, tree: LabelTree
) -> _Counts:
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))

    def summed(of_documents: np.ndarray) -> np.ndarray:
        return np.add.reduceat(of_documents[order], starts, axis=0, dtype=float)

    closed_hits, closed_predicted, closed_true = closed_counts(truth, predicted, tree)
    h_f1 = reference_h_f1(truth, predicted, tree) if has_reference_h_f1(tree) else np.zeros(len(truth))
    return _Counts(
        hits=summed(truth & predicted),
        predicted=summed(predicted),
        true=summed(truth),
        closed_hits=summed(closed_hits),
        closed_predicted=summed(closed_predicted),
        closed_true=summed(closed_true),
        h_f1=summed(np.rint(h_f1 / H_F1_UNIT)),
        documents=summed(np.ones(len(truth))),
    )


def _headline_measures(counts: _Counts, occurs: np.ndarray, tree: LabelTree) -> dict[str, np.ndarray]:
    """The headline measures of each bootstrap sample, [samples]; occurs: as in `_f1_macro`."""
    measures: dict[str, np.ndarray] = {}
    for level, columns in tree.columns.items():
        of_level = counts.hits[:, columns], counts.predicted[:, columns], counts.true[:, columns]
        micro = precision_recall_f1(*(part.sum(axis=1) for part in of_level))
        measures |= {f"{level}.{name}_micro": values for name, values in micro.items()}
        measures[f"{level}.f1_macro"] = _f1_macro(*of_level, occurs[columns])
        measures[f"{level}.f1_macro_supported"] = _f1_macro_supported(*of_level)
    hierarchical = precision_recall_f1(counts.closed_hits, counts.closed_predicted, counts.closed_true)
    measures |= {f"hierarchical.{name}_micro": values for name, values in hierarchical.items()}
    if has_reference_h_f1(tree):
        measures["reference.h_f1"] = counts.h_f1 * H_F1_UNIT / counts.documents
    return measures


def _f1_macro(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    """Macro F1 in each bootstrap sample: float64 [samples] from counts [samples, labels].

    A rare label is often missing from a bootstrap sample altogether, and counting its 0/0 as 0 there would put the
    whole interval below the value it belongs to. So the mean is over the labels that the sample has, true or predicted,
    and `_recentred` takes out what that does to the mean of all samples.
    occurs (bool [labels]): the labels that all documents together have; the others count as 0 in the measure itself, so
    their share scales the mean down alike.
    """
    present = (predicted + true > 0).sum(axis=1)
    return ratio(precision_recall_f1(hits, predicted, true)["f1"].sum(axis=1), present) * occurs.mean()


def _f1_macro_supported(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Macro F1 over the labels with support, in each bootstrap sample: float64 [samples] from counts [samples, labels].

    A label that no document of a bootstrap sample has is left out of the mean of that sample, also where it is
    predicted; `_recentred` takes out what that does to the mean of all samples. The labels left out follow from the
    truth alone: in one bootstrap sample, all runs are averaged over the same labels.
    """
    return ratio(precision_recall_f1(hits, predicted, true)["f1"].sum(axis=1), (true > 0).sum(axis=1))
