"""Label sets with a guarantee: bounds on probabilities, fitted on validation and checked on test.

The label set of a document is its labels of a level with a probability above a bound. There are two guarantees per
level, each with a bound of its own:

- recall: on average, at least the wanted share of a document's true labels is in its set. Of the bounds that validation
  confirms, the highest is taken, which gives the smallest sets.
- precision: on average, at least the wanted share of a set is true. Documents with an empty set do not count, so that
  this can always be had by giving few labels. The lowest bound is taken, which gives the most labels.

The unit is the group, which no split divides. Documents of one group share labels and text, so they are not
independent; but groups were assigned to validation and test alike. The value of a group is the mean over its documents
that count, and the guarantee is on the expected value of a group. So each group counts once, however large it is.

Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei 2021, arXiv:2110.01052): each bound is the hypothesis that
the expected value is below the wanted one, with a p-value by the inequalities of Hoeffding and Bentkus. Bounds are
tried in an order that is fixed before validation is seen, from the safest on, up to the first that is not confirmed
(Bauer 1991). So a bound whose expected value is below the wanted one is taken with a probability of at most
1 - confidence, over validation splits, whatever the probabilities are worth. p-values and tests are MAPIE's; its
controllers are not used, since they take documents for independent, and an empty set for one that is all wrong.
"""

from typing import Any, Literal

import numpy as np
from mapie.risk_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy.special import expit, logit

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.bootstrap import group_weights
from ipcascade.evaluation.counts import ratio
from ipcascade.evaluation.options import EvaluationOptions, GuaranteeOptions
from ipcascade.evaluation.scored import Scored

Measure = Literal["recall", "precision"]

STEP = 0.05
"""Between the bounds that are tried, in log-odds."""
RECALL_FROM, RECALL_TO = -10.0, 5.0
"""The range of the bounds for a recall, in log-odds; 0, all labels, comes before."""
PRECISION_FROM, PRECISION_TO = 3.0, -7.0
"""The range of the bounds for a precision, in log-odds beside those of the wanted precision."""
PRECISION_STARTS = (3.0, 1.5, 0.0)
"""Where sequences of bounds for a precision start, likewise. With calibrated probabilities the wanted precision itself
is safe enough and has the most documents; with probabilities that promise too much a higher start is."""
ROUNDING = 1e-9
"""Taken off a sum of losses: MAPIE rounds it up to a whole number, also where only floating point made it larger."""


def guarantees(
    val: Scored, test: Scored, tree: LabelTree, options: GuaranteeOptions, evaluation: EvaluationOptions, seed: int
) -> list[dict[str, Any]]:
    """One record per level and measure: the bound that val gives, None where it confirms none, and its values on test.

    Values are means over groups: val_mean, test_mean, and test_low to test_high, the interval by bootstrap over groups;
    mean_size of the sets of test and share_nonempty, of its documents. held: whether test_mean is at least the wanted
    value. val_groups and test_groups: those with a document that counts.
    """
    wanted_values: dict[Measure, float] = {"recall": options.recall, "precision": options.precision}
    return [
        {"level": level, "measure": measure, "wanted": wanted, "confidence": options.confidence}
        | _record(val.of(columns), test.of(columns), measure, wanted, options.confidence, evaluation, seed)
        for level, columns in tree.columns.items()
        for measure, wanted in wanted_values.items()
    ]


def _record(
    val: Scored,
    test: Scored,
    measure: Measure,
    wanted: float,
    confidence: float,
    evaluation: EvaluationOptions,
    seed: int,
) -> dict[str, Any]:
    bound = fitted_bound(val, measure, wanted, confidence)
    found: dict[str, Any] = dict.fromkeys(
        ("val_groups", "val_mean", "test_groups", "test_mean", "test_low", "test_high", "held", "mean_size",
         "share_nonempty")
    )  # fmt: skip
    if bound is None:
        return {"bound": None, **found}
    of_val, of_test = (group_values(split, measure, np.array([bound])) for split in (val, test))
    for name, (values, counts) in (("val", of_val), ("test", of_test)):
        found[f"{name}_groups"] = int(counts.sum())
        found[f"{name}_mean"] = float(values.sum() / counts.sum()) if counts.any() else None
    if found["test_mean"] is not None:
        found["held"] = found["test_mean"] >= wanted
        found["test_low"], found["test_high"] = _interval(*of_test, evaluation, seed)
    sizes = (test.probabilities > np.float64(bound)).sum(axis=1)
    everyone = np.ones((len(sizes), 1), dtype=bool)
    for name, of_document in (("mean_size", sizes), ("share_nonempty", sizes > 0)):
        found[name] = float(_group_means(of_document[:, None], everyone, test.group_numbers())[0].mean())
    return {"bound": bound, **found}


def fitted_bound(split: Scored, measure: Measure, wanted: float, confidence: float) -> float | None:
    """The bound with the smallest sets (recall), or the most labels (precision), of those that the split confirms.

    wanted: above 0 and below 1. None where it confirms none.
    """
    bounds, sequences = tried_bounds(measure, wanted)
    values, counts = group_values(split, measure, bounds)
    groups = counts.sum(axis=0)
    losses = np.maximum(groups - values.sum(axis=0) - ROUNDING, 0)
    # Without a group nothing is known, as with all of them lost.
    p_values = compute_hoeffding_bentkus_p_value(
        np.where(groups, ratio(losses, groups), 1), groups.astype(float), 1 - wanted
    )[:, 0]
    boldest = []
    for sequence in sequences:
        confirmed = control_fwer(p_values[sequence], (1 - confidence) / len(sequences), "fixed_sequence")
        boldest += [sequence[place] for place in confirmed[-1:]]
    if not boldest:
        return None
    return float(bounds[max(boldest) if measure == "recall" else min(boldest)])


def tried_bounds(measure: Measure, wanted: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """The bounds that are tried, ascending, and in which order: sequences of positions in them, the safest first.

    They depend on nothing but the arguments, which the guarantee relies on.
    """
    if measure == "recall":
        bounds = np.append(0, expit(np.arange(RECALL_FROM, RECALL_TO, STEP)))
        return bounds, [np.arange(len(bounds))]
    beside = np.arange(PRECISION_FROM, PRECISION_TO, -STEP)
    skipped = [round((PRECISION_FROM - start) / STEP) for start in PRECISION_STARTS]
    return expit(logit(wanted) + beside)[::-1], [np.arange(len(beside))[::-1][skip:] for skip in skipped]


def group_values(split: Scored, measure: Measure, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The value of each group at each bound, float64 [groups, bounds], and whether it counts, bool likewise.

    bounds: float64, ascending. A group that does not count has the value 0.
    """
    hits = _set_sizes(split.truth, split.probabilities, bounds)
    if measure == "recall":
        of = np.broadcast_to(split.truth.sum(axis=1)[:, None], hits.shape)
    else:
        of = _set_sizes(np.True_, split.probabilities, bounds)
    return _group_means(ratio(hits, of), of > 0, split.group_numbers())


def _set_sizes(labels: Any, probabilities: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """int [documents, bounds]: how many of some labels, bool [documents, labels], are in the set at each bound."""
    documents, columns = np.nonzero(labels & (probabilities > bounds[0]))
    width = len(bounds) + 1
    # In float64, as everywhere: the number of bounds below a probability, which are those that let it in.
    below = np.searchsorted(bounds, probabilities[documents, columns].astype(np.float64))
    with_so_many = np.bincount(documents * width + below, minlength=len(probabilities) * width).reshape(-1, width)
    return with_so_many[:, :0:-1].cumsum(axis=1)[:, ::-1]


def _group_means(values: np.ndarray, counts: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the documents of a group that count, and whether it has any: [groups, bounds].

    values: 0 where a document does not count; counts: bool, both [documents, bounds]; group: int [documents].
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    total = np.add.reduceat(values[order], starts, axis=0, dtype=float)
    number = np.add.reduceat(counts[order], starts, axis=0, dtype=np.int64)
    return ratio(total, number), number > 0


def _interval(
    values: np.ndarray, counts: np.ndarray, evaluation: EvaluationOptions, seed: int
) -> tuple[float | None, float | None]:
    """Percentiles of the mean over groups that count, by bootstrap over all groups; values, counts: [groups, 1]."""
    if not evaluation.bootstrap:
        return None, None
    weights = group_weights(len(values), evaluation.bootstrap, seed)
    means = np.concatenate([ratio(of @ values[:, 0], of @ counts[:, 0].astype(float)) for of in weights])
    low, high = np.quantile(means, [(1 - evaluation.confidence) / 2, (1 + evaluation.confidence) / 2])
    return float(low), float(high)
