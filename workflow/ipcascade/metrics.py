"""How good predicted labels and probabilities are: one set of measures for validation, test, baseline and prediction.

Validation runs it every epoch, so it is NumPy alone and holds no loop over documents. Two rules keep its results the
same bytes whatever the order of the documents and the number of threads: counts are whole numbers, and whatever is
not is summed either exactly (`math.fsum`) or in the order of the sorted probabilities.

Words: `micro` pools the counts of all labels, `macro` averages over all labels of the taxonomy, `macro_supported`
over the labels that occur in the truth, `weighted` over labels by their support, `document` over documents (what
scikit-learn calls `samples`). hiclass calls the average over documents "macro": its macro hF is
`hierarchical.f1_document` here. 0/0 counts as 0 everywhere, as scikit-learn's `zero_division=0`.

Arrays: truth and predicted are bool [documents, labels], probabilities float32 [documents, labels], all with the
columns in taxonomy order.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import UserError
from .randomness import stream
from .taxonomy import LEVELS, Taxonomy

CALIBRATION_BINS = 15
"""Bins of equal width of the expected calibration error."""
LOG_LOSS_CLIP = 1e-7
"""Log loss holds probabilities this far from 0 and 1, about the spacing of float32 below 1."""
PARTIAL_CREDIT = 0.5
"""What the reference H-F1 gives for a right section without the right class."""
PRECISION_AT = (1, 3, 5)

# Where the highest value is not the best, so that no epoch can be chosen by it.
_LOWER_IS_BETTER = {"coverage", "brier", "log_loss", "calibration_error"}
_DESCRIPTIVE = {
    "documents",
    "labels_with_support",
    "labels_predicted",
    "labels_per_document",
    "predicted_per_document",
    "documents_without_prediction",
    "h_f1_ceiling",
}

# Bootstrap samples that are worked on at once: bounds memory at this many float64 a family.
_RESAMPLES_AT_ONCE = 50
# Sums of H-F1 are kept in whole multiples of this: exact in float64 up to 2**53, thus the same in any order.
_H_F1_UNIT = 2.0**-30


def evaluate(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    """Every measure, nested as {"documents", "section": {...}, "class": {...}, "hierarchical", "reference"}.

    Joins `decision_measures` and `probability_measures`. All leaves are plain int, float or None, never NaN.
    Raises UserError for a probability outside 0 to 1 and ValueError where there is no document.
    """
    decisions = decision_measures(truth, predicted, taxonomy)
    ranking = probability_measures(truth, probabilities, taxonomy)
    return decisions | {level: decisions[level] | ranking[level] for level in LEVELS}


def decision_measures(truth: np.ndarray, predicted: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    """The measures that need label sets: flat ones a level, hierarchical ones, and the reference H-F1.

    `hierarchical` follows Kiritchenko et al. (2006): with the true set Y and the predicted set Y^ both closed under
    parents, precision_micro = sum |Y^ and Y| / sum |Y^|, recall_micro = sum |Y^ and Y| / sum |Y|, f1_micro their
    harmonic mean, and f1_document the mean over documents of 2 |Y^ and Y| / (|Y^| + |Y|).

    `reference` is the published system's own measure (see `reference_h_f1`) with its ceiling, the score of the truth
    against itself (about 1/2), and its share of that ceiling (None where the ceiling is 0).
    """
    if not len(truth):
        raise ValueError("there are no documents to evaluate")
    measures: dict[str, Any] = {"documents": len(truth)}
    for level, columns in taxonomy.columns.items():
        measures[level] = _flat_measures(truth[:, columns], predicted[:, columns])

    true_nodes, predicted_nodes = taxonomy.close(truth), taxonomy.close(predicted)
    by_document = [nodes.sum(axis=1) for nodes in (true_nodes & predicted_nodes, predicted_nodes, true_nodes)]
    pooled = _scores(*(counts.sum() for counts in by_document))
    measures["hierarchical"] = {f"{name}_micro": float(value) for name, value in pooled.items()}
    measures["hierarchical"]["f1_document"] = exact_mean(_scores(*by_document)["f1"])

    score = exact_mean(reference_h_f1(truth, predicted, taxonomy))
    ceiling = exact_mean(reference_h_f1(truth, truth, taxonomy))
    measures["reference"] = {
        "h_f1": score,
        "h_f1_ceiling": ceiling,
        "h_f1_share": score / ceiling if ceiling else None,
    }
    return measures


def probability_measures(truth: np.ndarray, probabilities: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    """The measures that need no threshold, a level: {"section": {...}, "class": {...}}.

    Ranking: average precision (micro: over all cells of the level; macro: over the labels with positives; None
    without positives), precision at k (hits among the k most probable labels of a document, over k; labels equally
    probable in taxonomy order), label-ranking average precision and coverage (how far down a document's ranking its
    last true label stands), both as scikit-learn defines them.

    Quality, over all cells of the level: Brier score (mean squared error), log loss (mean binary cross-entropy), and
    expected calibration error over `CALIBRATION_BINS` bins of equal width.
    """
    check_probabilities(probabilities, taxonomy)
    return {
        level: _ranking_measures(truth[:, columns], probabilities[:, columns])
        | _quality_measures(truth[:, columns], probabilities[:, columns])
        for level, columns in taxonomy.columns.items()
    }


def reference_h_f1(truth: np.ndarray, predicted: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """The published system's hierarchical F1 of each document, float64 [documents]; its ceiling is about 1/2, not 1.

    With true sections S and classes C, predicted S^ and C^, and partial credit a = `PARTIAL_CREDIT`:
    precision = (sum over c in C^ of (1 if c in C, else a if parent(c) in S, else 0)
    + a * #{s in S^ and S without a predicted class below}) / (|S^| + |C^|); recall is the same with the roles of truth
    and prediction exchanged; F1 is their harmonic mean, 0 where both are 0.

    The sets are taken as they are, not closed under parents: the published measure reads S^ and C^ as predicted, and
    closing them would change its denominators.
    """
    precision = _ratio(_reference_credit(predicted, truth, taxonomy), predicted.sum(axis=1))
    recall = _ratio(_reference_credit(truth, predicted, taxonomy), truth.sum(axis=1))
    return _ratio(2 * precision * recall, precision + recall)


def flatten(measures: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    """Nested measures as one row: {"class.f1_micro": 0.5, ...}; None stays None, so that the columns never change."""
    flat: dict[str, float | None] = {}
    for name, value in measures.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def measure_names(taxonomy: Taxonomy) -> tuple[str, ...]:
    """The dotted names of everything that `evaluate` measures, in its order."""
    nothing = np.zeros((1, len(taxonomy.labels)), dtype=bool)
    return tuple(flatten(evaluate(nothing, nothing, nothing.astype(np.float32), taxonomy)))


def selectable_names(taxonomy: Taxonomy) -> tuple[str, ...]:
    """The dotted names of the measures whose highest value is the best one, by which an epoch can be chosen."""
    unfit = _LOWER_IS_BETTER | _DESCRIPTIVE
    return tuple(name for name in measure_names(taxonomy) if name.rsplit(".", 1)[-1] not in unfit)


def per_label(
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    taxonomy: Taxonomy,
    thresholds: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """One record a label, in taxonomy order: code, title, level, support, predicted, precision, recall, f1,
    average_precision (None without positives) and, where thresholds (float [labels]) are given, threshold.
    """
    check_probabilities(probabilities, taxonomy)
    support, decided = truth.sum(axis=0), predicted.sum(axis=0)
    scores = _scores((truth & predicted).sum(axis=0), decided, support)
    precisions = _label_average_precisions(truth, probabilities)
    levels = [level for level, columns in taxonomy.columns.items() for _ in taxonomy.labels[columns]]
    records = []
    for label, code in enumerate(taxonomy.labels):
        record = {
            "code": code,
            "title": taxonomy.titles[code],
            "level": levels[label],
            "support": int(support[label]),
            "predicted": int(decided[label]),
            **{name: float(scores[name][label]) for name in ("precision", "recall", "f1")},
            "average_precision": precisions[label],
        }
        if thresholds is not None:
            record["threshold"] = float(thresholds[label])
        records.append(record)
    return records


def bootstrap_intervals(
    truth: np.ndarray,
    predicted: np.ndarray,
    families: Sequence[Any] | np.ndarray,
    taxonomy: Taxonomy,
    samples: int,
    confidence: float,
    seed: int,
) -> dict[str, list[float]]:
    """Percentile intervals [low, high] of the headline measures, by their dotted names; empty where samples is 0.

    Families (one name a document) are drawn with replacement, not documents: members of a family share their labels
    and most of their text, so documents are not independent and would make the intervals too narrow.
    """
    if samples == 0:
        return {}
    bounds = [(1 - confidence) / 2, (1 + confidence) / 2]
    values = bootstrap_values(truth, predicted, families, taxonomy, samples, seed)
    return {name: [float(bound) for bound in np.quantile(sample, bounds)] for name, sample in values.items()}


def bootstrap_values(
    truth: np.ndarray,
    predicted: np.ndarray,
    families: Sequence[Any] | np.ndarray,
    taxonomy: Taxonomy,
    samples: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """The headline measures in each bootstrap sample of families: {dotted name: float64 [samples]}.

    All of them follow from sums over families, so a sample is a row of weights times a table of counts a family;
    nothing is evaluated again. Families are numbered in the order of their names: the rows' order changes nothing.

    Macro F1 needs care: a rare label is often missing from a bootstrap sample altogether, and counting its 0/0 as 0
    there would put the whole interval below the value it belongs to. Such a label is left out of that sample's mean.
    """
    counts = _family_counts(truth, predicted, families, taxonomy)
    labels = len(taxonomy.labels)
    counted = (counts[:, labels : 2 * labels] + counts[:, 2 * labels : 3 * labels]).any(axis=0)
    chunks: dict[str, list[np.ndarray]] = {}
    for weights in family_resamples(len(counts), samples, seed):
        totals = weights @ counts
        hits, decided, support = (totals[:, part * labels : (part + 1) * labels] for part in range(3))
        nodes = totals[:, 3 * labels : 3 * labels + 3]
        values: dict[str, np.ndarray] = {}
        for level, columns in taxonomy.columns.items():
            micro = _scores(*(part[:, columns].sum(axis=1) for part in (hits, decided, support)))
            values |= {f"{level}.{name}_micro": value for name, value in micro.items()}
            values[f"{level}.f1_macro"] = _resampled_macro(
                hits[:, columns], decided[:, columns], support[:, columns], counted[columns]
            )
        hierarchical = _scores(nodes[:, 0], nodes[:, 1], nodes[:, 2])
        values |= {f"hierarchical.{name}_micro": value for name, value in hierarchical.items()}
        values["reference.h_f1"] = totals[:, -2] * _H_F1_UNIT / totals[:, -1]
        for name, value in values.items():
            chunks.setdefault(name, []).append(value)
    return {name: np.concatenate(parts) for name, parts in chunks.items()}


def family_resamples(families: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each family stands in each bootstrap sample: float64 [some samples, families], chunk by chunk."""
    generator = stream(seed, "bootstrap")
    for start in range(0, samples, _RESAMPLES_AT_ONCE):
        weights = np.empty((min(_RESAMPLES_AT_ONCE, samples - start), families))
        for sample in weights:
            sample[:] = np.bincount(generator.integers(families, size=families), minlength=families)
        yield weights


def counts_above(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each possible cut of a ranking would predict; the ground of average precision and of exact thresholds.

    truth, probabilities: [cells]. Returns three arrays [distinct probabilities], from the highest down: the
    probability, the positives at or above it, and the cells at or above it. Cells of one probability fall together.
    """
    order = np.argsort(probabilities)[::-1]
    ranked = probabilities[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return ranked[last], np.cumsum(truth[order])[last], last + 1


def check_probabilities(probabilities: np.ndarray, taxonomy: Taxonomy) -> None:
    """Raises UserError, naming row and label, for a probability that is not a number from 0 to 1, and ValueError for
    a matrix without rows.
    """
    if not len(probabilities):
        raise ValueError("there are no documents to evaluate")
    sound = (probabilities >= 0) & (probabilities <= 1)  # NaN fails both
    if not sound.all():
        row, label = (int(position) for position in np.argwhere(~sound)[0])
        raise UserError(
            f"the document at row {row} has the probability {probabilities[row, label]} for the label "
            f"{taxonomy.labels[label]!r}, not a number from 0 to 1; a model that diverged in training gives such values"
        )


def exact_mean(values: np.ndarray) -> float:
    """The mean, from an exactly rounded sum: the same for any order of the values."""
    return math.fsum(values.tolist()) / len(values)


def _flat_measures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    hits = truth & predicted
    support = truth.sum(axis=0)
    by_label = [hits.sum(axis=0), predicted.sum(axis=0), support]
    by_document = [hits.sum(axis=1), predicted.sum(axis=1), truth.sum(axis=1)]
    micro, label, document = _scores(*(counts.sum() for counts in by_label)), _scores(*by_label), _scores(*by_document)

    measures: dict[str, Any] = {}
    for name in ("f1", "precision", "recall"):
        measures[f"{name}_micro"] = float(micro[name])
        measures[f"{name}_macro"] = float(label[name].mean())
        measures[f"{name}_macro_supported"] = float(_ratio(label[name][support > 0].sum(), (support > 0).sum()))
        measures[f"{name}_weighted"] = float(_ratio((support * label[name]).sum(), support.sum()))
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


def _ranking_measures(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    documents = len(truth)
    supported = [value for value in _label_average_precisions(truth, probabilities) if value is not None]
    measures: dict[str, float | None] = {
        "average_precision_micro": _average_precision(truth.ravel(), probabilities.ravel()),
        "average_precision_macro": sum(supported) / len(supported) if supported else None,
    }
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(PRECISION_AT)]
    hit = np.take_along_axis(truth, best, axis=1)
    for k in PRECISION_AT:
        measures[f"precision_at_{k}"] = int(hit[:, :k].sum()) / (k * documents)

    # One row for each pair of a document and one of its true labels.
    document, label = np.nonzero(truth)
    at_or_above = probabilities[document] >= probabilities[document, label, np.newaxis]
    rank = at_or_above.sum(axis=1)
    true_rank = (at_or_above & truth[document]).sum(axis=1)
    labels = truth.sum(axis=1)
    precision = np.bincount(document, weights=true_rank / rank, minlength=documents)
    # A document without true labels cannot be ranked wrongly: 1, as scikit-learn has it.
    measures["label_ranking_average_precision"] = exact_mean(np.where(labels > 0, _ratio(precision, labels), 1.0))
    deepest = np.zeros(documents, dtype=np.int64)
    np.maximum.at(deepest, document, rank)
    measures["coverage"] = int(deepest.sum()) / documents
    return measures


def _quality_measures(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    values, positives, cells = counts_above(truth.ravel(), probabilities.ravel())
    value = values.astype(np.float64)
    positive, cell = np.diff(positives, prepend=0), np.diff(cells, prepend=0)
    negative = cell - positive
    clipped = np.clip(value, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    bins = np.minimum((value * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gap = np.bincount(bins, weights=cell * value) - np.bincount(bins, weights=positive)
    return {
        "brier": float((positive * (1 - value) ** 2 + negative * value**2).sum() / truth.size),
        "log_loss": float(-(positive * np.log(clipped) + negative * np.log1p(-clipped)).sum() / truth.size),
        "calibration_error": float(np.abs(gap).sum() / truth.size),
    }


def _label_average_precisions(truth: np.ndarray, probabilities: np.ndarray) -> list[float | None]:
    by_label = zip(np.ascontiguousarray(truth.T), np.ascontiguousarray(probabilities.T), strict=True)
    return [_average_precision(*label) for label in by_label]


def _average_precision(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Sum over the distinct probabilities of (gain in recall) * precision, without interpolation; None if all false."""
    _, positives, cells = counts_above(truth, probabilities)
    if positives[-1] == 0:
        return None
    return float((np.diff(positives, prepend=0) * (positives / cells)).sum() / positives[-1])


def _reference_credit(labels: np.ndarray, others: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """The numerator of the reference precision (labels: predicted, others: true) or recall, float64 [documents]."""
    sections, classes = taxonomy.columns["section"], taxonomy.columns["class"]
    # The pairs of a document and one of its classes: few, where the matrix has a column for each class.
    document, label = np.divmod(np.flatnonzero(labels), labels.shape[1])
    below = label >= classes.start
    document, label = document[below], label[below]
    parent = taxonomy.parent_index[label - classes.start]
    found, near = others[document, label], others[document, parent]
    credit = np.bincount(document, weights=np.where(found, 1.0, PARTIAL_CREDIT * near), minlength=len(labels))
    childless = np.ones((len(labels), len(taxonomy.sections)), dtype=bool)
    childless[document, parent] = False
    return credit + PARTIAL_CREDIT * (labels[:, sections] & others[:, sections] & childless).sum(axis=1)


def _family_counts(
    truth: np.ndarray, predicted: np.ndarray, families: Sequence[Any] | np.ndarray, taxonomy: Taxonomy
) -> np.ndarray:
    """Whole numbers as float64 [families, 3 * labels + 5]: hits, predicted, true of each label; the same three over
    the closed sets; the sum of the reference H-F1 in `_H_F1_UNIT`; documents.
    """
    family = np.unique(np.asarray(families), return_inverse=True)[1]
    order = np.argsort(family, kind="stable")
    starts = np.flatnonzero(np.diff(family[order], prepend=-1))

    true_nodes, predicted_nodes = taxonomy.close(truth), taxonomy.close(predicted)
    h_f1 = np.rint(reference_h_f1(truth, predicted, taxonomy) / _H_F1_UNIT)
    nodes = [pair.sum(axis=1) for pair in (true_nodes & predicted_nodes, predicted_nodes, true_nodes)]
    by_document = (truth & predicted, predicted, truth, np.column_stack([*nodes, h_f1, np.ones(len(truth))]))
    return np.concatenate([np.add.reduceat(part[order], starts, axis=0, dtype=float) for part in by_document], axis=1)


def _resampled_macro(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Macro F1 in each bootstrap sample: float64 [samples] from counts [samples, labels].

    The mean is over the labels that the sample has, true or predicted. counted (bool [labels]): those that all
    documents have; the others count as 0 in the measure itself, so their share scales the mean down alike.
    """
    present = (predicted + true > 0).sum(axis=1)
    return _ratio(_scores(hits, predicted, true)["f1"].sum(axis=1), present) * counted.mean()


def _scores(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 from counts of any one shape."""
    return {
        "precision": _ratio(hits, predicted),
        "recall": _ratio(hits, true),
        "f1": _ratio(2 * hits, predicted + true),
    }


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Their quotient, and 0 for 0/0."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=np.asarray(denominator) > 0)
