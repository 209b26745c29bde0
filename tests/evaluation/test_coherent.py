from functools import cache
from itertools import chain, product

import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TWO, codes_of, make_tree, parent_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.coherent import predict_coherent
from ipcascade.evaluation.counts import NEVER
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.options import DecodingOptions

COHERENT = DecodingOptions(method="coherent")
SMALL = make_tree({"section": {"A": "", "B": ""}, "class": {"A01": "A", "B01": "B", "A02": "A"}})
DEEP = make_tree(
    {
        "section": {"A": "", "B": ""},
        "class": {"A01": "A", "B01": "B", "A02": "A"},
        "subclass": {"B01X": "B01", "A01X": "A01"},  # A02 ends early
    }
)
EACH_TREE = pytest.mark.parametrize("tree", [ONE, TWO, THREE], ids=["one level", "two levels", "three levels"])

eighths = st.integers(0, 8).map(lambda number: number / 8)
unit = st.floats(0, 1, width=32)


def decoded(probabilities: list[float], thresholds: list[float] | float, tree: LabelTree = SMALL) -> set[str]:
    row = np.array([probabilities], dtype=np.float32)
    labels = decode(row, np.broadcast_to(np.float64(thresholds), len(tree.labels)), tree, COHERENT)
    assert labels.shape == (1, len(tree.labels)) and labels.dtype == bool
    return codes_of(labels[0], tree)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    # A, B; A01, B01, A02; all thresholds are .5
    [
        # A class above its threshold brings its section along where it gains more (.25) than the section loses (.125).
        ([0.375, 0.125, 0.75, 0.25, 0.25], {"A", "A01"}),
        # Here the section loses as much as its class gains: nothing.
        ([0.25, 0.125, 0.75, 0.25, 0.25], set()),
        # Two classes together carry a section that neither would carry alone. A class that gains nothing stays out.
        ([0.125, 0.125, 0.75, 0.5, 0.75], {"A", "A01", "A02"}),
        # A class below its threshold takes nothing from its section.
        ([0.625, 0.625, 0.0, 0.0, 0.0], {"A", "B"}),
        # At their thresholds, and with a gain of exactly 0, labels are not predicted.
        ([0.5, 0.5, 0.5, 0.5, 0.5], set()),
    ],
)
def test_two_levels_by_hand(probabilities: list[float], expected: set[str]) -> None:
    assert decoded(probabilities, 0.5) == expected


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    # A, B; A01, B01, A02; B01X, A01X; all thresholds are .5
    [
        # A01X gains .5, A01 loses .25 and A .125: all three are predicted.
        ([0.375, 0, 0.25, 0, 0, 0, 1], {"A", "A01", "A01X"}),
        # A loses .25: what A01X gains is used up on the way to the top.
        ([0.25, 0, 0.25, 0, 0, 0, 1], set()),
        # A has a gain of its own, but A01 would lose more than A01X gains.
        ([0.75, 0, 0, 0, 0, 0, 0.875], {"A"}),
        # A02 carries A; A01 with A01X is left out though A01X is above its threshold.
        ([0.25, 0, 0.125, 0, 0.875, 0, 0.75], {"A", "A02"}),
    ],
)
def test_three_levels_by_hand(probabilities: list[float], expected: set[str]) -> None:
    assert decoded(probabilities, 0.5, DEEP) == expected


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    # A, B; A01, B01, A02; B01X, A01X; all probabilities are 1
    [
        # Without NEVER all labels.
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], {"A", "B", "A01", "B01", "A02", "B01X", "A01X"}),
        # A is never predicted, so nothing below it is.
        ([NEVER, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], {"B", "B01", "B01X"}),
        # In the middle: A01 and A01X go, A and A02 stay.
        ([0.5, NEVER, NEVER, 0.5, 0.5, 0.5, 0.5], {"A", "A02"}),
        # At the bottom.
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, NEVER], {"A", "B", "A01", "B01", "A02", "B01X"}),
    ],
)
def test_never_is_never_whatever_is_below(thresholds: list[float], expected: set[str]) -> None:
    assert decoded([1.0] * 7, thresholds, DEEP) == expected


@cache
def closed_sets(tree: LabelTree) -> np.ndarray:
    """All label sets closed under parents, bool [sets, labels]."""

    def below(label: int) -> list[list[int]]:
        children = [child for child, parent in enumerate(tree.parents) if parent == label]
        chosen = [list(chain(*parts)) for parts in product(*(below(child) for child in children))]
        return [[], *([label, *labels] for labels in chosen)] if label >= 0 else chosen

    sets = below(-1)
    matrix = np.zeros((len(sets), len(tree.labels)), dtype=bool)
    for row, labels in zip(matrix, sets, strict=True):
        row[labels] = True
    return matrix


def test_closed_sets_are_all_there_are() -> None:
    subsets = np.array(list(product([False, True], repeat=len(DEEP.labels))))
    expected = {
        tuple(row) for row in subsets.tolist()
        if all(parent_of(code, DEEP) in {None, *codes_of(row, DEEP)} for code in codes_of(row, DEEP))
    }  # fmt: skip
    assert {tuple(row) for row in closed_sets(DEEP).tolist()} == expected
    assert len(closed_sets(DEEP)) == len(expected) == 28


@EACH_TREE
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_closed_set_gains_more_and_none_as_much_with_fewer_labels(tree: LabelTree, data: st.DataObject) -> None:
    """In eighths all sums are exact, so that ties are ties."""
    labels = len(tree.labels)
    probabilities = data.draw(hnp.arrays(np.float32, (2, labels), elements=eighths))
    thresholds = data.draw(hnp.arrays(np.float64, labels, elements=eighths))
    sets = closed_sets(tree)
    allowed = sets[~sets[:, thresholds == NEVER].any(axis=1)]
    for row, found in zip(probabilities, predict_coherent(probabilities, thresholds, tree), strict=True):
        gains = allowed @ (row.astype(float) - thresholds)
        best = allowed[gains == gains.max()]
        assert found.tolist() == best[best.sum(axis=1).argmin()].tolist()
        assert (best.sum(axis=1) == found.sum()).sum() == 1, "the smallest of the best is one"


def expected_f1(probabilities: np.ndarray, predicted: np.ndarray) -> float:
    """F1 over all cells, each of them true with its probability: counted with that weight, and the rest as false."""
    chances, cells = probabilities.ravel().astype(float), predicted.ravel()
    truth = np.repeat([True, False], len(cells))
    weights = np.concatenate([chances, 1 - chances])
    return float(f1_score(truth, np.tile(cells, 2), sample_weight=weights, zero_division=0))


@pytest.mark.parametrize("tree", [SMALL, DEEP, TWO], ids=["two levels", "three levels", "two larger levels"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_at_half_the_best_expected_hierarchical_f1_that_is_reached(tree: LabelTree, data: st.DataObject) -> None:
    """Against all closed label sets of both documents together."""
    elements = data.draw(st.sampled_from([eighths, unit]))
    probabilities = data.draw(hnp.arrays(np.float32, (2, len(tree.labels)), elements=elements))
    sets = closed_sets(tree)
    first, second = (sets @ row.astype(float) for row in probabilities)
    sizes = sets.sum(axis=1)
    positives = probabilities.sum(dtype=float)
    total = np.add.outer(sizes, sizes) + positives
    f1 = 2 * np.add.outer(first, second) / np.where(total > 0, total, 1)
    best = f1.max()
    found = predict_coherent(probabilities, np.full(len(tree.labels), best / 2), tree)
    assert expected_f1(probabilities, found) == pytest.approx(best, abs=1e-9)


def literal_coherent(row: np.ndarray, thresholds: np.ndarray, tree: LabelTree) -> set[str]:
    """The formula, label by label."""
    children = {code: [child for child in tree.labels if parent_of(child, tree) == code] for code in tree.labels}
    own = {code: float(p) - float(t) for code, p, t in zip(tree.labels, row, thresholds, strict=True)}
    never = {code for code, t in zip(tree.labels, thresholds, strict=True) if t == 1}

    def gain(code: str) -> float:
        return -1.0 if code in never else own[code] + sum(max(0.0, gain(child)) for child in children[code])

    def kept(code: str) -> bool:
        parent = parent_of(code, tree)
        return gain(code) > 0 and (parent is None or kept(parent))

    return {code for code in tree.labels if kept(code)}


@EACH_TREE
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_formula_document_by_document(tree: LabelTree, data: st.DataObject) -> None:
    labels = len(tree.labels)
    documents = data.draw(st.integers(0, 5))
    probabilities = data.draw(hnp.arrays(np.float32, (documents, labels), elements=eighths))
    thresholds = data.draw(hnp.arrays(np.float64, labels, elements=eighths))
    found = decode(probabilities, thresholds, tree, COHERENT)
    expected = [sorted(literal_coherent(row, thresholds, tree)) for row in probabilities]
    np.testing.assert_array_equal(found, tree.encode(expected))
    np.testing.assert_array_equal(found, tree.close(found))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_one_level_goes_by_its_thresholds_bit_for_bit(data: st.DataObject) -> None:
    probabilities = data.draw(hnp.arrays(np.float32, (3, 3), elements=unit))
    thresholds = data.draw(hnp.arrays(np.float64, 3, elements=st.floats(0, 1) | unit))
    found = predict_coherent(probabilities, thresholds, ONE)
    np.testing.assert_array_equal(found, probabilities.astype(np.float64) > thresholds)


def test_confidence_belongs_to_the_mask_alone() -> None:
    probabilities = np.array([[0.9, 0.4, 0.8, 0.9, 0.2]], dtype=np.float32)
    thresholds = np.full(5, 0.5)
    confident = DecodingOptions(method="coherent", confidence=0.95)
    np.testing.assert_array_equal(
        decode(probabilities, thresholds, SMALL, confident), decode(probabilities, thresholds, SMALL, COHERENT)
    )
