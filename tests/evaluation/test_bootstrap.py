import json
from typing import Any

import numpy as np
import pytest
from evaluation_cases import TREES, TWO, random_case
from sklearn import metrics as sklearn_metrics

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.evaluation.bootstrap import (
    bootstrap_values,
    confidence_intervals,
    group_weights,
    headline_names,
    unclipped_values,
)
from ipcascade.evaluation.metrics import flatten, label_set_measures


def headline(tree: LabelTree) -> set[str]:
    of_levels = {
        f"{level}.{name}"
        for level in tree.levels
        for name in ("f1_micro", "f1_macro", "f1_macro_supported", "precision_micro", "recall_micro")
    }
    hierarchical = {f"hierarchical.{name}_micro" for name in ("f1", "precision", "recall")}
    return of_levels | hierarchical | ({"reference.h_f1"} if len(tree.levels) > 1 else set())


def group_case(tree: LabelTree = TWO) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, predicted, _ = random_case(tree, 60, seed=5)
    groups = np.array([f"g{number}" for number in np.random.default_rng(3).integers(25, size=60)])
    return truth, predicted, groups


def test_no_samples_give_no_intervals_and_one_gives_its_own_value() -> None:
    case = group_case()
    assert confidence_intervals(*case, TWO, 0, 0.9, 1) == {}
    values = bootstrap_values(*case, TWO, 1, 1)
    found = confidence_intervals(*case, TWO, 1, 0.9, 1)
    assert found == {name: [value, value] for name, (value,) in values.items()}


def test_groups_are_drawn_by_a_stream_of_their_own() -> None:
    """The numbers stay when randomness is used elsewhere, and from version to version."""
    generator = stream(7, "bootstrap")
    for weights in np.concatenate(list(group_weights(5, samples=60, seed=7))):
        assert weights.tolist() == np.bincount(generator.integers(5, size=5), minlength=5).tolist()


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_bootstrap_equals_evaluating_the_resampled_documents(tree: LabelTree) -> None:
    truth, predicted, groups = group_case(tree)
    # A label that most bootstrap samples miss, and one that no document has.
    truth[:, -2:] = predicted[:, -2:] = False
    truth[0, -1] = predicted[0, -1] = True
    names = sorted(set(groups))
    values = bootstrap_values(truth, predicted, groups, tree, samples=60, seed=7)
    assert set(values) == set(headline_names(tree)) == headline(tree)
    weights = np.concatenate(list(group_weights(len(names), samples=60, seed=7)))
    assert weights.shape == (60, len(names)) and (weights.sum(axis=1) == len(names)).all()
    again: dict[str, list[float]] = {name: [] for name in headline(tree)}
    for weight in weights:
        rows: list[int] = []
        for name, times in zip(names, weight, strict=True):
            rows += np.flatnonzero(groups == name).tolist() * int(times)
        measures = flatten(label_set_measures(truth[rows], predicted[rows], tree))
        for level, columns in tree.columns.items():
            measures[f"{level}.f1_macro"] = macro_without_missing(truth[:, columns], predicted[:, columns], rows)
        for name in again:
            again[name].append(measures[name])
    of_all = flatten(label_set_measures(truth, predicted, tree))
    for name, found in again.items():
        expected = np.array(found)
        if name.endswith((".f1_macro", ".f1_macro_supported")):
            expected += of_all[name] - expected.mean()
        np.testing.assert_allclose(values[name], expected, atol=1e-8, err_msg=name)


def macro_without_missing(truth: np.ndarray, predicted: np.ndarray, rows: list[int]) -> float:
    """Label by label with scikit-learn: those missing from the rows are left out, those missing everywhere count 0."""
    values, everywhere = [], 0
    for label in range(truth.shape[1]):
        everywhere += truth[:, label].any() or predicted[:, label].any()
        if truth[rows, label].any() or predicted[rows, label].any():
            values.append(sklearn_metrics.f1_score(truth[rows, label], predicted[rows, label]))
    return float(np.mean(values)) * everywhere / truth.shape[1] if values else 0.0


@pytest.mark.parametrize(("right", "frequent"), [(0.75, 0), (0.0, 8), (0.3, 8)])
def test_the_confidence_interval_of_macro_f1_holds_the_value_where_labels_are_rare(
    tree: LabelTree, right: float, frequent: int
) -> None:
    """Most classes have one document, of which a share is right: a bootstrap sample misses a third of these classes.

    Counted as 0 there, they would pull the whole confidence interval below the value; left out, above it where frequent
    classes (here always half right) are better.
    """
    columns = tree.columns["class"]
    classes = columns.stop - columns.start
    label = np.concatenate([np.arange(classes), np.repeat(np.arange(frequent), 40)])
    documents = np.arange(len(label))
    truth = np.zeros((len(label), len(tree.labels)), dtype=bool)
    truth[documents, columns.start + label] = True
    predicted = truth.copy()
    predicted[round(right * classes) : classes] = False
    predicted[classes::2] = False
    value = label_set_measures(truth, predicted, tree)["class"]["f1_macro"]
    found = confidence_intervals(truth, predicted, documents, tree, 200, 0.9, 7)
    low, high = found["class.f1_macro"]
    assert low < value < high


@pytest.mark.parametrize("right", [True, False], ids=["nearly all right", "nearly all wrong"])
def test_macro_f1_is_cut_off_at_0_and_1(right: bool) -> None:
    """Rare labels are all right (or wrong), and so is a frequent one but for one document.

    A sample misses some of the rare ones, which moves the mean away from 1 (or 0) and thus the values towards it: those
    of samples without that document end beyond.
    """
    truth = TWO.encode([["A", "A01"]] * 10 + [["B", "B01"], ["B", "B02"], ["C", "C01"], ["A", "A02"], ["A", "A03"]])
    predicted = truth & right
    predicted[0] = truth[0] & (not right)
    case = truth, predicted, np.arange(15), TWO, 100, 7
    found, unclipped = bootstrap_values(*case), unclipped_values(*case)
    for name in (f"{level}.f1_macro{ending}" for level in TWO.levels for ending in ("", "_supported")):
        expected = [min(max(value, 0.0), 1.0) for value in unclipped[name]]
        assert found[name].tolist() == expected
    name = "class.f1_macro_supported"
    assert unclipped[name].max() > 1 if right else unclipped[name].min() < 0


def intervals(*case: Any, samples: int = 200, confidence: float = 0.9, seed: int = 7) -> dict[str, list[float]]:
    return confidence_intervals(*case, TWO, samples, confidence, seed)


def test_confidence_intervals_are_percentiles_and_plain() -> None:
    case = group_case()
    values = bootstrap_values(*case, TWO, samples=200, seed=7)
    found = intervals(*case)
    for name, (low, high) in found.items():
        assert [low, high] == pytest.approx(np.percentile(values[name], [5, 95]).tolist())
    assert json.loads(json.dumps(found)) == found
    assert intervals(*case, samples=0) == {}


def test_confidence_intervals_follow_the_seed_and_nothing_else() -> None:
    truth, predicted, groups = group_case()
    straight = intervals(truth, predicted, groups)
    order = np.random.default_rng(9).permutation(len(truth))
    assert intervals(truth, predicted, groups) == straight
    assert intervals(truth[order], predicted[order], groups[order]) == straight
    assert intervals(truth, predicted, groups.tolist()) == straight
    assert intervals(truth, predicted, groups, seed=8) != straight


def test_groups_are_drawn_whole() -> None:
    # Copies of a document within its group add no information: the confidence intervals stay, where a bootstrap over
    # documents would shrink them.
    truth, predicted, _ = random_case(TWO, 40)
    alone = intervals(truth, predicted, np.arange(40))
    copies = np.repeat(np.arange(40), 5)
    copied = intervals(truth[copies], predicted[copies], copies)
    for name, interval in alone.items():
        assert copied[name] == pytest.approx(interval)
    as_if_independent = intervals(truth[copies], predicted[copies], np.arange(200))
    name = "class.f1_micro"
    assert np.ptp(as_if_independent[name]) < 0.7 * np.ptp(alone[name])
