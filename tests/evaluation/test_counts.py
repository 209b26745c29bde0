import math

import numpy as np
import pytest
from evaluation_cases import best_by_trying, f1
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics

from ipcascade.core.errors import UserError
from ipcascade.evaluation.counts import (
    LOG_LOSS_CLIP,
    NEVER,
    average_precision,
    best_f1,
    check_probabilities,
    clipped,
    counts_above,
    exact_mean,
    f1_macro,
    f1_micro,
    ratio,
)

eighths = st.integers(0, 8).map(lambda number: number / 8)
unit = st.floats(0, 1, width=32)


def cases(elements: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Truth and probabilities of a few cells."""
    return st.integers(1, 40).flatmap(
        lambda cells: st.tuples(hnp.arrays(bool, cells), hnp.arrays(np.float32, cells, elements=elements))
    )


@given(cases(eighths) | cases(unit))
@settings(max_examples=60, deadline=None)
def test_best_f1_is_the_maximum_over_all_thresholds(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = case
    threshold, reached = best_f1(truth, probabilities)
    assert 0 <= threshold <= 1
    assert reached == pytest.approx(best_by_trying(truth, probabilities))
    # The F1 of the fit is that of its application, with float32 probabilities as they are.
    assert f1(truth, probabilities > np.float64(threshold)) == pytest.approx(reached)


def test_best_f1_by_hand() -> None:
    probabilities = np.array([0.875, 0.75, 0.5, 0.5, 0.25], dtype=np.float32)
    # No cut separates the tie at .5: F1 is 2/4, 4/5, 6/7, 6/8 from the highest cut down; .375 is halfway to .25.
    assert best_f1(np.array([True, True, True, False, False]), probabilities) == (0.375, pytest.approx(6 / 7))
    # Below the last probability there is only 0.
    assert best_f1(np.array([True, True, True, True, True]), probabilities) == (0.125, 1.0)
    # 2/3 at the first cut and at the third: the one with the fewest predictions.
    assert best_f1(np.array([True, False, True, False, False]), probabilities)[0] == pytest.approx(0.8125)


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_nothing_to_find_is_never_predicted(probability: float) -> None:
    probabilities = np.full(4, probability, dtype=np.float32)
    assert best_f1(np.zeros(4, dtype=bool), probabilities) == (NEVER, 0.0)


def test_positives_of_probability_zero_cannot_be_found() -> None:
    assert best_f1(np.array([True, True]), np.zeros(2, dtype=np.float32)) == (NEVER, 0.0)


def test_counts_above_by_hand() -> None:
    truth = np.array([False, True, True, False, True])
    values, positives, cells = counts_above(truth, np.array([0.5, 0.25, 0.75, 0.25, 0.5], dtype=np.float32))
    assert (values.tolist(), positives.tolist(), cells.tolist()) == ([0.75, 0.5, 0.25], [1, 2, 3], [1, 3, 5])


@given(cases(eighths) | cases(unit))
@settings(max_examples=60, deadline=None)
def test_average_precision_is_scikit_learns(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = case
    found = average_precision(truth, probabilities)
    if truth.any():
        assert found == pytest.approx(sklearn_metrics.average_precision_score(truth, probabilities))
    else:
        assert found is None


@given(hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 6), st.integers(2, 5))))
@settings(max_examples=40, deadline=None)
def test_micro_and_macro_f1_are_scikit_learns(case: np.ndarray) -> None:
    truth, predicted = case
    for ours, average in ((f1_micro, "micro"), (f1_macro, "macro")):
        expected = sklearn_metrics.f1_score(truth, predicted, average=average, zero_division=0)
        assert ours(truth, predicted) == pytest.approx(expected)


def test_nothing_over_nothing_is_zero() -> None:
    assert ratio(np.array([0, 1, 0]), np.array([0, 2, 3])).tolist() == [0, 0.5, 0]


def test_the_exact_mean_has_one_value_for_any_order() -> None:
    values = np.random.default_rng(0).random(1000) * 10.0 ** np.random.default_rng(1).integers(-9, 9, 1000)
    assert len({exact_mean(np.random.default_rng(seed).permutation(values)) for seed in range(20)}) == 1
    assert exact_mean(np.array([1e16, 1.0, -1e16, 1.0])) == 0.5


def test_clipped_probabilities_have_finite_logarithms() -> None:
    found = clipped(np.array([0, 1, 0.5], dtype=np.float32))
    assert found.dtype == np.float64
    assert found.tolist() == [LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP, 0.5]


@pytest.mark.parametrize("wrong", [math.nan, -0.25, 1.5])
def test_an_invalid_probability_is_named(wrong: float) -> None:
    probabilities = np.full((5, 3), 0.5, dtype=np.float32)
    check_probabilities(probabilities, ("A", "B", "C"))
    probabilities[3, 1] = wrong
    with pytest.raises(UserError, match=rf"row 3 has the probability {wrong} for the label 'B'"):
        check_probabilities(probabilities, ("A", "B", "C"))
