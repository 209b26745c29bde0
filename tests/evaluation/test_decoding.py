import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TWO, codes_of, make_tree, parent_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import best_f1
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.mask import thresholds_of_levels
from ipcascade.evaluation.options import DecodingOptions

# The classes of A and B take turns, so that no code may rely on neighbouring columns.
SMALL = make_tree({"section": {"A": "", "B": ""}, "class": {"A01": "A", "B01": "B", "A02": "A"}})
DEEP = make_tree(
    {
        "section": {"A": "", "B": ""},
        "class": {"A01": "A", "B01": "B", "A02": "A"},
        "subclass": {"B01X": "B01", "A01X": "A01"},  # A02 ends early
    }
)


def decoded(
    probabilities: list[float], confidence: float | None = None, threshold: float = 0.5, tree: LabelTree = SMALL
) -> set[str]:
    row = np.array([probabilities], dtype=np.float32)
    labels = decode(
        row, np.full(len(tree.labels), threshold), tree, DecodingOptions(method="mask", confidence=confidence)
    )
    assert labels.shape == (1, len(tree.labels)) and labels.dtype == bool
    return codes_of(labels[0], tree)


@pytest.mark.parametrize(
    ("probabilities", "confidence", "expected"),
    [
        # A is predicted, B is not: B01 is masked, A's classes go by their own thresholds.
        ([0.9, 0.4, 0.8, 0.9, 0.2], None, {"A", "A01"}),
        # Both sections predicted: nothing is masked.
        ([0.9, 0.6, 0.8, 0.9, 0.7], None, {"A", "B", "A01", "B01", "A02"}),
        # No section predicted: all classes are allowed, and are predicted without their sections.
        ([0.4, 0.3, 0.8, 0.9, 0.2], None, {"A01", "B01"}),
        # Nothing anywhere.
        ([0.1, 0.1, 0.1, 0.1, 0.1], None, set()),
        # B is confident (above 0.25) though not predicted: its class stays, without it.
        ([0.9, 0.3, 0.8, 0.9, 0.2], 0.25, {"A", "A01", "B01"}),
        # B is not confident: its class goes.
        ([0.9, 0.2, 0.8, 0.9, 0.2], 0.25, {"A", "A01"}),
        # No section is confident, though A is predicted at its threshold: all classes are allowed.
        ([0.7, 0.2, 0.8, 0.9, 0.2], 0.75, {"A", "A01", "B01"}),
    ],
)
def test_mask_by_hand(probabilities: list[float], confidence: float | None, expected: set[str]) -> None:
    assert decoded(probabilities, confidence) == expected


@pytest.mark.parametrize(
    ("probabilities", "confidence", "expected"),
    # A, B; A01, B01, A02; B01X, A01X
    [
        # The mask goes down: B is not predicted, so B01 is masked, so B01X is, though both are probable.
        ([0.9, 0.4, 0.8, 0.9, 0.2, 0.9, 0.9], None, {"A", "A01", "A01X"}),
        # Of the classes only A02 is predicted, which ends early: no subclass is below a predicted class.
        ([0.9, 0.4, 0.2, 0.9, 0.8, 0.9, 0.9], None, {"A", "A02"}),
        # After masking no class is predicted: all subclasses are allowed.
        ([0.9, 0.4, 0.2, 0.9, 0.2, 0.9, 0.3], None, {"A", "B01X"}),
        # No section is predicted: all classes are allowed, and subclasses below the predicted ones.
        ([0.4, 0.4, 0.2, 0.9, 0.2, 0.9, 0.9], None, {"B01", "B01X"}),
        # B01 is confident by its own probability, though it is masked by B: its subclass is allowed.
        ([0.9, 0.1, 0.8, 0.9, 0.2, 0.9, 0.9], 0.25, {"A", "A01", "B01X", "A01X"}),
        # A01 is confident, though not predicted, and B01 is not: one subclass is allowed.
        ([0.9, 0.9, 0.3, 0.2, 0.2, 0.9, 0.9], 0.25, {"A", "B", "A01X"}),
    ],
)
def test_mask_of_three_levels_by_hand(probabilities: list[float], confidence: float | None, expected: set[str]) -> None:
    assert decoded(probabilities, confidence, tree=DEEP) == expected


def test_one_level_has_no_mask() -> None:
    assert decoded([0.9, 0.1, 0.6], tree=ONE) == decoded([0.9, 0.1, 0.6], confidence=1.0, tree=ONE) == {"A", "C"}


def test_thresholds_and_confidence_are_strict() -> None:
    assert decoded([0.5, 0.5, 0.5, 0.5, 0.5]) == set()
    above = float(np.nextafter(np.float32(0.5), np.float32(1)))
    assert decoded([above, 0.5, above, above, 0.5]) == {"A", "A01"}
    # At a confidence of exactly its probability, A is not confident, so that B01 escapes the mask.
    assert decoded([0.75, 0.1, 0.1, 0.9, 0.1], confidence=0.75) == {"A", "B01"}


@pytest.mark.parametrize("number", [0.1, 0.35, 0.7])
def test_float32_probabilities_are_compared_with_float64_numbers_exactly(number: float) -> None:
    rounded = float(np.float32(number))
    assert rounded != number
    exceeds = rounded > number
    assert ("A" in decoded([number, 0, 0, 0, 0], threshold=number)) == exceeds
    # With A confident B01 is masked; without, it is not: the confidence is compared as exactly as the thresholds.
    assert ("B01" not in decoded([number, 0, 0, 1, 0], confidence=number)) == exceeds


def test_neighbouring_float32_probabilities_are_separated() -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    threshold, reached = best_f1(np.array([True, False]), np.array([high, low]))
    assert reached == 1
    labels = len(TWO.labels)
    found = decode(
        np.full((2, labels), [[high], [low]]), np.full(labels, threshold), TWO, DecodingOptions(method="mask")
    )
    assert found.tolist() == [[True] * labels, [False] * labels]


def literal_decode(row: np.ndarray, thresholds: np.ndarray, tree: LabelTree, confidence: float | None) -> set[str]:
    probability = dict(zip(tree.labels, row.tolist(), strict=True))
    threshold = dict(zip(tree.labels, thresholds.tolist(), strict=True))
    predicted: set[str] = set()
    confident: set[str] = set()
    for level in tree.levels:
        above = confident
        of_level = {
            code
            for code in tree.codes(level)
            if probability[code] > threshold[code] and (not above or parent_of(code, tree) in above)
        }
        predicted |= of_level
        confident = (
            of_level if confidence is None else {code for code in tree.codes(level) if probability[code] > confidence}
        )
    return predicted


eighths = st.integers(0, 8).map(lambda number: number / 8)


@pytest.mark.parametrize("tree", [ONE, TWO, THREE])
@given(data=st.data(), confidence=st.none() | eighths)
def test_decode_equals_a_literal_reading(tree: LabelTree, data: st.DataObject, confidence: float | None) -> None:
    labels = len(tree.labels)
    probabilities = data.draw(hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(labels)), elements=eighths))
    thresholds = data.draw(hnp.arrays(np.float64, labels, elements=eighths))
    found = decode(probabilities, thresholds, tree, DecodingOptions(method="mask", confidence=confidence))
    expected = [literal_decode(row, thresholds, tree, confidence) for row in probabilities]
    np.testing.assert_array_equal(found, tree.encode([sorted(codes) for codes in expected]))


def test_one_threshold_per_level_as_one_per_label() -> None:
    values = thresholds_of_levels({"subclass": 0.1, "section": 0.3, "class": 1}, DEEP)
    assert values.dtype == np.float64
    assert values.tolist() == [0.3, 0.3, 1.0, 1.0, 1.0, 0.1, 0.1]
