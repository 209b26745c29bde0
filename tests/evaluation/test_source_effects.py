"""What a source corrects and spoils: a case by hand, brute force over cells, and F1 of scikit-learn."""

import numpy as np
import pytest
from evaluation_cases import TWO, random_case
from sklearn.metrics import f1_score

from ipcascade.evaluation.source_effects import source_effects


def bools(*rows: str) -> np.ndarray:
    return np.array([[cell == "1" for cell in row] for row in rows])


def test_effects_by_hand():
    """Three labels with 5, 50 and 500 training documents."""
    training_truth = np.arange(500)[:, None] < np.array([5, 50, 500])
    truth = bools("110", "011", "001", "001")
    predicted = bools("100", "010", "101", "011")
    without = bools("010", "111", "001", "001")
    # Gained: label 0 of the first document. Lost: label 1 of the first, label 2 of the second. Wrong with the source:
    # label 0 of the third, label 1 of the fourth, both added by it; it removes label 0 of the second.
    found = source_effects(truth, predicted, without, training_truth)
    assert found[0] == {
        "frequency": "all", "labels": 3, "true": 6, "found": 4, "true_gained": 1, "true_lost": 2,
        "wrong": 2, "wrong_removed": 1, "wrong_added": 2,
        "f1": pytest.approx(8 / 12), "f1_without": pytest.approx(10 / 12),
    }  # fmt: skip
    counts = [tuple(record.values())[:-2] for record in found[1:]]
    assert counts == [
        ("rare", 1, 1, 1, 1, 0, 1, 1, 1), ("medium", 1, 2, 1, 0, 1, 1, 0, 1), ("frequent", 1, 3, 2, 0, 1, 0, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("documents", "group"),
    [(0, "rare"), (9, "rare"), (10, "medium"), (99, "medium"), (100, "frequent")],
)
def test_groups_of_labels_begin_at_10_and_at_100_training_documents(documents, group):
    training_truth = np.arange(100)[:, None] < documents
    label = np.ones((1, 1), dtype=bool)
    assert [record["frequency"] for record in source_effects(label, label, label, training_truth)] == ["all", group]


def test_effects_are_those_of_each_cell_and_f1_that_of_scikit_learn():
    truth, predicted, _ = random_case(TWO, 300)
    without = predicted ^ (np.random.default_rng(3).random(predicted.shape) < 0.2)
    training_truth, _, _ = random_case(TWO, 60, seed=1)
    rare = training_truth.sum(axis=0) < 10
    assert rare.any() and not rare.all()
    records = {record["frequency"]: record for record in source_effects(truth, predicted, without, training_truth)}
    for group, labels in (("all", np.ones_like(rare)), ("rare", rare)):
        cells = list(zip(*(of[:, labels].ravel().tolist() for of in (truth, predicted, without)), strict=True))
        counts = {
            "true": sum(true for true, _, _ in cells),
            "found": cells.count((True, True, True)) + cells.count((True, True, False)),
            "true_gained": cells.count((True, True, False)),
            "true_lost": cells.count((True, False, True)),
            "wrong": cells.count((False, True, True)) + cells.count((False, True, False)),
            "wrong_removed": cells.count((False, False, True)),
            "wrong_added": cells.count((False, True, False)),
        }
        assert {name: records[group][name] for name in counts} == counts
        for name, labelled in (("f1", predicted), ("f1_without", without)):
            expected = f1_score(truth[:, labels], labelled[:, labels], average="micro", zero_division=0)
            assert records[group][name] == pytest.approx(expected)


def test_a_source_without_which_nothing_changes_has_no_effect():
    truth, predicted, _ = random_case(TWO, 50)
    for record in source_effects(truth, predicted, predicted, truth):
        assert not any(record[name] for name in ("true_gained", "true_lost", "wrong_removed", "wrong_added"))
        assert record["f1"] == record["f1_without"]
