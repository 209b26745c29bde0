"""The error analysis: against scikit-learn, brute force over documents, and cases worked by hand."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TREES, TWO, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from ipcascade.core import names
from ipcascade.core.analysis_files import TABLES
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.analysis import Labelled, analyse
from ipcascade.evaluation.calibration import calibration_measures
from ipcascade.evaluation.error_analysis import by_frequency, confused_pairs, document_losses, worst_documents
from ipcascade.evaluation.groups import by_label_count, by_value, by_words, group_measures
from ipcascade.evaluation.options import AnalysisOptions
from ipcascade.evaluation.reliability import reliability
from ipcascade.evaluation.selective import RiskCoverage, abstention, confidences, risk_coverage

EACH_TREE = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)


def bools(*rows: str) -> np.ndarray:
    """A matrix from rows of 0 and 1."""
    return np.array([[cell == "1" for cell in row] for row in rows], dtype=bool)


def confused_case(tree: LabelTree, documents: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """That of `random_case`, with predictions that also take labels for their neighbours."""
    truth, predicted, probabilities = random_case(tree, documents)
    return truth, predicted ^ np.roll(truth, 1, axis=1), probabilities


# Reliability


def test_the_calibration_error_has_15_bins_of_equal_width() -> None:
    """Errors of two neighbouring bins are in opposite directions: in one bin they would cancel."""
    truth = np.array([[False], [True], [True], [False]])
    probabilities = np.array([[13.5 / 15], [14.5 / 15], [0.5 / 15], [1.5 / 15]], dtype=np.float32)
    expected = (13.5 / 15 + (1 - 14.5 / 15) + (1 - 0.5 / 15) + 1.5 / 15) / 4
    assert calibration_measures(truth, probabilities)["calibration_error"] == pytest.approx(expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_bands_are_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Its bins hold their upper bound and ours the lower one; random numbers are on neither.
    probabilities = random.random((200, 7)).astype(np.float32) ** 2
    truth = random.random((200, 7)) < probabilities
    share_true, mean_probability = calibration_curve(truth.ravel(), probabilities.ravel(), n_bins=10)
    bands = reliability(truth, probabilities)
    assert [band["share_true"] for band in bands] == pytest.approx(share_true, abs=1e-12)
    assert [band["mean_probability"] for band in bands] == pytest.approx(mean_probability, abs=1e-6)
    assert sum(band["pairs"] for band in bands) == truth.size


def test_bands_by_hand() -> None:
    # 0.7 in float32 is below 7/10, and belongs where it is; 1 belongs to the last band.
    probabilities = np.array([[0.0, 0.05, 0.25, 0.75], [0.7, 0.25, 1.0, 0.9375]], dtype=np.float32)
    truth = bools("0010", "1011")
    bands = reliability(truth, probabilities)
    assert [(band["low"], band["high"]) for band in bands] == [(n / 10, (n + 1) / 10) for n in range(10)]
    assert [band["pairs"] for band in bands] == [2, 0, 2, 0, 0, 0, 1, 1, 0, 2]
    assert bands[2]["mean_probability"] == 0.25 and bands[2]["share_true"] == 0.5
    assert bands[6]["share_true"] == 1 and bands[7]["share_true"] == 0
    assert bands[9]["mean_probability"] == 0.96875 and bands[9]["share_true"] == 1
    assert bands[1]["mean_probability"] is None and bands[1]["share_true"] is None


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=40))
def test_bands_hold_every_pair_once(pairs: list[tuple[float, bool]]) -> None:
    probabilities = np.array([[value for value, _ in pairs]], dtype=np.float32)
    truth = np.array([[true for _, true in pairs]])
    for band in reliability(truth, probabilities):
        # Compared as exact fractions of the float32.
        inside = [
            (float(value), bool(true))
            for value, true in zip(probabilities[0], truth[0], strict=True)
            if band["low"] * 10 <= float(value) * 10 < band["high"] * 10 or (band["high"] == 1 and value == 1)
        ]
        assert band["pairs"] == len(inside)
        if inside:
            assert band["share_true"] == pytest.approx(sum(true for _, true in inside) / len(inside))
            assert band["mean_probability"] == pytest.approx(sum(value for value, _ in inside) / len(inside))


# Selective classification


def curve_by_trying(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> list[tuple[float, ...]]:
    """(bound, documents, precision, recall) of every confidence, from the highest down, document by document."""
    confidence = [
        min((float(p) for p, chosen in zip(row, labels, strict=True) if chosen), default=None)
        for row, labels in zip(probabilities, predicted, strict=True)
    ]
    rows = []
    for bound in sorted({value for value in confidence if value is not None}, reverse=True):
        left = [n for n, value in enumerate(confidence) if value is not None and value >= bound]
        precision, recall, _, _ = sklearn_metrics.precision_recall_fscore_support(
            truth[left].ravel(), predicted[left].ravel(), average="binary", zero_division=0
        )
        rows.append((bound, len(left), precision, recall))
    return rows


@given(
    st.integers(1, 12).flatmap(
        lambda documents: st.tuples(
            hnp.arrays(bool, (documents, 3)),
            hnp.arrays(bool, (documents, 3)),
            hnp.arrays(np.float32, (documents, 3), elements=st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])),
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_the_curve_is_what_trying_every_bound_gives(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    curve = risk_coverage(*case)
    expected = curve_by_trying(*case)
    rows = zip(curve.bounds, curve.documents, curve.precision, curve.recall, strict=True)
    assert [tuple(row) for row in rows] == [pytest.approx(row) for row in expected]
    assert curve.coverage.tolist() == [documents / len(case[0]) for _, documents, _, _ in expected]


def test_confidence_by_hand() -> None:
    probabilities = np.array([[0.9, 0.75, 0.1], [0.5, 0.25, 0.75], [1, 1, 1]], dtype=np.float32)
    assert confidences(bools("110", "000", "001"), probabilities).tolist() == [0.75, 0, 1]


def test_a_label_of_probability_0_that_comes_with_its_child_is_a_predicted_label() -> None:
    """As a section may, where decoding takes it along with its class."""
    curve = risk_coverage(bools("1", "0", "1"), bools("1", "1", "0"), np.zeros((3, 1), dtype=np.float32))
    assert curve.coverage.tolist() == [2 / 3] and curve.precision.tolist() == [0.5]


def by_hand() -> RiskCoverage:
    """Five documents of confidence .9, .8, .8, .6 and none; right: 1 of 1, 1 of 1 and 1 of 2 together, 0 of 1."""
    probabilities = np.array([[0.9, 0], [0.8, 0], [0.8, 0.85], [0.6, 0], [0.3, 0.2]], dtype=np.float32)
    predicted = bools("10", "10", "11", "10", "00")
    truth = bools("10", "11", "10", "01", "10")
    return risk_coverage(truth, predicted, probabilities)


def test_the_bound_leaves_as_many_documents_as_it_can() -> None:
    curve = by_hand()
    assert curve.coverage.tolist() == [1 / 5, 3 / 5, 4 / 5]
    assert curve.precision.tolist() == [1, 3 / 4, 3 / 5]
    assert curve.recall.tolist() == [1, 3 / 4, 3 / 5]
    high, middle, low = curve.bounds.tolist()
    assert [curve.lowest_bound(wanted) for wanted in (1, 0.76, 0.75, 0.6, 0.1)] == [high, high, middle, low, low]


def test_a_precision_that_falls_and_rises_again_counts_where_it_is_reached_last() -> None:
    """Right, wrong, right, right: 1, 1/2, 2/3, 3/4 by confidence."""
    probabilities = np.array([[0.9], [0.8], [0.7], [0.6]], dtype=np.float32)
    curve = risk_coverage(bools("1", "0", "1", "1"), np.ones((4, 1), dtype=bool), probabilities)
    assert curve.lowest_bound(0.75) == curve.bounds[3]
    assert curve.lowest_bound(0.9) == curve.bounds[0]


def test_abstention_takes_its_bound_from_val_and_its_precision_from_test() -> None:
    val = by_hand()
    probabilities = np.array([[0.95], [0.85], [0.7], [0.4]], dtype=np.float32)
    test = risk_coverage(bools("1", "0", "1", "1"), bools("1", "1", "1", "0"), probabilities)
    assert abstention(val, test, 0.75) == {
        "wanted_precision": 0.75, "bound": float(np.float32(0.8)), "val_coverage": 3 / 5, "val_precision": 3 / 4,
        "test_coverage": 2 / 4, "test_precision": 1 / 2, "left_to_person": 1 / 2,
    }  # fmt: skip
    assert abstention(test, val, 0.9)["test_precision"] is None, "none of val is as confident as the first of test"


def test_where_no_bound_reaches_the_precision_all_is_left_to_a_person() -> None:
    wrong = risk_coverage(bools("0", "0"), bools("1", "1"), np.array([[0.9], [0.8]], dtype=np.float32))
    nothing = risk_coverage(bools("1", "0"), bools("0", "0"), np.array([[0.9], [0.8]], dtype=np.float32))
    for curve in (wrong, nothing):
        found = abstention(curve, by_hand(), 0.5)
        assert found["bound"] is None and found["test_precision"] is None and found["val_precision"] is None
        assert (found["val_coverage"], found["test_coverage"], found["left_to_person"]) == (0, 0, 1)


# Errors


def pairs_by_trying(truth: np.ndarray, predicted: np.ndarray) -> dict[tuple[int, int], tuple[int, float]]:
    found: dict[tuple[int, int], tuple[int, float]] = {}
    for true, guess in zip(truth, predicted, strict=True):
        missed = [label for label in range(len(true)) if true[label] and not guess[label]]
        wrong = [label for label in range(len(true)) if guess[label] and not true[label]]
        for pair in product(missed, wrong):
            documents, weight = found.get(pair, (0, 0.0))
            found[pair] = documents + 1, weight + 1 / (len(missed) * len(wrong))
    return found


@EACH_TREE
def test_confused_pairs_are_those_of_every_document(tree: LabelTree) -> None:
    truth, predicted, _ = confused_case(tree, 300)
    for columns in tree.columns.values():
        pairs = confused_pairs(truth[:, columns], predicted[:, columns])
        expected = pairs_by_trying(truth[:, columns], predicted[:, columns])
        found = {(pair.true, pair.predicted): (pair.documents, pair.weight) for pair in pairs}
        assert found == {pair: (documents, pytest.approx(weight)) for pair, (documents, weight) in expected.items()}
        assert len({documents for documents, _ in found.values()}) > 1
        keys = [(-pair.weight, -pair.documents, pair.true, pair.predicted) for pair in pairs]
        assert keys == sorted(keys)


def test_confused_pairs_by_hand() -> None:
    # Missed 0 and 1, wrong 2; missed 0, wrong 2 and 3; only missed; only wrong; right.
    truth, predicted = bools("1100", "1000", "0010", "0000", "0001"), bools("0010", "0011", "0000", "0100", "0001")
    assert [tuple(pair) for pair in confused_pairs(truth, predicted)] == [
        (0, 2, 2, 1.0), (0, 3, 1, 0.5), (1, 2, 1, 0.5),
    ]  # fmt: skip
    assert confused_pairs(truth, truth) == []


def test_the_order_of_documents_changes_no_weight() -> None:
    truth, predicted, _ = confused_case(THREE, 500)
    order = np.random.default_rng(3).permutation(500)
    assert confused_pairs(truth, predicted) == confused_pairs(truth[order], predicted[order])


def test_labels_by_frequency_are_scikit_learns() -> None:
    truth, predicted, _ = random_case(TWO, 300)
    training_truth, _, _ = random_case(TWO, 50, seed=1)
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    records = by_frequency(truth, predicted, training_truth)
    assert [record["precision"] for record in records] == pytest.approx(precision)
    assert [record["recall"] for record in records] == pytest.approx(recall)
    assert [record["f1"] for record in records] == pytest.approx(f1)
    assert [record["support"] for record in records] == support.tolist()
    assert [record["predicted"] for record in records] == [sum(column) for column in predicted.T.tolist()]
    assert [record["train_documents"] for record in records] == [sum(column) for column in training_truth.T.tolist()]


@EACH_TREE
def test_losses_of_documents_are_scikit_learns_and_their_mean_is_the_log_loss(tree: LabelTree) -> None:
    truth, _, probabilities = random_case(tree, 100)
    losses = document_losses(truth, probabilities)
    inside = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    expected = [
        sklearn_metrics.log_loss(row, values, labels=[False, True]) for row, values in zip(truth, inside, strict=True)
    ]
    assert losses == pytest.approx(expected)
    assert losses.mean() == pytest.approx(calibration_measures(truth, probabilities)["log_loss"])


def test_the_worst_documents_come_first_and_equals_in_their_order() -> None:
    losses = np.array([0.5, 2.0, 0.5, 3.0, 0.1])
    assert worst_documents(losses, 3) == [3, 1, 0]
    assert worst_documents(losses, 9) == [3, 1, 0, 2, 4]
    # Of few values any way to sort keeps equals in their order.
    many = np.tile([0.5, 0.25], 40)
    assert worst_documents(many, 80) == [*range(0, 80, 2), *range(1, 80, 2)]


# Groups


def names_and_rows(groups: list[Any]) -> dict[str, list[int]]:
    return {name: np.flatnonzero(documents).tolist() for name, documents in groups}


def test_groups_by_hand() -> None:
    truth = bools("0000000", "1000000", "1111100", "1111111", "0010000")
    assert names_and_rows(by_label_count(truth)) == {"0": [0], "1": [1, 4], "5 or more": [2, 3]}
    words = np.array([49, 50, 0, 300, 299, 1000])
    assert names_and_rows(by_words(words)) == {
        "0 to 49": [0, 2], "50 to 99": [1], "200 to 299": [4], "300 or more": [3, 5],
    }  # fmt: skip
    assert list(names_and_rows(by_value([2001, None, 1999, 2001])).items()) == [
        ("1999", [2]), ("2001", [0, 3]), ("unknown", [1]),
    ]  # fmt: skip
    assert names_and_rows(by_value(["US", "EP"])) == {"EP": [1], "US": [0]}


@pytest.mark.parametrize("grouped", [by_label_count, lambda truth: by_words(40 * truth.sum(axis=1))])
def test_group_measures_are_scikit_learns(grouped: Any) -> None:
    truth, predicted, _ = random_case(TWO, 200)
    groups = grouped(truth)
    records = group_measures(truth, predicted, groups)
    assert sum(record["documents"] for record in records) == 200 and len(records) > 3
    for (name, documents), record in zip(groups, records, strict=True):
        expected = sklearn_metrics.precision_recall_fscore_support(
            truth[documents], predicted[documents], average="micro", zero_division=0
        )
        assert [record[measure] for measure in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
        assert (record["group"], record["documents"]) == (name, documents.sum())


# All tables


@EACH_TREE
def test_every_table_has_its_columns_and_the_levels_from_the_top_down(tree: LabelTree) -> None:
    truth, predicted, probabilities = confused_case(tree, 60)
    split = Labelled(truth, predicted, probabilities, probabilities**2)
    ids = [f"d{number}" for number in range(60)]
    groupings = {"office": by_value(["EP", "US"] * 30)}
    tables = analyse(split, split, truth, ids, groupings, tree, AnalysisOptions(documents=7))
    assert {*tables, names.GUARANTEES, names.STABILITY} == set(names.ANALYSIS)
    assert {*names.ANALYSIS, names.SOURCE_EFFECTS} == set(TABLES)
    for name, records in tables.items():
        assert list(dict.fromkeys(record["level"] for record in records)) == list(tree.levels)
        assert all(list(record) == list(TABLES[name].columns) for record in records), name
    assert [record["rank"] for record in tables[names.WORST_DOCUMENTS]] == [*range(1, 8)] * len(tree.levels)
    assert {record["grouping"] for record in tables[names.BY_GROUP]} == {"labels", "office"}
    before, after = (
        [record["brier"] for record in tables[names.CALIBRATION] if record["probabilities"] == whose]
        for whose in ("network", "combined")
    )
    assert len(before) == len(after) == 2 * len(tree.levels) and not set(before) & set(after)


def test_confusions_and_documents_are_named() -> None:
    truth = TWO.encode([["A", "A01"], ["A", "B", "A01", "B01"], ["C", "C01"]])
    predicted = TWO.encode([["A", "A02"], ["B", "B01", "B02"], []])
    probabilities = np.where(predicted, 0.9, 0.1).astype(np.float32)
    split = Labelled(truth, predicted, probabilities)
    tables = analyse(split, split, truth, ["x", "y", "z"], {}, TWO, AnalysisOptions())
    assert [tuple(record.values()) for record in tables[names.CONFUSION]] == [
        ("class", "A01", "A02", "title of A01", "title of A02", True, 1, 1.0),
        ("class", "A01", "B02", "title of A01", "title of B02", False, 1, 1.0),
    ]
    worst = {(record["level"], record["document_id"]): record for record in tables[names.WORST_DOCUMENTS]}
    assert worst["class", "y"]["true"] == "A01; B01" and worst["class", "y"]["predicted"] == "B01; B02"
    assert worst["class", "z"]["predicted"] is None
    assert worst["section", "x"]["rank"] == 3, "right, so the lowest loss"
    (section, of_class) = tables[names.LEVELS]
    assert (section["val_coverage"], section["test_precision"]) == (2 / 3, 1)
    assert of_class["bound"] is None and of_class["documents"] == 3


def test_at_the_top_no_pair_has_a_parent() -> None:
    truth, predicted, probabilities = confused_case(ONE, 60)
    split = Labelled(truth, predicted, probabilities)
    tables = analyse(split, split, truth, [str(n) for n in range(60)], {}, ONE, AnalysisOptions())
    assert {record["same_parent"] for record in tables[names.CONFUSION]} == {None}
