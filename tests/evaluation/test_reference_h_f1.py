import math

import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TWO, codes_of, parent_of, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ipcascade.evaluation.hierarchical import reference_measures
from ipcascade.evaluation.mask import predict_masked
from ipcascade.evaluation.reference_h_f1 import GRID, best_on_grid, has_reference_h_f1, reference_h_f1

matrices = st.integers(1, 6).flatmap(
    lambda documents: st.tuples(*(hnp.arrays(bool, (documents, len(THREE.labels))) for _ in range(2)))
)


def literal_reference(true: set[str], guess: set[str]) -> float:
    """The definition word by word, for one document."""
    sections, classes = set(TWO.codes("section")), set(TWO.codes("class"))
    S, C = true & sections, true & classes
    S_, C_ = guess & sections, guess & classes
    a = 0.5

    precision = 0.0
    for c in C_:
        if c in C:
            precision += 1
        elif parent_of(c, TWO) in S:
            precision += a
    for s in S_:
        if s in S and not any(parent_of(c, TWO) == s for c in C_):
            precision += a
    precision = precision / (len(S_) + len(C_)) if S_ or C_ else 0

    recall = 0.0
    for c in C:
        if c in C_:
            recall += 1
        elif parent_of(c, TWO) in S_:
            recall += a
    for s in S:
        if s in S_ and not any(parent_of(c, TWO) == s for c in C):
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
    score = reference_h_f1(TWO.encode([sorted(true)]), TWO.encode([sorted(guess)]), TWO)
    assert score == pytest.approx([expected])
    assert literal_reference(true, guess) == pytest.approx(expected)


@given(matrices)
@settings(max_examples=100, deadline=None)
def test_reference_h_f1_equals_its_literal_reading(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Of two levels, and of the first two of three."""
    two = tuple(matrix[:, : len(TWO.labels)] for matrix in case)
    codes = [[codes_of(row, TWO) for row in matrix] for matrix in two]
    expected = [literal_reference(true, guess) for true, guess in zip(*codes, strict=True)]
    assert reference_h_f1(*two, TWO) == pytest.approx(expected)
    assert reference_h_f1(*case, THREE).tolist() == reference_h_f1(*two, TWO).tolist()


def test_reference_measures_come_with_their_ceiling() -> None:
    truth = TWO.encode([["A", "A01"], ["A", "A01", "A02"]])
    predicted = TWO.encode([["A", "A01"], ["A", "A03"]])
    second = literal_reference({"A", "A01", "A02"}, {"A", "A03"})
    ceiling = (1 / 2 + 2 / 3) / 2
    assert reference_measures(truth, predicted, TWO) == pytest.approx(
        {"h_f1": (1 / 2 + second) / 2, "h_f1_ceiling": ceiling, "h_f1_share": (1 / 2 + second) / 2 / ceiling}
    )


def test_a_tree_of_one_level_does_not_have_the_measure() -> None:
    assert [has_reference_h_f1(tree) for tree in (ONE, TWO, THREE)] == [False, True, True]
    truth, predicted, probabilities = random_case(ONE, 4)
    with pytest.raises(ValueError, match="two levels"):
        reference_h_f1(truth, predicted, ONE)
    with pytest.raises(ValueError, match="two levels"):
        best_on_grid(truth, probabilities, ONE, None)


# The grid search


def test_the_published_grid_is_in_exact_decimals() -> None:
    assert [repr(value) for value in GRID] == [
        "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5", "0.55", "0.6", "0.65", "0.7",
    ]  # fmt: skip


@pytest.mark.parametrize("confidence", [None, 0.1])
def test_the_grid_search_equals_trying_every_pair(confidence: float | None) -> None:
    truth, _, probabilities = random_case(THREE, 40, seed=4)
    two = slice(0, len(TWO.labels))

    def score(section: float, class_: float) -> float:
        thresholds = np.array([section] * 3 + [class_] * 6)
        predicted = predict_masked(probabilities[:, two], thresholds, TWO, confidence)
        return math.fsum(reference_h_f1(truth[:, two], predicted, TWO)) / len(truth)

    scores = {(section, class_): score(section, class_) for section in GRID for class_ in GRID}
    highest = max(scores.values())
    pair = min(pair for pair, value in scores.items() if value == highest)
    found = best_on_grid(truth[:, two], probabilities[:, two], TWO, confidence)
    assert found.h_f1 == highest
    assert found.thresholds == {"section": pair[0], "class": pair[1]}
    assert best_on_grid(truth, probabilities, THREE, confidence) == found, "the third level is not read"


def test_equal_pairs_of_the_grid_go_to_the_lowest() -> None:
    truth = TWO.encode([["A", "A01"], ["B", "B01"]])
    found = best_on_grid(truth, truth.astype(np.float32), TWO, None)
    assert (found.thresholds, found.h_f1) == ({"section": 0.1, "class": 0.1}, 0.5)
