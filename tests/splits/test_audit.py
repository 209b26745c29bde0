"""The audit of a split, worked by hand and against plain loops over sets of labels."""

import itertools

import numpy as np
import polars as pl
import pytest
from corpora import DEEP, FLAT, KEEP, TREE, corpus_of, labels_of, random_corpus

from ipcascade.core.names import SPLITS
from ipcascade.splits.audit import audit
from ipcascade.splits.options import SplitOptions


def test_worked_by_hand():
    """Five documents: train has A01 twice, val A01 and A01 + C07, test H04."""
    corpus = corpus_of([["A01"], ["A01"], ["A01"], ["A01", "C07"], ["H04"]])
    facts = audit(corpus, pl.Series(["train", "train", "val", "val", "test"]), TREE, SplitOptions(), 1)
    # A and A01: 4/5 of all; 1, 1 and 0 in the splits. C and C07: 1/5; 0, 1/2, 0. H and H04: 1/5; 0, 0, 1.
    a = (0.2 + 0.2 + 0.8) / 3
    c = (0.2 + 0.3 + 0.2) / 3
    h = (0.2 + 0.2 + 0.8) / 3
    assert facts["label_distribution_distance"] == pytest.approx({"section": (a + c + h) / 3, "class": (a + c + h) / 3})
    # Pairs that are not a class with its own section: A-C, A-C07, C-A01, A01-C07; each where C07 is.
    assert facts["label_pair_distribution_distance"] == pytest.approx(c)
    assert facts["missing_labels"]["train"] == {"section": ["C", "H"], "class": ["C07", "H04"]}
    assert facts["missing_labels"]["test"] == {"section": ["A", "C"], "class": ["A01", "C07"]}
    assert facts["splits"]["val"]["size_error"] == pytest.approx(0.3)
    assert facts["splits"]["val"]["mean_labels_per_document"] == {"section": 1.5, "class": 1.5}
    assert facts["splits"]["train"]["labels_present"] == {"section": 1, "class": 1}
    assert facts["splits"]["val"]["labels_present"] == {"section": 2, "class": 2}  # of C07 a single document


def test_three_levels_worked_by_hand():
    """A01B with its class and section is not a pair; with A21B it makes pairs, but none of A with A21 or A21B."""
    corpus = corpus_of([["A01B"], ["A01B"], ["A01B", "A21B"], ["C07"]], tree=DEEP)
    facts = audit(corpus, pl.Series(["train", "train", "val", "test"]), DEEP, SplitOptions(), 1)
    # Pairs: A01-A21, A01-A21B, A01B-A21, A01B-A21B, each in one of four documents: 0, 1 and 0 in the splits.
    assert facts["label_pair_distribution_distance"] == pytest.approx((0.25 + 0.75 + 0.25) / 3)
    # A01B: 3/4; 1, 1, 0. A21B: 1/4; 0, 1, 0. The last document ends at its class, so no other subclass is there.
    assert facts["label_distribution_distance"]["subclass"] == pytest.approx((1.25 / 3 + 1.25 / 3) / 2)
    assert facts["missing_labels"]["test"] == {"section": ["A"], "class": ["A01", "A21"], "subclass": ["A01B", "A21B"]}
    assert facts["splits"]["test"]["mean_labels_per_document"] == {"section": 1, "class": 1, "subclass": 0}


def test_a_level_without_labels_has_no_distance():
    corpus = corpus_of([["C"], ["C"], ["C"]], tree=DEEP)
    facts = audit(corpus, pl.Series(SPLITS), DEEP, KEEP, 1)
    assert facts["label_distribution_distance"] == {"section": 0, "class": 0, "subclass": 0}
    assert facts["label_pair_distribution_distance"] == 0


@pytest.mark.parametrize("tree", [TREE, DEEP, FLAT], ids=["two levels", "three levels", "one level"])
def test_distances_agree_with_plain_loops(tree):
    corpus = random_corpus(250, seed=1, tree=tree)
    names = np.random.default_rng(0).choice(SPLITS, 250, p=[0.7, 0.1, 0.2])
    facts = audit(corpus, pl.Series(names), tree, KEEP, 1)
    documents = labels_of(corpus, tree)

    def distance(labels):
        """Mean over splits of the difference in the share of documents that have all the labels."""
        has_all = np.array([labels <= document for document in documents])
        return np.mean([abs(has_all[names == name].mean() - has_all.mean()) for name in SPLITS])

    occurring = set().union(*documents)
    for level in tree.levels:
        expected = np.mean([distance({code}) for code in tree.codes(level) if code in occurring])
        assert facts["label_distribution_distance"][level] == pytest.approx(expected)
    above = {code: {tree.labels[column] for column in tree.ancestors(tree.index[code])} for code in occurring}
    pairs = {
        frozenset(pair)
        for document in documents
        for pair in itertools.combinations(document, 2)
        if not (pair[0] in above[pair[1]] or pair[1] in above[pair[0]])
    }
    assert facts["label_pair_distribution_distance"] == pytest.approx(np.mean([distance(pair) for pair in pairs]))


def test_by_office_train_and_val_are_asked_for_what_test_leaves():
    """Test has four of ten documents; of the other six train is asked for 5/6, val for 1/6; they have 4 and 2."""
    corpus = corpus_of([["A01"]] * 10)
    options = SplitOptions(by="office", test_offices=["JP"], train=0.75, val=0.15, test=0.1)
    facts = audit(corpus, pl.Series(["train"] * 4 + ["val"] * 2 + ["test"] * 4), TREE, options, 1)["splits"]
    errors = [facts[name]["size_error"] for name in SPLITS]
    assert errors == pytest.approx([0.4 - 0.5, 0.2 - 0.1, 0])


def test_leakage_is_seen():
    corpus = corpus_of([["A01"]] * 4, [1, 1, 2, 3]).with_columns(
        text=pl.Series(["A device, new", "other", "a DEVICE new.", "Straße ﬁne"])
    )
    facts = audit(corpus, pl.Series(["train", "val", "test", "test"]), TREE, SplitOptions(), 1)
    assert facts["groups_in_several_splits"] == 1
    assert facts["texts_in_several_splits"] == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("Die Straße", "DIE STRASSE"), ("λόγος", "ΛΌΓΟΣ"), ("eﬃcient", "Efficient"), ("１２ Ａ", "12a")],
    ids=["sharp s", "two sigmas", "ligature", "full width"],
)
def test_leakage_is_seen_whatever_the_case_and_form_of_letters(one, other):
    """Lower case alone would keep ß from SS, and one small sigma from the other."""
    corpus = corpus_of([["A01"]] * 3).with_columns(text=pl.Series([one, other, "another"]))
    assert audit(corpus, pl.Series(SPLITS), TREE, KEEP, 1)["texts_in_several_splits"] == 1


def test_documents_and_groups_are_counted():
    corpus = random_corpus(400, seed=2)
    names = np.repeat(SPLITS, (280, 40, 80))
    facts = audit(corpus, pl.Series(names), TREE, KEEP, 1)["splits"]
    for name in SPLITS:
        assert facts[name]["documents"] == (names == name).sum()
        assert facts[name]["groups"] == len(set(corpus["group_id"].to_numpy()[names == name]))
        assert facts[name]["share"] == pytest.approx((names == name).mean())
        assert facts[name]["size_error"] == pytest.approx(0)
