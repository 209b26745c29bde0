"""Splits by the office of the first filing: what is in test, how train and val share the rest, refusals."""

import numpy as np
import polars as pl
import pytest
from corpora import DEEP, TREE, corpus_of, filed, labels_of, random_corpus
from polars.testing import assert_frame_equal

from ipcascade.core.errors import UserError
from ipcascade.splits.assignment import Assignment
from ipcascade.splits.audit import audit
from ipcascade.splits.coverage import cover
from ipcascade.splits.groups import Groups
from ipcascade.splits.options import SplitOptions
from ipcascade.splits.split import split

BY_OFFICE = SplitOptions(by="office", test_offices=["JP", "KR"], rare_labels="keep")
OFFICES = ("US", "CN", "JP", "KR", None)


def random_case(documents=2000, seed=0, largest=3, tree=TREE):
    """A corpus with years and offices that have nothing to do with its groups, and these two."""
    random = np.random.default_rng(seed)
    corpus = random_corpus(documents, seed, largest, tree)
    offices = random.choice(np.array(OFFICES, dtype=object), documents, p=[0.5, 0.2, 0.12, 0.1, 0.08]).tolist()
    years = [None if random.random() < 0.05 else int(year) for year in random.integers(1990, 2020, documents)]
    return filed(corpus, years, offices), years, offices


def first_offices(corpus, years, offices):
    """The office of each group's first filing, by hand: unknown years last, of equal ones the id that sorts first."""
    rows = zip(corpus["group_id"], years, corpus["document_id"], offices, strict=True)
    first = {}
    for group, year, document_id, office in rows:
        first[group] = min(
            first.get(group, (9999, "~", None)), (year or 9999, document_id, office), key=lambda x: x[:2]
        )
    return {group: office for group, (_, _, office) in first.items()}


@pytest.mark.parametrize(("largest", "tree"), [(1, TREE), (4, TREE), (4, DEEP)])
def test_test_is_what_was_first_filed_at_the_offices(largest, tree):
    corpus, years, offices = random_case(largest=largest, tree=tree)
    result = split(corpus, tree, BY_OFFICE, 1)
    office_of = first_offices(corpus, years, offices)
    names = {}
    for group, name in zip(result["group_id"], result["split"], strict=True):
        assert names.setdefault(group, name) == name
        assert (name == "test") == (office_of[group] in ("JP", "KR"))
    assert {office_of[group] for group, name in names.items() if name == "val"} >= {"US", "CN", None}


@pytest.mark.parametrize(("documents", "tree"), [(900, TREE), (4000, DEEP)], ids=["two levels", "three levels"])
def test_train_and_val_share_the_rest_stratified(documents, tree):
    corpus, _, _ = random_case(documents, seed=1, largest=1, tree=tree)
    names = split(corpus, tree, BY_OFFICE, 1)["split"].to_numpy()
    rest = names != "test"
    assert abs((names == "val").sum() - rest.sum() / 8) < 1
    carriers = {}
    for row, labels in enumerate(labels_of(corpus, tree)):
        for label in labels if rest[row] else ():
            carriers.setdefault(label, []).append(row)
    assert any(len(rows) == 1 for rows in carriers.values()) and any(len(rows) == 2 for rows in carriers.values())
    for label, rows in carriers.items():
        found = names[rows]
        assert "train" in found, label
        assert len(rows) < 2 or "val" in found, label
        assert len(rows) < 100 or (found == "val").mean() == pytest.approx(1 / 8, abs=0.05), label


def test_the_order_of_rows_does_not_matter_and_seeds_do():
    corpus, _, _ = random_case(900, seed=2)
    result = split(corpus, TREE, BY_OFFICE, 1)
    shuffled = corpus.sample(fraction=1, shuffle=True, seed=3)
    again = split(shuffled, TREE, BY_OFFICE, 1)
    assert_frame_equal(result.sort("document_id"), again.sort("document_id"))
    assert audit(corpus, result["split"], TREE, BY_OFFICE, 1) == audit(shuffled, again["split"], TREE, BY_OFFICE, 1)
    other = split(corpus, TREE, BY_OFFICE, 2)
    assert not other["split"].equals(result["split"])
    assert other.filter(pl.col("split") == "test").equals(result.filter(pl.col("split") == "test"))


def test_a_family_goes_where_its_group_was_filed_first():
    """Of the group x, KR in 2004 is first; of y, US, since the year of JP is not known; of z, by the smaller id, JP."""
    corpus = corpus_of([["A01"]] * 10, ["x", "x", "y", "y", "z", "z", "r", "s", "t", "u"])
    years = [2005, 2004, None, 2010, 2007, 2007, 2000, 2000, 2000, 2000]
    offices = ["US", "KR", "JP", "US", "JP", "US", "US", "US", None, "EP"]
    names = split(filed(corpus, years, offices), TREE, BY_OFFICE, 1)["split"].to_list()
    assert [name == "test" for name in names] == [True, True, False, False, True, True, False, False, False, False]


def test_the_share_of_test_has_no_effect_and_those_of_train_and_val_are_a_ratio():
    corpus, _, _ = random_case(800, seed=4, largest=1)
    options = [
        SplitOptions(by="office", test_offices=["JP", "KR"], rare_labels="keep", train=train, val=val, test=test)
        for train, val, test in ((0.6, 0.2, 0.2), (0.3, 0.1, 0.6))
    ]
    one, other = (split(corpus, TREE, given, 1) for given in options)
    assert_frame_equal(one, other)
    sizes = dict(one["split"].value_counts().iter_rows())
    assert abs(sizes["train"] - 3 * sizes["val"]) < 3
    for given in options:
        facts = audit(corpus, one["split"], TREE, given, 1)["splits"]
        assert facts["test"]["size_error"] == 0 and abs(facts["val"]["size_error"]) < 1 / 800


def test_two_splits_are_covered_train_first():
    """A01, H04, C07 have one, two, three groups; all of them start in val, as far as there are splits."""
    truth = TREE.encode([["A", "A01"], ["H", "H04"], ["H", "H04"], ["C", "C07"], ["C", "C07"], ["C", "C07"]])
    assignment = Assignment(Groups.of(truth, np.arange(6)), np.ones(6, dtype=np.int64), np.array([0.5, 0.5]))
    assert assignment.gaps_by_priority() == (6, 0) and assignment.required.shape == (2, len(TREE.labels))
    cover(assignment)
    assert assignment.gaps_by_priority() == (0, 0)
    assert assignment.split_of[0] == 0 and sorted(assignment.split_of[1:3].tolist()) == [0, 1]


def test_an_office_that_the_corpus_does_not_have_is_refused_with_those_there_are():
    corpus = filed(corpus_of([["A01"]] * 6), [2000] * 6, ["US", "US", "JP", None, "CN", "US"])
    with pytest.raises(UserError, match=r"^splits\.test_offices: .* first filed at 'KR'; there are CN, JP, US$"):
        split(corpus, TREE, BY_OFFICE, 1)
    nothing = filed(corpus_of([["A01"]] * 6), [2000] * 6, [None] * 6)
    with pytest.raises(UserError, match=r"first filed at 'JP'; no office is known$"):
        split(nothing, TREE, BY_OFFICE, 1)


def test_an_office_of_later_filings_alone_is_not_there():
    """KR is in the corpus, but its only family has the text of one that was filed in the US before."""
    corpus = corpus_of([["A01"]] * 6, [1, 1, 2, 3, 4, 5])
    corpus = filed(corpus, [2000, 2001, 2000, 2000, 2000, 2000], ["US", "KR", "JP", "US", "US", "US"])
    with pytest.raises(UserError, match=r"'KR'; there are JP, US$"):
        split(corpus, TREE, BY_OFFICE, 1)


@pytest.mark.parametrize("others", [0, 1])
def test_offices_that_leave_nothing_to_train_or_val_are_refused(others):
    offices = ["JP", "KR", "JP", "KR"] + ["US"] * others
    corpus = filed(corpus_of([["A01"]] * len(offices)), [2000] * len(offices), offices)
    with pytest.raises(UserError, match=f"has the offices of 4 of {4 + others} groups of documents, so that train or"):
        split(corpus, TREE, BY_OFFICE, 1)


def test_two_groups_are_enough_for_train_and_val():
    corpus = filed(corpus_of([["A01"]] * 4), [2000] * 4, ["JP", "US", "KR", "US"])
    names = split(corpus, TREE, BY_OFFICE, 1)["split"].to_list()
    assert names[0] == names[2] == "test" and {names[1], names[3]} == {"train", "val"}


def test_an_empty_val_is_refused():
    corpus = filed(corpus_of([["A01"]] * 5), [2000] * 5, ["JP", "KR", "US", "US", "US"])
    options = SplitOptions(by="office", test_offices=["JP", "KR"], train=0.78, val=0.02, test=0.2)
    names = split(corpus, TREE, options, 1)["split"].to_list()  # A01 has groups enough, so coverage brings it to val
    assert names[:2] == ["test", "test"] and sorted(names[2:]) == ["train", "train", "val"]
    unlabelled = filed(corpus_of([[]] * 5), [2000] * 5, ["JP", "KR", "US", "US", "US"])
    with pytest.raises(UserError, match=r"the split 'val' is empty: .* splits\.val = 0\.02"):
        split(unlabelled, TREE, options, 1)


def test_rare_labels_are_those_of_the_whole_corpus():
    """H04 has one document per side: not rare, so it is not refused; C07 has one in all."""
    labels = [["A01"]] * 8 + [["H04"], ["H04"]]
    offices = ["US"] * 6 + ["JP", "KR", "JP", "US"]
    options = SplitOptions(by="office", test_offices=["JP", "KR"])
    names = split(filed(corpus_of(labels), [2000] * 10, offices), TREE, options, 1)["split"].to_list()
    assert names[8] == "test" and names[9] == "train"
    with pytest.raises(UserError, match=r"2 labels .*: C \(1\), C07 \(1\) .* in the split of its office$"):
        split(filed(corpus_of([*labels, ["C07"]]), [2000] * 11, [*offices, "JP"]), TREE, options, 1)
