import json
import math
import subprocess
import sys

import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TREES, TWO, random_case
from sklearn.metrics import log_loss

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.epoch_selection import is_better, selection_value, validation_loss
from ipcascade.evaluation.history import measures_of_epoch
from ipcascade.evaluation.options import VALIDATION_LOSS, selection_measures

EACH_TREE = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)


def values_of(truth: np.ndarray, scores: np.ndarray, tree: LabelTree, confidence: float | None = None) -> dict:
    measures = [name for name in selection_measures(tree.levels) if name != VALIDATION_LOSS]
    return {name: selection_value(name, truth, scores, tree, confidence) for name in measures}


@EACH_TREE
@pytest.mark.parametrize("confidence", [None, 0.3])
@pytest.mark.parametrize("documents", [1, 80])
def test_each_measure_is_the_historys_column_of_its_name(
    tree: LabelTree, confidence: float | None, documents: int
) -> None:
    truth, _, scores = random_case(tree, documents, seed=3)
    columns = measures_of_epoch(truth, scores, tree, dict.fromkeys(tree.levels, 0.5), confidence)
    found = values_of(truth, scores, tree, confidence)
    assert found == {name: columns[name] for name in found}
    assert len(found) == {ONE: 4, TWO: 8, THREE: 11}[tree]


@EACH_TREE
def test_each_measure_is_at_its_highest_for_perfect_scores(tree: LabelTree) -> None:
    truth, _, scores = random_case(tree, 100)
    perfect, other = values_of(truth, truth.astype(np.float32), tree), values_of(truth, scores, tree)
    for name in perfect:
        assert perfect[name] > other[name], name
        assert is_better(name, perfect[name], other[name]) and not is_better(name, other[name], perfect[name])


def test_other_measures_are_refused() -> None:
    truth, _, scores = random_case(TWO, 5)
    for name in (VALIDATION_LOSS, "global.subclass.f1_micro", "section.brier"):
        with pytest.raises(ValueError, match=f"no measure '{name}'"):
            selection_value(name, truth, scores, TWO, None)


def test_a_measure_without_a_value_is_none_and_never_better() -> None:
    truth, _, scores = random_case(TWO, 5)
    value = selection_value("class.average_precision_micro", np.zeros_like(truth), scores, TWO, None)
    assert value is None
    assert not is_better("class.average_precision_micro", value, None)
    assert not is_better("class.average_precision_micro", value, 0.1)


def test_better_is_strictly_higher_and_of_the_loss_lower() -> None:
    for measure, better, worse in (("global.class.f1_micro", 0.6, 0.5), (VALIDATION_LOSS, 0.5, 0.6)):
        assert is_better(measure, worse, None)
        assert is_better(measure, better, worse)
        assert not is_better(measure, worse, better)
        assert not is_better(measure, better, better)


@EACH_TREE
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_validation_loss_is_the_weighted_sum_of_log_losses(tree: LabelTree, reduction: str) -> None:
    truth, _, scores = random_case(tree, 30)
    weights = {level: 0.3 + 0.4 * depth for depth, level in enumerate(tree.levels)}
    expected = 0.0
    for level, columns in tree.columns.items():
        probabilities = scores[:, columns].ravel().astype(float).clip(1e-7, 1 - 1e-7)
        of_cells = log_loss(truth[:, columns].ravel(), probabilities, labels=[False, True])
        expected += weights[level] * of_cells * (len(tree.codes(level)) if reduction == "sum" else 1)
    assert validation_loss(truth, scores, tree, weights, reduction) == pytest.approx(expected)


def test_certain_mistakes_have_a_finite_loss() -> None:
    truth = np.ones((2, len(ONE.labels)), dtype=bool)
    loss = validation_loss(truth, np.zeros(truth.shape, dtype=np.float32), ONE, {"section": 1.0}, "mean")
    assert loss == pytest.approx(-math.log(1e-7))


def test_scores_of_a_diverged_model_are_refused() -> None:
    truth, _, scores = random_case(TWO, 5)
    scores[2, 1] = math.nan
    with pytest.raises(UserError, match="row 2 has the probability nan for the label 'B'"):
        selection_value("global.class.f1_micro", truth, scores, TWO, None)
    with pytest.raises(UserError, match="row 2 has the probability nan for the label 'B'"):
        validation_loss(truth, scores, TWO, {"section": 1.0, "class": 1.0}, "sum")


def test_training_imports_little_of_the_evaluation() -> None:
    code = "import json, sys, ipcascade.evaluation.epoch_selection; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(found.stdout)
    names = ("counts", "epoch_selection", "mask", "options", "reference_h_f1")
    assert [name for name in modules if name.startswith("ipcascade.evaluation.")] == [
        f"ipcascade.evaluation.{name}" for name in names
    ]
    assert not {"sklearn", "scipy", "torch", "polars"} & set(modules)
