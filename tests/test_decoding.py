import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ipcascade.config import DecodingOptions
from ipcascade.decoding import decode
from ipcascade.taxonomy import Taxonomy

# Sections A and B; the classes of A and B take turns, so that no code may lean on neighbouring columns.
TREE = Taxonomy(("A", "B"), ("A01", "B01", "A02"), ("A", "B", "A"), {})
HALVES = np.full(5, 0.5)


def decoded(probabilities: list[float], confidence: float | None = None, thresholds: np.ndarray = HALVES) -> set[str]:
    row = np.array([probabilities], dtype=np.float32)
    labels = decode(row, thresholds, TREE, DecodingOptions(confidence=confidence))
    assert labels.shape == (1, 5) and labels.dtype == bool
    return {TREE.labels[column] for column in np.flatnonzero(labels[0])}


@pytest.mark.parametrize(
    ("probabilities", "confidence", "expected"),
    [
        # A is predicted, B is not: B01 is masked out, A's classes go by their own thresholds.
        ([0.9, 0.4, 0.8, 0.9, 0.2], None, {"A", "A01"}),
        # Both sections predicted: nothing is masked.
        ([0.9, 0.6, 0.8, 0.9, 0.7], None, {"A", "B", "A01", "B01", "A02"}),
        # No section predicted: all classes are allowed, and stand without their sections.
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


def test_thresholds_and_confidence_are_strict() -> None:
    assert decoded([0.5, 0.5, 0.5, 0.5, 0.5]) == set()
    above = float(np.nextafter(np.float32(0.5), np.float32(1)))
    assert decoded([above, 0.5, above, above, 0.5]) == {"A", "A01"}
    # At a confidence of exactly its probability, A is not confident, so that B01 escapes the mask.
    assert decoded([0.75, 0.1, 0.1, 0.9, 0.1], confidence=0.75) == {"A", "B01"}


@pytest.mark.parametrize("number", [0.1, 0.35, 0.7])
def test_float32_probabilities_meet_float64_numbers_exactly(number: float) -> None:
    rounded = float(np.float32(number))
    assert rounded != number
    exceeds = rounded > number
    assert ("A" in decoded([number, 0, 0, 0, 0], thresholds=np.full(5, number))) == exceeds
    # With A confident B01 is masked; without, it is not: the confidence is compared as exactly as the thresholds.
    assert ("B01" not in decoded([number, 0, 0, 1, 0], confidence=number)) == exceeds


def literal_decode(row: np.ndarray, thresholds: np.ndarray, confidence: float | None) -> set[str]:
    probability = dict(zip(TREE.labels, row.tolist(), strict=True))
    threshold = dict(zip(TREE.labels, thresholds.tolist(), strict=True))
    confident = {s for s in TREE.sections if probability[s] > (threshold[s] if confidence is None else confidence)}
    labels = {section for section in TREE.sections if probability[section] > threshold[section]}
    for code, parent in zip(TREE.classes, TREE.parents, strict=True):
        if probability[code] > threshold[code] and (parent in confident or not confident):
            labels.add(code)
    return labels


eighths = st.integers(0, 8).map(lambda number: number / 8)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(5)), elements=eighths),
    hnp.arrays(np.float64, 5, elements=eighths),
    st.none() | eighths,
)
def test_decode_equals_a_literal_reading(
    probabilities: np.ndarray, thresholds: np.ndarray, confidence: float | None
) -> None:
    labels = decode(probabilities, thresholds, TREE, DecodingOptions(confidence=confidence))
    expected = [literal_decode(row, thresholds, confidence) for row in probabilities]
    np.testing.assert_array_equal(labels, TREE.encode([sorted(codes) for codes in expected]))
