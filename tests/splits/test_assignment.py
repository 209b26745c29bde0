"""The stages after iterative stratification: moves, coverage, balance and exchange, against plain recounts."""

import numpy as np
import pytest
from corpora import DEEP, KEEP, TREE, random_corpus
from hypothesis import given
from hypothesis import strategies as st

from ipcascade.core.documents import truth_of
from ipcascade.splits.assignment import Assignment
from ipcascade.splits.balance import balance, whole_sizes
from ipcascade.splits.coverage import _gaps, _groups_outside, cover
from ipcascade.splits.exchange import LEAST_GAIN, exchange
from ipcascade.splits.groups import Groups
from ipcascade.splits.split import split

SHARES = np.array([0.7, 0.1, 0.2])
ANY_DEPTH = pytest.mark.parametrize("tree", [TREE, DEEP], ids=["two levels", "three levels"])


def labelled_groups(documents, seed, largest_group=3, tree=TREE):
    """truth and group of each document of a random corpus."""
    corpus = random_corpus(documents, seed, largest_group, tree)
    return truth_of(corpus, tree), np.unique(corpus["group_id"].to_numpy(), return_inverse=True)[1]


def at_random(truth, group_of, seed=0):
    """An assignment that chance made."""
    split_of = np.random.default_rng(seed).choice(3, group_of.max() + 1, p=SHARES)
    return Assignment(Groups.of(truth, group_of), split_of, SHARES)


def imbalance(truth, split_of_document):
    """As `Assignment` defines it, counted from the documents."""
    counted = np.column_stack([np.ones(len(truth)), truth])
    total = counted.sum(axis=0)
    held = np.stack([counted[split_of_document == place].sum(axis=0) for place in range(3)])
    return (((held - np.outer(SHARES, total)) ** 2).sum(axis=0) / np.maximum(total, 1)).sum()


def test_groups_by_hand():
    """No document has the third label."""
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    groups = Groups.of(truth, np.array([1, 1, 0, 2]))
    assert groups.documents.tolist() == [1, 2, 1]
    assert groups.has_label.tolist() == [[False, True, False], [True, True, False], [False, False, False]]
    assert groups.label_groups.tolist() == [1, 2, 0]
    assert groups.counts.toarray().tolist() == [[1, 0, 1, 0], [2, 2, 1, 0], [1, 0, 0, 0]]
    assert groups.squares.toarray().tolist() == [[1, 0, 1, 0], [4, 4, 1, 0], [1, 0, 0, 0]]
    columns, amounts = groups.counts_of(0)
    assert (columns.tolist(), amounts.tolist()) == ([0, 2], [1, 1])


@ANY_DEPTH
def test_costs_are_what_a_move_changes(tree):
    truth, group_of = labelled_groups(200, seed=1, tree=tree)
    assignment = at_random(truth, group_of)
    source, to = 0, 2
    costs = assignment.costs(source, to)
    before = imbalance(truth, assignment.split_of[group_of])
    for group in np.flatnonzero(assignment.split_of == source)[:40]:
        moved = assignment.split_of.copy()
        moved[group] = to
        assert costs[group] == pytest.approx(imbalance(truth, moved[group_of]) - before, abs=1e-9)


@ANY_DEPTH
def test_moves_keep_the_counts(tree):
    truth, group_of = labelled_groups(150, seed=2, tree=tree)
    assignment = at_random(truth, group_of)
    random = np.random.default_rng(3)
    for _ in range(300):
        group = int(random.integers(len(assignment.split_of)))
        assignment.move(group, int(random.choice([place for place in range(3) if place != assignment.split_of[group]])))
    recounted = Assignment(assignment.groups, assignment.split_of, SHARES)
    assert assignment.documents.tolist() == np.bincount(assignment.split_of[group_of], minlength=3).tolist()
    assert np.array_equal(assignment.groups_with, recounted.groups_with)
    assert np.array_equal(assignment.gaps, recounted.gaps)
    assert np.array_equal(assignment.costs(1, 2), recounted.costs(1, 2))


def test_the_cheapest_group_opens_no_gap():
    truth, group_of = labelled_groups(120, seed=4, largest_group=1)
    assignment = at_random(truth, group_of)
    allowed = np.arange(len(assignment.split_of)) % 2 == 0
    found = assignment.cheapest(0, 1, allowed)
    costs = assignment.costs(0, 1)
    free = []
    for group in np.flatnonzero((assignment.split_of == 0) & allowed):
        gaps = assignment.gaps[0].copy()
        assignment.move(group, 1)
        if not (assignment.gaps[0] & ~gaps).any():
            free.append(group)
        assignment.move(group, 0)
    assert found is not None and found[0] in free
    assert found[1] == costs[free].min()
    assert assignment.cheapest(0, 1, np.zeros_like(allowed)) is None


def test_of_equally_cheap_groups_outside_a_split_the_first_comes_first():
    """So a split is the same on every machine: sorts that are not stable differ between processors."""
    truth, group_of = labelled_groups(400, seed=6, largest_group=1)
    assignment = at_random(truth, group_of)
    label, to = int(assignment.groups.label_groups.argmax()), 1
    has_label = assignment.groups.has_label[:, label]
    outside = [
        (group, source)
        for group, source in enumerate(assignment.split_of.tolist())
        if has_label[group] and source != to
    ]
    costs = {place: assignment.costs(place[1], to)[place[0]] for place in outside}
    assert len(set(costs.values())) < len(outside) - 50
    expected = sorted(outside, key=lambda place: costs[place])
    assert _groups_outside(assignment, label, to) == expected
    assert _groups_outside(assignment, label, to, without=expected[3][0]) == expected[:3] + expected[4:]


def test_gaps_come_by_the_priority_of_the_split_and_the_rarest_label_first():
    """Of equally rare labels the first in the tree: see above."""
    truth, group_of = labelled_groups(300, seed=8, largest_group=1)
    assignment = at_random(truth, group_of)
    rarity, gaps = assignment.groups.label_groups, assignment.gaps
    expected = [
        (place, label)
        for place in (0, 2, 1)
        for label in sorted(np.flatnonzero(gaps[place]).tolist(), key=lambda label: rarity[label])
    ]
    assert len(expected) > 50 and list(_gaps(assignment)) == expected


def test_two_moves_where_one_is_not_enough():
    """C07 misses test, but each of its groups is the last one in train of another label: that one must come back."""
    truth = TREE.encode([["C", "C07", "G", "G06"], ["C", "C07", "H", "H04"], ["G", "G06"], ["H", "H04"]] + [["A"]] * 46)
    split_of = np.array([0, 0, 2, 2] + [0] * 30 + [1] * 6 + [2] * 10)
    assignment = Assignment(Groups.of(truth, np.arange(50)), split_of, SHARES)
    assert assignment.gaps_by_priority() == (0, 2, 0)
    cover(assignment)
    assert assignment.gaps_by_priority() == (0, 0, 0)
    assert assignment.groups_with.sum(axis=0).tolist() == truth.sum(axis=0).tolist()


def better_by_one_move_or_two(assignment):
    """Whether a label that a split lacks can come there, with a group for its home in exchange or without."""
    before = assignment.gaps_by_priority()
    for lacking, label in np.argwhere(assignment.gaps).tolist():
        for group in np.flatnonzero(assignment.groups.has_label[:, label]).tolist():
            home = int(assignment.split_of[group])
            assignment.move(group, lacking)
            found = assignment.gaps_by_priority() < before
            lost = np.flatnonzero(assignment.gaps[home] & assignment.groups.has_label[group])[:1]
            for other in np.flatnonzero(assignment.groups.has_label[:, lost].any(axis=1)).tolist():
                source = int(assignment.split_of[other])
                assignment.move(other, home)
                found = found or assignment.gaps_by_priority() < before
                assignment.move(other, source)
            assignment.move(group, home)
            if found:
                return True
    return False


@given(st.integers(0, 2**32 - 1))
def test_coverage_ends_where_no_move_and_no_two_make_it_better(seed):
    """Few groups with many labels, so that gaps are in each other's way."""
    random = np.random.default_rng(seed)
    codes = TREE.codes("class")[:: 132 // 8][:8]
    truth = TREE.encode([[code for code in codes if random.random() < 0.35] for _ in range(12)])
    assignment = Assignment(Groups.of(truth, np.arange(12)), random.choice(3, 12), SHARES)
    before = assignment.gaps_by_priority()
    improvable = better_by_one_move_or_two(assignment)
    cover(assignment)
    assert (assignment.gaps_by_priority() < before) == improvable
    assert not better_by_one_move_or_two(assignment)
    recounted = Assignment(assignment.groups, assignment.split_of, SHARES)
    assert np.array_equal(assignment.groups_with, recounted.groups_with)


@ANY_DEPTH
@pytest.mark.parametrize("largest", [1, 3])
def test_exchange_brings_labels_nearer_and_costs_nothing(tree, largest):
    truth, group_of = labelled_groups(900, seed=7, largest_group=largest, tree=tree)
    assignment = at_random(truth, group_of)
    cover(assignment)
    balance(assignment, SHARES)
    before = imbalance(truth, assignment.split_of[group_of])
    sizes, gaps = assignment.documents.tolist(), assignment.gaps_by_priority()
    exchange(assignment)
    assert imbalance(truth, assignment.split_of[group_of]) < before - 10 * LEAST_GAIN
    assert np.bincount(assignment.split_of[group_of]).tolist() == assignment.documents.tolist() == sizes
    assert assignment.gaps_by_priority() == gaps


def test_nothing_is_exchanged_for_a_group_that_no_other_can_leave_for():
    """All are in train, and what comes to val or test is at once the only one with A there: nothing can come back."""
    assignment = Assignment(Groups.of(TREE.encode([["A"]] * 4), np.arange(4)), np.zeros(4, dtype=np.int64), SHARES)
    exchange(assignment)
    assert assignment.split_of.tolist() == [0, 0, 0, 0]


def test_a_split_is_one_that_no_exchange_improves():
    corpus = random_corpus(900, seed=7)
    truth, group_of = labelled_groups(900, seed=7)
    names = split(corpus, TREE, KEEP, 1)["split"].to_list()
    split_of = np.zeros(group_of.max() + 1, dtype=np.int64)
    split_of[group_of] = [("train", "val", "test").index(name) for name in names]
    assignment = Assignment(Groups.of(truth, group_of), split_of.copy(), SHARES)
    exchange(assignment)
    assert np.array_equal(assignment.split_of, split_of)


def test_balance_gives_exact_sizes_and_keeps_coverage():
    truth, group_of = labelled_groups(1000, seed=5, largest_group=1)
    assignment = at_random(truth, group_of)
    cover(assignment)
    gaps = assignment.gaps_by_priority()
    balance(assignment, SHARES)
    assert assignment.documents.tolist() == [700, 100, 200]
    assert assignment.gaps_by_priority() == gaps


@given(st.integers(1, 10_000), st.integers(1, 98), st.integers(1, 98))
def test_whole_sizes(total, first, second):
    first, second = min(first, 98), min(second, 99 - min(first, 98))
    shares = np.array([first, second, 100 - first - second]) / 100
    sizes = whole_sizes(shares, total)
    assert sizes.sum() == total
    assert (np.abs(sizes - shares * total) < 1).all()


@pytest.mark.parametrize(("total", "sizes"), [(10, [7, 1, 2]), (11, [8, 1, 2]), (13, [9, 1, 3]), (5, [4, 0, 1])])
def test_what_is_left_goes_to_the_largest_remainders(total, sizes):
    """7.7, 1.1, 2.2; 9.1, 1.3, 2.6; and of 3.5, 0.5, 1 the first of two equal ones."""
    assert whole_sizes(SHARES, total).tolist() == sizes
