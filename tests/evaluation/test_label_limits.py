from typing import Any

import numpy as np
import pytest
from evaluation_cases import ONE, THREE, TWO, codes_of, make_tree, parent_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import NEVER
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.label_limits import add_most_probable, keep_most_probable
from ipcascade.evaluation.options import DecodingOptions, most_labels

DEEP = make_tree(
    {
        "section": {"A": "", "B": ""},
        "class": {"A01": "A", "B01": "B", "A02": "A"},
        "subclass": {"B01X": "B01", "A01X": "A01"},  # A02 ends early
    }
)
EACH_TREE = pytest.mark.parametrize("tree", [ONE, TWO, THREE], ids=["one level", "two levels", "three levels"])
BOTH_METHODS = pytest.mark.parametrize("method", ["mask", "coherent"])

eighths = st.integers(0, 8).map(lambda number: number / 8)


def decoded(probabilities: list[float], thresholds: list[float] | float = 0.5, **options: Any) -> set[str]:
    row = np.array([probabilities], dtype=np.float32)
    cuts = np.broadcast_to(np.float64(thresholds), len(DEEP.labels))
    labels = decode(row, cuts, DEEP, DecodingOptions.model_validate({"method": "mask", **options}))
    assert labels.shape == (1, len(DEEP.labels)) and labels.dtype == bool
    return codes_of(labels[0], DEEP)


# At least one


@BOTH_METHODS
@pytest.mark.parametrize(
    ("probabilities", "expected"),
    # A, B; A01, B01, A02; B01X, A01X; all thresholds are .5
    [
        # Nothing: the best section, its best class, its best subclass; A01 is more probable, but not below B.
        ([0.2, 0.3, 0.4, 0.1, 0.1, 0.1, 0.4], {"B", "B01", "B01X"}),
        # A02 has no subclasses in the tree.
        ([0.3, 0.2, 0.1, 0.1, 0.2, 0.1, 0.1], {"A", "A02"}),
        # Of equals the first: A and A01.
        ([0.2, 0.2, 0.1, 0.2, 0.1, 0.2, 0.0], {"A", "A01"}),
        # Each label without a child gets one, and only those: A has A02, which has no children; B gets B01.
        ([0.9, 0.9, 0.4, 0.1, 0.8, 0.1, 0.4], {"A", "A02", "B", "B01", "B01X"}),
        # A probability of 0 is never added, at the top or below.
        ([0.0] * 7, set()),
        ([0.0, 0.0, 0.4, 0.4, 0.4, 0.4, 0.4], set()),
        ([0.9, 0.0, 0.0, 0.4, 0.0, 0.4, 0.4], {"A"}),
    ],
)
def test_at_least_one_by_hand(method: str, probabilities: list[float], expected: set[str]) -> None:
    assert decoded(probabilities, method=method, at_least_one=True) == expected


@BOTH_METHODS
def test_a_label_that_is_never_predicted_is_not_added_either(method: str) -> None:
    probabilities = [0.4, 0.3, 0.4, 0.1, 0.3, 0.1, 0.1]
    never_a01 = [0.5, 0.5, NEVER, 0.5, 0.5, 0.5, 0.5]
    never_sections = [NEVER, NEVER, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert decoded(probabilities, 0.5, method=method, at_least_one=True) == {"A", "A01", "A01X"}
    assert decoded(probabilities, never_a01, method=method, at_least_one=True) == {"A", "A02"}
    assert decoded(probabilities, never_sections, method=method, at_least_one=True) == set()
    assert decoded(probabilities, NEVER, method=method, at_least_one=True) == set()


def test_a_label_without_its_parent_counts_as_below_it() -> None:
    # No section is predicted, so the mask allows all classes: the document has the label A01, and no section is added.
    assert decoded([0.4, 0.45, 0.9, 0.1, 0.1, 0.1, 0.6]) == {"A01", "A01X"}
    assert decoded([0.4, 0.45, 0.9, 0.1, 0.1, 0.1, 0.6], at_least_one=True) == {"A01", "A01X"}
    # No class is predicted, so the mask allows all subclasses: A has A01X below it, and gets no A02.
    assert decoded([0.9, 0.4, 0.1, 0.1, 0.3, 0.1, 0.6]) == {"A", "A01X"}
    assert decoded([0.9, 0.4, 0.1, 0.1, 0.3, 0.1, 0.6], at_least_one=True) == {"A", "A01X"}


def literal_additions(labels: set[str], row: np.ndarray, thresholds: np.ndarray, tree: LabelTree) -> set[str]:
    """Label by label; `labels` are those predicted."""
    probability = dict(zip(tree.labels, row.tolist(), strict=True))
    possible = {code for code, p, t in zip(tree.labels, row, thresholds, strict=True) if p > 0 and t < 1}
    labels = set(labels)

    def with_ancestors() -> set[str]:
        return labels | {tree.labels[above] for code in labels for above in tree.ancestors(tree.index[code])}

    def best(codes: list[str]) -> set[str]:
        found = [code for code in codes if code in possible]
        return {max(found, key=lambda code: (probability[code], -tree.index[code]))} if found else set()

    if not labels:
        labels |= best(list(tree.codes(tree.levels[0])))
    for code in tree.labels:
        children = [child for child in tree.labels if parent_of(child, tree) == code]
        if code in with_ancestors() and not set(children) & with_ancestors():
            labels |= best(children)
    return labels


@EACH_TREE
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_additions_equal_a_literal_reading(tree: LabelTree, data: st.DataObject) -> None:
    shape = data.draw(st.integers(0, 4)), len(tree.labels)
    predicted = data.draw(hnp.arrays(bool, shape, elements=st.sampled_from([False, False, False, True])))
    probabilities = data.draw(hnp.arrays(np.float32, shape, elements=eighths))
    thresholds = data.draw(hnp.arrays(np.float64, shape[1], elements=eighths))
    before = predicted.copy()
    found = add_most_probable(predicted, probabilities, thresholds, tree)
    expected = [
        sorted(literal_additions(codes_of(labels, tree), row, thresholds, tree))
        for labels, row in zip(predicted, probabilities, strict=True)
    ]
    np.testing.assert_array_equal(found, tree.encode(expected))
    np.testing.assert_array_equal(predicted, before)
    np.testing.assert_array_equal(add_most_probable(found, probabilities, thresholds, tree), found)


@BOTH_METHODS
@EACH_TREE
def test_each_document_gets_a_whole_path(method: str, tree: LabelTree) -> None:
    """With no probability of 0, every document has labels, and none of them ends above the leaves of the tree."""
    probabilities = np.random.default_rng(0).uniform(0.01, 1, (200, len(tree.labels))).astype(np.float32)
    options = DecodingOptions.model_validate({"method": method, "at_least_one": True})
    found = tree.close(decode(probabilities, np.full(len(tree.labels), 0.9), tree, options))
    assert found[:, : tree.sizes[0]].any(axis=1).all()
    for label in np.flatnonzero(tree.has_children):
        assert (found[found[:, label]][:, tree.parent == label].any(axis=1)).all()


# At most


@BOTH_METHODS
@pytest.mark.parametrize(
    ("at_most", "expected"),
    # A .9, B .8; A01 .7, B01 .95, A02 .75; B01X .9, A01X .8: all are predicted
    [
        ({}, {"A", "B", "A01", "B01", "A02", "B01X", "A01X"}),
        (None, {"A", "B", "A01", "B01", "A02", "B01X", "A01X"}),
        # What is below B goes with it, though B01 is the most probable of all.
        ({"section": 1}, {"A", "A01", "A02", "A01X"}),
        ({"class": 2}, {"A", "B", "B01", "A02", "B01X"}),
        ({"class": 1}, {"A", "B", "B01", "B01X"}),
        ({"subclass": 1}, {"A", "B", "A01", "B01", "A02", "B01X"}),
        # The limit of the classes counts those below A alone.
        ({"default": 1}, {"A", "A02"}),
        ({"class": 2, "default": 1}, {"A", "A01", "A02", "A01X"}),
        ({"default": 9}, {"A", "B", "A01", "B01", "A02", "B01X", "A01X"}),
    ],
)
def test_at_most_by_hand(method: str, at_most: dict[str, int] | None, expected: set[str]) -> None:
    probabilities = [0.9, 0.8, 0.7, 0.95, 0.75, 0.9, 0.8]
    assert decoded(probabilities, method=method, at_most=at_most) == expected


def test_of_equally_probable_labels_the_first_stay() -> None:
    assert decoded([0.75] * 7, at_most={"class": 2}) == {"A", "B", "A01", "B01", "A01X", "B01X"}


def test_parents_that_a_reader_adds_are_counted() -> None:
    # The mask allows classes without sections; with their sections, there would be two of these.
    probabilities = [0.4, 0.3, 0.8, 0.9, 0.1, 0.1, 0.1]
    assert decoded(probabilities) == {"A01", "B01"}
    assert decoded(probabilities, at_most={"section": 1}) == {"A01"}


def test_at_most_wins_over_at_least_one() -> None:
    # At least one gives B the class B01; of the classes one may stay, and it is A01.
    probabilities = [0.9, 0.8, 0.7, 0.3, 0.1, 0.1, 0.6]
    assert decoded(probabilities, at_least_one=True) == {"A", "B", "A01", "B01", "A01X", "B01X"}
    assert decoded(probabilities, at_least_one=True, at_most={"class": 1}) == {"A", "B", "A01", "A01X"}


def literal_limits(labels: set[str], row: np.ndarray, tree: LabelTree, most: dict[str, int]) -> set[str]:
    probability = dict(zip(tree.labels, row.tolist(), strict=True))
    closed = labels | {tree.labels[above] for code in labels for above in tree.ancestors(tree.index[code])}
    kept: set[str] = set()
    for level in tree.levels:
        here = [code for code in tree.codes(level) if code in closed and parent_of(code, tree) in {None, *kept}]
        kept |= set(sorted(here, key=lambda code: -probability[code])[: most.get(level)])
    return labels & kept


@EACH_TREE
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_limits_equal_a_literal_reading(tree: LabelTree, data: st.DataObject) -> None:
    shape = data.draw(st.integers(0, 4)), len(tree.labels)
    predicted = data.draw(hnp.arrays(bool, shape))
    probabilities = data.draw(hnp.arrays(np.float32, shape, elements=eighths))
    most = data.draw(st.dictionaries(st.sampled_from(tree.levels), st.integers(1, 4)))
    before = predicted.copy()
    found = keep_most_probable(predicted, probabilities, tree, most)
    expected = [
        sorted(literal_limits(codes_of(labels, tree), row, tree, most))
        for labels, row in zip(predicted, probabilities, strict=True)
    ]
    np.testing.assert_array_equal(found, tree.encode(expected))
    np.testing.assert_array_equal(predicted, before)
    for level, columns in tree.columns.items():
        assert (tree.close(found)[:, columns].sum(axis=1) <= most.get(level, shape[1])).all()
    np.testing.assert_array_equal(found.any(axis=1), predicted.any(axis=1))


def test_limits_by_level() -> None:
    levels = ["section", "class"]
    limits = [None, {}, {"class": 2}, {"default": 3}, {"default": 3, "class": 2}]
    found = [most_labels(DecodingOptions(at_most=at_most), levels) for at_most in limits]
    assert found == [{}, {}, {"class": 2}, {"section": 3, "class": 3}, {"section": 3, "class": 2}]
