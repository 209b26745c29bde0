import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TREES, TWO, codes_of, random_case
from hiclass import metrics as hiclass_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.metrics import evaluate, flatten, label_set_measures, probability_measures
from ipcascade.evaluation.per_label import per_label_measures
from ipcascade.evaluation.ranking import ranking_measures

EACH_TREE = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)


def matrices(tree: LabelTree) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.integers(1, 6).flatmap(
        lambda documents: st.tuples(*(hnp.arrays(bool, (documents, len(tree.labels))) for _ in range(2)))
    )


# Flat measures


def scikit_flat(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    def scores(average: str | None) -> dict[str, Any]:
        found = sklearn_metrics.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)
        return dict(zip(("precision", "recall", "f1"), found, strict=False))

    names = {"micro": "micro", "macro": "macro", "weighted": "weighted", "document": "samples"}
    measures = {f"{name}_{ours}": value for ours, theirs in names.items() for name, value in scores(theirs).items()}
    supported = np.flatnonzero(truth.any(axis=0))
    for name, by_label in scores(None).items():
        measures[f"{name}_macro_supported"] = by_label[supported].mean() if len(supported) else 0.0
    return measures | {"exact_match": sklearn_metrics.accuracy_score(truth, predicted)}


@EACH_TREE
@pytest.mark.parametrize("documents", [1, 7, 300])
def test_flat_measures_are_scikit_learns(tree: LabelTree, documents: int) -> None:
    truth, predicted, probabilities = random_case(tree, documents)
    measures = evaluate(truth, predicted, probabilities, tree)
    for level, columns in tree.columns.items():
        expected = scikit_flat(truth[:, columns], predicted[:, columns])
        assert {name: measures[level][name] for name in expected} == pytest.approx(expected, abs=1e-12)


@given(matrices(THREE))
@settings(max_examples=40, deadline=None)
def test_flat_measures_are_scikit_learns_in_every_corner(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = case
    measures = label_set_measures(truth, predicted, THREE)
    for level, columns in THREE.columns.items():
        expected = scikit_flat(truth[:, columns], predicted[:, columns])
        assert {name: measures[level][name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_macro_counts_labels_that_never_occur() -> None:
    truth = TWO.encode([["A", "A01"], ["A", "A01"]])
    measures = label_set_measures(truth, truth, TWO)
    assert measures["class"]["f1_macro"] == pytest.approx(1 / 6)
    assert measures["class"]["f1_macro_supported"] == 1
    assert measures["section"]["f1_macro"] == pytest.approx(1 / 3)


def test_descriptions_by_hand() -> None:
    truth = TWO.encode([["A", "A01"], ["A", "B", "A01", "A02", "B01"], ["C", "C01"], ["C", "C01"]])
    predicted = TWO.encode([["A", "A01"], ["A", "A01", "A02"], ["C"], []])
    measures = label_set_measures(truth, predicted, TWO)
    assert measures["documents"] == 4
    described = ("labels_with_support", "labels_predicted", "labels_per_document", "predicted_per_document")
    assert [measures["section"][name] for name in described] == [3, 2, 5 / 4, 3 / 4]
    assert [measures["class"][name] for name in described] == [4, 2, 6 / 4, 3 / 4]
    assert [measures[level]["exact_match"] for level in ("section", "class")] == [1 / 2, 1 / 4]
    assert [measures[level]["documents_without_prediction"] for level in ("section", "class")] == [1 / 4, 1 / 2]


# Hierarchical measures


def single_paths(tree: LabelTree, documents: int, seed: int) -> list[list[str]]:
    """A leaf per document with all that is above it; paths that end early are filled up with "", as hiclass does."""
    leaves = np.flatnonzero(~tree.has_children)
    chosen = np.random.default_rng(seed).choice(leaves, size=documents)
    paths = [[tree.labels[column] for column in (*reversed(tree.ancestors(leaf)), leaf)] for leaf in chosen.tolist()]
    return [path + [""] * (len(tree.levels) - len(path)) for path in paths]


@EACH_TREE
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")  # it warns where 0/0 is 0
def test_hierarchical_measures_are_those_of_hiclass_on_single_labels(tree: LabelTree) -> None:
    truth, predicted = single_paths(tree, 200, 1), single_paths(tree, 200, 2)
    predicted[:60] = truth[:60]
    for path in predicted[60:80]:  # those that stop at the first level
        path[1:] = [""] * (len(tree.levels) - 1)
    true, guess = (tree.encode([[code for code in path if code] for path in paths]) for paths in (truth, predicted))
    assert label_set_measures(true, guess, tree)["hierarchical"] == pytest.approx(
        {
            "precision_micro": hiclass_metrics.precision(np.array(truth), np.array(predicted), "micro"),
            "recall_micro": hiclass_metrics.recall(np.array(truth), np.array(predicted), "micro"),
            "f1_micro": hiclass_metrics.f1(np.array(truth), np.array(predicted), "micro"),
            "f1_document": hiclass_metrics.f1(np.array(truth), np.array(predicted), "macro"),
        }
    )


def test_hierarchical_measures_by_hand() -> None:
    truth = TWO.encode([["A", "A01"], ["A", "B", "A01", "B01"], ["C", "C01"]])
    # Closed: {A, A02}, {A, B, A01, B02} (B is added), {} against 2, 4 and 2 true nodes: hits 1, 3, 0.
    predicted = TWO.encode([["A", "A02"], ["A", "A01", "B02"], []])
    assert label_set_measures(truth, predicted, TWO)["hierarchical"] == pytest.approx(
        {
            "precision_micro": 4 / 6,
            "recall_micro": 4 / 8,
            "f1_micro": 2 * 4 / (6 + 8),
            "f1_document": (2 * 1 / 4 + 2 * 3 / 8 + 0) / 3,
        }
    )


@EACH_TREE
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_hierarchical_measures_equal_sets(tree: LabelTree, data: st.DataObject) -> None:
    case = data.draw(matrices(tree))

    def nodes(row: np.ndarray) -> set[str]:
        above = {column for label in np.flatnonzero(row).tolist() for column in tree.ancestors(label)}
        return codes_of(row, tree) | {tree.labels[column] for column in above}

    pairs = [(nodes(true), nodes(guess)) for true, guess in zip(*case, strict=True)]
    hits, guessed, true = (
        sum(len(chosen(*pair)) for pair in pairs) for chosen in (lambda t, p: t & p, lambda t, p: p, lambda t, p: t)
    )
    by_document = [2 * len(t & p) / (len(t) + len(p)) if t or p else 0 for t, p in pairs]
    assert label_set_measures(*case, tree)["hierarchical"] == pytest.approx(
        {
            "precision_micro": hits / guessed if guessed else 0,
            "recall_micro": hits / true if true else 0,
            "f1_micro": 2 * hits / (guessed + true) if guessed + true else 0,
            "f1_document": sum(by_document) / len(pairs),
        }
    )


# Ranking and quality of probabilities


@EACH_TREE
@pytest.mark.parametrize("documents", [12, 300])
def test_probability_measures_are_scikit_learns(tree: LabelTree, documents: int) -> None:
    truth, _, probabilities = random_case(tree, documents, seed=documents)
    assert len(np.unique(probabilities)) <= 11  # ties are what is hard
    measures = probability_measures(truth, probabilities, tree)
    for level, columns in tree.columns.items():
        true, scores = truth[:, columns], probabilities[:, columns]
        supported = true.any(axis=0)
        expected = {
            "average_precision_micro": sklearn_metrics.average_precision_score(true, scores, average="micro"),
            "average_precision_macro": sklearn_metrics.average_precision_score(
                true[:, supported], scores[:, supported], average="macro"
            ),
            "label_ranking_average_precision": sklearn_metrics.label_ranking_average_precision_score(true, scores),
            "coverage": sklearn_metrics.coverage_error(true, scores),
            "brier": sklearn_metrics.brier_score_loss(true.ravel(), scores.ravel().astype(float), pos_label=True),
            "log_loss": sklearn_metrics.log_loss(
                true.ravel(), scores.ravel().astype(float).clip(1e-7, 1 - 1e-7), labels=[False, True]
            ),
        }
        assert {name: measures[level][name] for name in expected} == pytest.approx(expected, rel=1e-9), level


def test_precision_at_k_by_hand() -> None:
    truth = TWO.encode([["A", "A01"], ["C", "C01", "B02"]])
    # Classes in tree order: A01 B01 A02 C01 B02 A03; ties go to the first in that order.
    probabilities = np.array(
        [[0.9, 0.1, 0.1, 0.9, 0.8, 0.1, 0.1, 0.1, 0.1], [0.2, 0.3, 0.3, 0.1, 0.4, 0.4, 0.4, 0.2, 0.1]], dtype=np.float32
    )
    measures = probability_measures(truth, probabilities, TWO)
    assert [measures["class"][f"precision_at_{k}"] for k in (1, 3, 5)] == pytest.approx([1 / 2, 2 / 6, 3 / 10])
    # A level of three labels has no fourth to find, yet precision at 5 is still out of 5.
    assert [measures["section"][f"precision_at_{k}"] for k in (1, 3, 5)] == pytest.approx([1 / 2, 2 / 6, 2 / 10])


def test_of_many_equally_probable_labels_the_first_count() -> None:
    """More of them than of which any way to sort keeps the order."""
    truth = np.zeros((1, 60), dtype=bool)
    truth[0, [0, 2, 4]] = True
    probabilities = np.tile(np.array([0.5, 0.25], dtype=np.float32), (1, 30))
    measures = ranking_measures(truth, probabilities)
    assert [measures[f"precision_at_{k}"] for k in (1, 3, 5)] == pytest.approx([1, 1, 3 / 5])


def test_calibration_error_by_hand() -> None:
    truth = np.zeros((4, len(TWO.labels)), dtype=bool)
    truth[:, 0] = [True, True, True, False]
    probabilities = np.zeros((4, len(TWO.labels)), dtype=np.float32)
    probabilities[:, 0] = [0.75, 0.75, 0.75, 0.25]
    measures = probability_measures(truth, probabilities, TWO)
    # Bins of 1/15: three cells at .75 (gap 3 - 2.25), one at .25 (gap .25), eight at 0 (no gap), of twelve.
    assert measures["section"]["calibration_error"] == pytest.approx((0.75 + 0.25) / 12)
    assert measures["class"]["calibration_error"] == 0
    # Opposite errors of one bin cancel: that is what makes it a measure of calibration, not of error.
    truth[:, 0] = [True, True, True, False]
    probabilities[:, 0] = 0.75
    assert probability_measures(truth, probabilities, TWO)["section"]["calibration_error"] == 0
    # The last bin has 1 in it, too: .9375 and 1 are in one bin.
    probabilities[:, 0] = [0.9375, 0.9375, 0.9375, 1]
    error = probability_measures(truth, probabilities, TWO)["section"]["calibration_error"]
    assert error == pytest.approx((3 * 0.9375 + 1 - 3) / 12)


def test_certain_mistakes_have_a_finite_log_loss() -> None:
    truth = np.ones((2, len(TWO.labels)), dtype=bool)
    measures = probability_measures(truth, np.zeros((2, len(TWO.labels)), dtype=np.float32), TWO)
    assert measures["class"]["log_loss"] == pytest.approx(-math.log(1e-7))
    assert measures["class"]["brier"] == 1


def test_without_positives_average_precision_is_none() -> None:
    nothing = np.zeros((3, len(TWO.labels)), dtype=bool)
    measures = evaluate(nothing, nothing, np.full((3, len(TWO.labels)), 0.5, dtype=np.float32), TWO)
    assert measures["class"]["average_precision_micro"] is None
    assert measures["class"]["average_precision_macro"] is None
    assert measures["reference"]["h_f1_share"] is None
    assert measures["class"]["f1_micro"] == 0


@pytest.mark.parametrize("wrong", [math.nan, -0.25, 1.5])
def test_an_invalid_probability_is_named(wrong: float) -> None:
    truth, predicted, probabilities = random_case(TWO, 5)
    probabilities[3, TWO.index["A02"]] = wrong
    with pytest.raises(UserError, match=rf"row 3 has the probability {wrong} for the label 'A02'"):
        evaluate(truth, predicted, probabilities, TWO)


def test_no_documents_are_refused() -> None:
    nothing = np.zeros((0, len(TWO.labels)), dtype=bool)
    with pytest.raises(ValueError, match="no documents"):
        label_set_measures(nothing, nothing, TWO)
    with pytest.raises(ValueError, match="no documents"):
        probability_measures(nothing, nothing.astype(np.float32), TWO)


# Form


@EACH_TREE
def test_measures_are_plain_and_always_the_same_columns(tree: LabelTree) -> None:
    full = evaluate(*random_case(tree, 50), tree)
    nothing = np.zeros((2, len(tree.labels)), dtype=bool)
    bare = evaluate(nothing, nothing, nothing.astype(np.float32), tree)
    assert json.loads(json.dumps(full, allow_nan=False)) == full
    json.dumps(bare, allow_nan=False)
    assert all(type(value) in (int, float) for value in flatten(full).values())
    assert tuple(flatten(full)) == tuple(flatten(bare))
    assert list(full) == [
        "documents", *tree.levels, "hierarchical", *(["reference"] if len(tree.levels) > 1 else [])
    ]  # fmt: skip
    assert len({tuple(full[level]) for level in tree.levels}) == 1, "every level has the same measures"


def test_nested_measures_become_a_row() -> None:
    assert flatten({"a": {"b": {"c": 1.0}, "d": None}, "e": 2}) == {"a.b.c": 1.0, "a.d": None, "e": 2}


@EACH_TREE
def test_names_that_others_rely_on(tree: LabelTree) -> None:
    relied_on = {
        f"{level}.{measure}_{average}"
        for level in tree.levels
        for measure in ("f1", "precision", "recall")
        for average in ("micro", "macro")
    }
    relied_on |= {f"hierarchical.{name}" for name in ("f1_micro", "precision_micro", "recall_micro", "f1_document")}
    relied_on |= {f"{level}.average_precision_micro" for level in tree.levels}
    if tree is not ONE:
        relied_on |= {"reference.h_f1", "reference.h_f1_ceiling", "reference.h_f1_share"}
    assert relied_on <= set(flatten(evaluate(*random_case(tree, 3), tree)))


@EACH_TREE
def test_the_levels_below_change_nothing_above(tree: LabelTree) -> None:
    case = random_case(THREE, 60)
    labels = len(tree.labels)
    whole, part = evaluate(*case, THREE), evaluate(*(matrix[:, :labels] for matrix in case), tree)
    assert {level: whole[level] for level in tree.levels} == {level: part[level] for level in tree.levels}
    if tree is not ONE:
        assert whole["reference"] == part["reference"]


@EACH_TREE
def test_perfect_predictions_have_the_best_values(tree: LabelTree) -> None:
    truth, predicted, probabilities = random_case(tree, 100)
    perfect = evaluate(truth, truth, truth.astype(np.float32), tree)
    other = evaluate(truth, predicted, probabilities, tree)
    for level in tree.levels:
        for name in ("f1_micro", "f1_macro", "precision_document", "exact_match", "average_precision_macro"):
            assert perfect[level][name] > other[level][name], name
        for name in ("brier", "log_loss", "calibration_error", "coverage"):
            assert perfect[level][name] < other[level][name], name
    assert perfect["hierarchical"]["f1_micro"] == 1


@EACH_TREE
def test_the_order_of_documents_changes_no_bit(tree: LabelTree) -> None:
    truth, predicted, _ = random_case(tree, 400)
    probabilities = np.random.default_rng(1).random(truth.shape).astype(np.float32)
    order = np.random.default_rng(2).permutation(400)
    straight = evaluate(truth, predicted, probabilities, tree)
    assert evaluate(truth[order], predicted[order], probabilities[order], tree) == straight


def test_metrics_need_numpy_alone() -> None:
    code = "import sys, ipcascade.evaluation.metrics; print({'sklearn', 'scipy', 'torch', 'polars'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


# Labels


@EACH_TREE
def test_per_label_table(tree: LabelTree) -> None:
    truth, predicted, probabilities = random_case(tree, 120)
    thresholds = np.linspace(0.1, 0.9, len(tree.labels))
    records = per_label_measures(truth, predicted, probabilities, tree, thresholds)
    assert [record["code"] for record in records] == list(tree.labels)
    assert [record["level"] for record in records] == (["section"] * 3 + ["class"] * 6 + ["subclass"] * 6)[
        : len(tree.labels)
    ]
    assert [record["threshold"] for record in records] == thresholds.tolist()
    expected = sklearn_metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [record[name] for record in records] == pytest.approx(values.tolist())
    for column, record in enumerate(records):
        assert record["title"] == f"title of {record['code']}"
        assert record["predicted"] == predicted[:, column].sum()
        if truth[:, column].any():
            precision = sklearn_metrics.average_precision_score(truth[:, column], probabilities[:, column])
            assert record["average_precision"] == pytest.approx(precision)
        else:
            assert record["average_precision"] is None
    json.dumps(records, allow_nan=False)
    assert "threshold" not in per_label_measures(truth, predicted, probabilities, tree)[0]
