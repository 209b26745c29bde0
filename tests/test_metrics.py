import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hiclass import metrics as hiclass_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics

from ipcascade import metrics
from ipcascade.errors import UserError
from ipcascade.taxonomy import Taxonomy

# The classes of the sections take turns, so that no code may lean on neighbouring columns.
TREE = Taxonomy(
    ("A", "B", "C"),
    ("A01", "B01", "A02", "C01", "B02", "A03"),
    ("A", "B", "A", "C", "B", "A"),
    {code: f"title of {code}" for code in ("A", "B", "C", "A01", "B01", "A02", "C01", "B02", "A03")},
)
WIDTH = len(TREE.labels)
LEVELS = TREE.columns.items()


def random_case(documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth closed under parents, predictions that are not, and probabilities with many ties. B02 never occurs in the
    truth, C01 is never predicted, and A03 does neither."""
    random = np.random.default_rng(seed)
    truth = random.random((documents, WIDTH)) < 0.25
    predicted = (truth & (random.random(truth.shape) < 0.7)) | (random.random(truth.shape) < 0.1)
    truth[:, [TREE.index["B02"], TREE.index["A03"]]] = False
    predicted[:, [TREE.index["C01"], TREE.index["A03"]]] = False
    probabilities = np.round(0.4 * truth + 0.6 * random.random(truth.shape), 1).astype(np.float32)
    return TREE.close(truth), predicted, probabilities


matrices = st.integers(1, 6).flatmap(
    lambda documents: st.tuples(*(hnp.arrays(bool, (documents, WIDTH)) for _ in range(2)))
)


# Flat measures


def scikit_flat(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    functions = {
        "f1": sklearn_metrics.f1_score,
        "precision": sklearn_metrics.precision_score,
        "recall": sklearn_metrics.recall_score,
    }
    names = {"micro": "micro", "macro": "macro", "weighted": "weighted", "document": "samples"}
    measures = {
        f"{measure}_{ours}": function(truth, predicted, average=theirs, zero_division=0)
        for measure, function in functions.items()
        for ours, theirs in names.items()
    }
    supported = np.flatnonzero(truth.any(axis=0))
    for measure, function in functions.items():
        by_label = function(truth, predicted, average=None, zero_division=0)
        measures[f"{measure}_macro_supported"] = by_label[supported].mean() if len(supported) else 0.0
    return measures | {"exact_match": sklearn_metrics.accuracy_score(truth, predicted)}


@pytest.mark.parametrize("documents", [1, 7, 300])
def test_flat_measures_are_scikit_learns(documents: int) -> None:
    truth, predicted, probabilities = random_case(documents)
    measures = metrics.evaluate(truth, predicted, probabilities, TREE)
    for level, columns in LEVELS:
        expected = scikit_flat(truth[:, columns], predicted[:, columns])
        assert {name: measures[level][name] for name in expected} == pytest.approx(expected, abs=1e-12)


@given(matrices)
@settings(max_examples=40, deadline=None)
def test_flat_measures_are_scikit_learns_in_every_corner(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = case
    measures = metrics.decision_measures(truth, predicted, TREE)
    for level, columns in LEVELS:
        expected = scikit_flat(truth[:, columns], predicted[:, columns])
        assert {name: measures[level][name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_macro_counts_labels_that_never_occur() -> None:
    truth = TREE.encode([["A", "A01"], ["A", "A01"]])
    measures = metrics.decision_measures(truth, truth, TREE)
    assert measures["class"]["f1_macro"] == pytest.approx(1 / 6)
    assert measures["class"]["f1_macro_supported"] == 1
    assert measures["section"]["f1_macro"] == pytest.approx(1 / 3)


def test_descriptions_by_hand() -> None:
    truth = TREE.encode([["A", "A01"], ["A", "B", "A01", "A02", "B01"], ["C", "C01"], ["C", "C01"]])
    predicted = TREE.encode([["A", "A01"], ["A", "A01", "A02"], ["C"], []])
    measures = metrics.decision_measures(truth, predicted, TREE)
    assert measures["documents"] == 4
    described = ("labels_with_support", "labels_predicted", "labels_per_document", "predicted_per_document")
    assert [measures["section"][name] for name in described] == [3, 2, 5 / 4, 3 / 4]
    assert [measures["class"][name] for name in described] == [4, 2, 6 / 4, 3 / 4]
    assert [measures[level]["exact_match"] for level in ("section", "class")] == [1 / 2, 1 / 4]
    assert [measures[level]["documents_without_prediction"] for level in ("section", "class")] == [1 / 4, 1 / 2]


# Hierarchical measures


def single_paths(documents: int, seed: int) -> list[list[str]]:
    chosen = np.random.default_rng(seed).integers(len(TREE.classes), size=documents)
    return [[TREE.parents[label], TREE.classes[label]] for label in chosen]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")  # its way to say that 0/0 is 0
def test_hierarchical_measures_are_hiclass_on_single_labels() -> None:
    truth, predicted = single_paths(200, 1), single_paths(200, 2)
    predicted[:60] = truth[:60]
    predicted[60:80] = [[section, ""] for section, _ in predicted[60:80]]  # hiclass's way to stop at the section
    ours = metrics.decision_measures(
        TREE.encode(truth), TREE.encode([[code for code in codes if code] for codes in predicted]), TREE
    )["hierarchical"]
    assert ours == pytest.approx(
        {
            "precision_micro": hiclass_metrics.precision(np.array(truth), np.array(predicted), "micro"),
            "recall_micro": hiclass_metrics.recall(np.array(truth), np.array(predicted), "micro"),
            "f1_micro": hiclass_metrics.f1(np.array(truth), np.array(predicted), "micro"),
            "f1_document": hiclass_metrics.f1(np.array(truth), np.array(predicted), "macro"),
        }
    )


def test_hierarchical_measures_by_hand() -> None:
    truth = TREE.encode([["A", "A01"], ["A", "B", "A01", "B01"], ["C", "C01"]])
    # Closed: {A, A02}, {A, B, A01, B02} (B is added), {} against 2, 4 and 2 true nodes: hits 1, 3, 0.
    predicted = TREE.encode([["A", "A02"], ["A", "A01", "B02"], []])
    assert metrics.decision_measures(truth, predicted, TREE)["hierarchical"] == pytest.approx(
        {
            "precision_micro": 4 / 6,
            "recall_micro": 4 / 8,
            "f1_micro": 2 * 4 / (6 + 8),
            "f1_document": (2 * 1 / 4 + 2 * 3 / 8 + 0) / 3,
        }
    )


@given(matrices)
@settings(max_examples=50, deadline=None)
def test_hierarchical_measures_equal_sets(case: tuple[np.ndarray, np.ndarray]) -> None:
    def nodes(row: np.ndarray) -> set[str]:
        codes = {TREE.labels[column] for column in np.flatnonzero(row)}
        return codes | {parent for code, parent in zip(TREE.classes, TREE.parents, strict=True) if code in codes}

    pairs = [(nodes(true), nodes(guess)) for true, guess in zip(*case, strict=True)]
    hits, guessed, true = (
        sum(len(chosen(*pair)) for pair in pairs) for chosen in (lambda t, p: t & p, lambda t, p: p, lambda t, p: t)
    )
    by_document = [2 * len(t & p) / (len(t) + len(p)) if t or p else 0 for t, p in pairs]
    assert metrics.decision_measures(*case, TREE)["hierarchical"] == pytest.approx(
        {
            "precision_micro": hits / guessed if guessed else 0,
            "recall_micro": hits / true if true else 0,
            "f1_micro": 2 * hits / (guessed + true) if guessed + true else 0,
            "f1_document": sum(by_document) / len(pairs),
        }
    )


# The reference H-F1


def literal_reference(true: set[str], guess: set[str]) -> float:
    """The definition read out word by word, for one document."""
    parent = dict(zip(TREE.classes, TREE.parents, strict=True))
    S, C = true & set(TREE.sections), true & set(TREE.classes)
    S_, C_ = guess & set(TREE.sections), guess & set(TREE.classes)
    a = 0.5

    precision = 0.0
    for c in C_:
        if c in C:
            precision += 1
        elif parent[c] in S:
            precision += a
    for s in S_:
        if s in S and not any(parent[c] == s for c in C_):
            precision += a
    precision = precision / (len(S_) + len(C_)) if S_ or C_ else 0

    recall = 0.0
    for c in C:
        if c in C_:
            recall += 1
        elif parent[c] in S_:
            recall += a
    for s in S:
        if s in S_ and not any(parent[c] == s for c in C):
            recall += a
    recall = recall / (len(S) + len(C)) if S or C else 0

    return 2 * precision * recall / (precision + recall) if precision + recall else 0


@pytest.mark.parametrize(
    ("true", "guess", "expected"),
    [
        ({"A", "A01"}, {"A", "A01"}, 1 / 2),  # a perfect prediction scores half
        ({"A", "A01"}, {"A", "A02"}, 1 / 4),  # right section, wrong class: half of that
        ({"A", "A01"}, {"A"}, 1 / 3),  # precision .5 / 1, recall .5 / 2
        ({"A", "A01"}, {"A01"}, 2 / 3),  # not closed under parents: precision 1 / 1, recall 1 / 2
        ({"A"}, {"A"}, 1 / 2),
        ({"A", "A01", "A02"}, {"A", "A01", "A02"}, 2 / 3),  # two classes below one section: above one half
        ({"A", "B", "A01", "B01"}, {"A", "B", "A01", "B01"}, 1 / 2),
        ({"A", "A01"}, {"B", "B01"}, 0),
        ({"A", "A01"}, set(), 0),
        (set(), set(), 0),
    ],
)
def test_reference_h_f1_by_hand(true: set[str], guess: set[str], expected: float) -> None:
    score = metrics.reference_h_f1(TREE.encode([sorted(true)]), TREE.encode([sorted(guess)]), TREE)
    assert score == pytest.approx([expected])
    assert literal_reference(true, guess) == pytest.approx(expected)


@given(matrices)
@settings(max_examples=100, deadline=None)
def test_reference_h_f1_equals_its_literal_reading(case: tuple[np.ndarray, np.ndarray]) -> None:
    codes = [[{TREE.labels[column] for column in np.flatnonzero(row)} for row in matrix] for matrix in case]
    expected = [literal_reference(true, guess) for true, guess in zip(*codes, strict=True)]
    assert metrics.reference_h_f1(*case, TREE) == pytest.approx(expected)


def test_reference_measures_come_with_their_ceiling() -> None:
    truth = TREE.encode([["A", "A01"], ["A", "A01", "A02"]])
    predicted = TREE.encode([["A", "A01"], ["A", "A03"]])
    second = literal_reference({"A", "A01", "A02"}, {"A", "A03"})
    ceiling = (1 / 2 + 2 / 3) / 2
    assert metrics.decision_measures(truth, predicted, TREE)["reference"] == pytest.approx(
        {"h_f1": (1 / 2 + second) / 2, "h_f1_ceiling": ceiling, "h_f1_share": (1 / 2 + second) / 2 / ceiling}
    )


# Ranking and quality of probabilities


@pytest.mark.parametrize("documents", [12, 300])
def test_probability_measures_are_scikit_learns(documents: int) -> None:
    truth, _, probabilities = random_case(documents, seed=documents)
    assert len(np.unique(probabilities)) <= 11  # ties are what is hard
    measures = metrics.probability_measures(truth, probabilities, TREE)
    for level, columns in LEVELS:
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
    truth = TREE.encode([["A", "A01"], ["C", "C01", "B02"]])
    # Classes in taxonomy order: A01 B01 A02 C01 B02 A03; ties go to the first in that order.
    probabilities = np.array(
        [[0.9, 0.1, 0.1, 0.9, 0.8, 0.1, 0.1, 0.1, 0.1], [0.2, 0.3, 0.3, 0.1, 0.4, 0.4, 0.4, 0.2, 0.1]], dtype=np.float32
    )
    measures = metrics.probability_measures(truth, probabilities, TREE)
    assert [measures["class"][f"precision_at_{k}"] for k in (1, 3, 5)] == pytest.approx([1 / 2, 2 / 6, 3 / 10])
    # A level of three labels has no fourth to find, yet precision at 5 is still out of 5.
    assert [measures["section"][f"precision_at_{k}"] for k in (1, 3, 5)] == pytest.approx([1 / 2, 2 / 6, 2 / 10])


def test_calibration_error_by_hand() -> None:
    truth = np.zeros((4, WIDTH), dtype=bool)
    truth[:, 0] = [True, True, True, False]
    probabilities = np.zeros((4, WIDTH), dtype=np.float32)
    probabilities[:, 0] = [0.75, 0.75, 0.75, 0.25]
    measures = metrics.probability_measures(truth, probabilities, TREE)
    # Bins of 1/15: three cells at .75 (gap 3 - 2.25), one at .25 (gap .25), eight at 0 (no gap), of twelve.
    assert measures["section"]["calibration_error"] == pytest.approx((0.75 + 0.25) / 12)
    assert measures["class"]["calibration_error"] == 0
    # Opposite errors of one bin cancel: that is what makes it a measure of calibration, not of error.
    truth[:, 0] = [True, True, True, False]
    probabilities[:, 0] = 0.75
    assert metrics.probability_measures(truth, probabilities, TREE)["section"]["calibration_error"] == 0
    # The last bin holds 1 too: .9375 and 1 are weighed together.
    probabilities[:, 0] = [0.9375, 0.9375, 0.9375, 1]
    error = metrics.probability_measures(truth, probabilities, TREE)["section"]["calibration_error"]
    assert error == pytest.approx((3 * 0.9375 + 1 - 3) / 12)


def test_certain_mistakes_have_a_finite_log_loss() -> None:
    truth = np.ones((2, WIDTH), dtype=bool)
    measures = metrics.probability_measures(truth, np.zeros((2, WIDTH), dtype=np.float32), TREE)
    assert measures["class"]["log_loss"] == pytest.approx(-math.log(1e-7))
    assert measures["class"]["brier"] == 1


def test_without_positives_average_precision_is_none() -> None:
    nothing = np.zeros((3, WIDTH), dtype=bool)
    measures = metrics.evaluate(nothing, nothing, np.full((3, WIDTH), 0.5, dtype=np.float32), TREE)
    assert measures["class"]["average_precision_micro"] is None
    assert measures["class"]["average_precision_macro"] is None
    assert measures["reference"]["h_f1_share"] is None
    assert measures["class"]["f1_micro"] == 0


@pytest.mark.parametrize("wrong", [math.nan, -0.25, 1.5])
def test_improper_probability_is_named(wrong: float) -> None:
    truth, predicted, probabilities = random_case(5)
    probabilities[3, TREE.index["A02"]] = wrong
    with pytest.raises(UserError, match=rf"row 3 has the probability {wrong} for the label 'A02'"):
        metrics.evaluate(truth, predicted, probabilities, TREE)


def test_no_documents_are_refused() -> None:
    nothing = np.zeros((0, WIDTH), dtype=bool)
    with pytest.raises(ValueError, match="no documents"):
        metrics.decision_measures(nothing, nothing, TREE)
    with pytest.raises(ValueError, match="no documents"):
        metrics.probability_measures(nothing, nothing.astype(np.float32), TREE)


# Form


def test_measures_are_plain_and_always_the_same_columns() -> None:
    full = metrics.evaluate(*random_case(50), TREE)
    nothing = np.zeros((2, WIDTH), dtype=bool)
    bare = metrics.evaluate(nothing, nothing, nothing.astype(np.float32), TREE)
    assert json.loads(json.dumps(full, allow_nan=False)) == full
    json.dumps(bare, allow_nan=False)
    assert all(type(value) in (int, float) for value in metrics.flatten(full).values())
    assert tuple(metrics.flatten(full)) == tuple(metrics.flatten(bare)) == metrics.measure_names(TREE)
    assert metrics.flatten({"a": {"b": {"c": 1.0}, "d": None}, "e": 2}) == {"a.b.c": 1.0, "a.d": None, "e": 2}


def test_names_that_others_rely_on() -> None:
    names = set(metrics.measure_names(TREE))
    relied_on = {
        f"{level}.{measure}_{average}"
        for level in ("section", "class")
        for measure in ("f1", "precision", "recall")
        for average in ("micro", "macro")
    }
    relied_on |= {f"hierarchical.{name}" for name in ("f1_micro", "precision_micro", "recall_micro", "f1_document")}
    relied_on |= {"reference.h_f1", "reference.h_f1_ceiling", "reference.h_f1_share", "class.average_precision_micro"}
    assert relied_on <= names


def test_an_epoch_can_be_chosen_by_measures_that_are_best_at_their_highest() -> None:
    selectable = set(metrics.selectable_names(TREE))
    assert {"class.f1_micro", "hierarchical.f1_document", "reference.h_f1", "section.precision_at_1"} <= selectable
    assert not {"documents", "reference.h_f1_ceiling", "class.labels_per_document"} & selectable
    # Whatever is selectable is at its highest for a perfect prediction: no other may exceed it.
    truth, predicted, probabilities = random_case(100)
    perfect = metrics.flatten(metrics.evaluate(truth, truth, truth.astype(np.float32), TREE))
    other = metrics.flatten(metrics.evaluate(truth, predicted, probabilities, TREE))
    for name in metrics.measure_names(TREE):
        if name in selectable:
            assert perfect[name] >= other[name], name
    for name in ("brier", "log_loss", "calibration_error", "coverage"):
        assert perfect[f"class.{name}"] < other[f"class.{name}"]
        assert f"class.{name}" not in selectable


def test_the_order_of_documents_changes_no_bit() -> None:
    truth, predicted, _ = random_case(400)
    probabilities = np.random.default_rng(1).random(truth.shape).astype(np.float32)
    order = np.random.default_rng(2).permutation(400)
    straight = metrics.evaluate(truth, predicted, probabilities, TREE)
    assert metrics.evaluate(truth[order], predicted[order], probabilities[order], TREE) == straight


def test_metrics_need_numpy_alone() -> None:
    code = "import sys, ipcascade.metrics; print(sorted({'sklearn', 'scipy', 'torch', 'polars'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# Labels


def test_per_label_table() -> None:
    truth, predicted, probabilities = random_case(120)
    thresholds = np.linspace(0.1, 0.9, WIDTH)
    records = metrics.per_label(truth, predicted, probabilities, TREE, thresholds)
    assert [record["code"] for record in records] == list(TREE.labels)
    assert [record["level"] for record in records] == ["section"] * 3 + ["class"] * 6
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
    assert "threshold" not in metrics.per_label(truth, predicted, probabilities, TREE)[0]


# Intervals

HEADLINE = {f"{level}.{name}" for level in ("section", "class") for name in
            ("f1_micro", "f1_macro", "precision_micro", "recall_micro")} | {
    "hierarchical.f1_micro", "hierarchical.precision_micro", "hierarchical.recall_micro", "reference.h_f1"
}  # fmt: skip


def family_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, predicted, _ = random_case(60, seed=5)
    families = np.array([f"f{number}" for number in np.random.default_rng(3).integers(25, size=60)])
    return truth, predicted, families


def test_bootstrap_equals_evaluating_the_resampled_documents() -> None:
    truth, predicted, families = family_case()
    # A label that most resamples miss, and one that nobody has.
    truth[:, -2:] = predicted[:, -2:] = False
    truth[0, -1] = predicted[0, -1] = True
    names = sorted(set(families))
    values = metrics.bootstrap_values(truth, predicted, families, TREE, samples=60, seed=7)
    assert set(values) == HEADLINE
    weights = np.concatenate(list(metrics.family_resamples(len(names), samples=60, seed=7)))
    assert weights.shape == (60, len(names)) and (weights.sum(axis=1) == len(names)).all()
    for sample, weight in enumerate(weights):
        rows: list[int] = []
        for name, times in zip(names, weight, strict=True):
            rows += np.flatnonzero(families == name).tolist() * int(times)
        again = metrics.flatten(metrics.decision_measures(truth[rows], predicted[rows], TREE))
        for level, columns in TREE.columns.items():
            again[f"{level}.f1_macro"] = macro_without_missing(truth[:, columns], predicted[:, columns], rows)
        assert {name: value[sample] for name, value in values.items()} == pytest.approx(
            {name: again[name] for name in HEADLINE}, abs=1e-8
        )


def macro_without_missing(truth: np.ndarray, predicted: np.ndarray, rows: list[int]) -> float:
    """Label by label with scikit-learn: those missing from the rows are left out, those missing everywhere count 0."""
    values, everywhere = [], 0
    for label in range(truth.shape[1]):
        everywhere += truth[:, label].any() or predicted[:, label].any()
        if truth[rows, label].any() or predicted[rows, label].any():
            values.append(sklearn_metrics.f1_score(truth[rows, label], predicted[rows, label]))
    return float(np.mean(values)) * everywhere / truth.shape[1] if values else 0.0


def test_the_interval_of_macro_f1_holds_the_value_where_labels_are_rare(taxonomy: Taxonomy) -> None:
    """One document a class, three in four of them right: a bootstrap sample misses a third of the classes, and counting
    those as 0 would pull the whole interval below the value."""
    classes = len(taxonomy.classes)
    truth = np.zeros((classes, len(taxonomy.labels)), dtype=bool)
    truth[np.arange(classes), len(taxonomy.sections) + np.arange(classes)] = True
    predicted = truth.copy()
    predicted[::4] = False
    value = metrics.decision_measures(truth, predicted, taxonomy)["class"]["f1_macro"]
    found = metrics.bootstrap_intervals(truth, predicted, np.arange(classes), taxonomy, 200, 0.9, 7)
    low, high = found["class.f1_macro"]
    assert value == 0.75 and low < value < high


def intervals(*case: Any, samples: int = 200, confidence: float = 0.9, seed: int = 7) -> dict[str, list[float]]:
    return metrics.bootstrap_intervals(*case, TREE, samples, confidence, seed)


def test_intervals_are_percentiles_and_plain() -> None:
    case = family_case()
    values = metrics.bootstrap_values(*case, TREE, samples=200, seed=7)
    found = intervals(*case)
    for name, (low, high) in found.items():
        assert [low, high] == pytest.approx(np.percentile(values[name], [5, 95]).tolist())
    assert json.loads(json.dumps(found)) == found
    assert intervals(*case, samples=0) == {}


def test_intervals_follow_the_seed_and_nothing_else() -> None:
    truth, predicted, families = family_case()
    straight = intervals(truth, predicted, families)
    order = np.random.default_rng(9).permutation(len(truth))
    assert intervals(truth, predicted, families) == straight
    assert intervals(truth[order], predicted[order], families[order]) == straight
    assert intervals(truth, predicted, families.tolist()) == straight
    assert intervals(truth, predicted, families, seed=8) != straight


def test_families_are_drawn_whole() -> None:
    # Copies of a document within its family say nothing new: the intervals stay, where a bootstrap over documents
    # would shrink them.
    truth, predicted, _ = random_case(40)
    alone = intervals(truth, predicted, np.arange(40))
    copies = np.repeat(np.arange(40), 5)
    copied = intervals(truth[copies], predicted[copies], copies)
    for name, interval in alone.items():
        assert copied[name] == pytest.approx(interval)
    as_if_independent = intervals(truth[copies], predicted[copies], np.arange(200))
    name = "class.f1_micro"
    assert np.ptp(as_if_independent[name]) < 0.7 * np.ptp(alone[name])
