"""Drift of labels from train to val and test: by hand, against plain loops, and what chance alone gives."""

import numpy as np
import polars as pl
import pytest
from corpora import DEEP, FLAT, KEEP, TREE, corpus_of, filed, labels_of, random_corpus

from ipcascade.core.documents import truth_of
from ipcascade.core.names import SPLITS
from ipcascade.splits.audit import audit
from ipcascade.splits.drift import MOVED_LABELS, drift, total_variation
from ipcascade.splits.options import SplitOptions


def drift_of(corpus, names, tree=TREE, seed=1):
    return audit(corpus, pl.Series(names), tree, KEEP, seed)["drift"]


def test_worked_by_hand():
    """Classes. Train: A01 2, C07 1. Val: A01 1, H04 1. Test: H04 1, G06 1, C07 1; the last document has two."""
    corpus = corpus_of([["A01"], ["A01", "C07"], ["A01"], ["H04"], ["H04"], ["C07", "G06"]])
    found = drift_of(corpus, ["train", "train", "val", "val", "test", "test"])["class"]
    # Val less train: A01 1/2 - 2/3, C07 0 - 1/3, H04 1/2 - 0.
    assert found["val"]["total_variation"] == pytest.approx((1 / 6 + 1 / 3 + 1 / 2) / 2)
    assert found["val"]["untrained_labels"] == {"H04": 1}
    assert [(moved["label"], moved["train"], moved["val"]) for moved in found["val"]["moved_labels"]] == [
        ("H04", 0, pytest.approx(1 / 2)), ("C07", pytest.approx(1 / 3), 0),
        ("A01", pytest.approx(2 / 3), pytest.approx(1 / 2)),
    ]  # fmt: skip
    # Test less train: A01 0 - 2/3, G06 1/3, H04 1/3; C07 has the same share, so it did not move. Equals in tree order.
    assert found["test"]["total_variation"] == pytest.approx(2 / 3)
    assert [moved["label"] for moved in found["test"]["moved_labels"]] == ["A01", "G06", "H04"]
    assert found["test"]["untrained_labels"] == {"G06": 1, "H04": 1}


@pytest.mark.parametrize("tree", [TREE, DEEP, FLAT], ids=["two levels", "three levels", "one level"])
def test_agrees_with_plain_loops(tree):
    corpus = random_corpus(300, seed=1, tree=tree)
    names = np.random.default_rng(0).choice(SPLITS, 300, p=[0.7, 0.1, 0.2])
    found = drift_of(corpus, names, tree)
    documents = labels_of(corpus, tree)
    for level in tree.levels:
        counts = {
            name: {
                code: sum(code in document for document, of in zip(documents, names, strict=True) if of == name)
                for code in tree.codes(level)
            }
            for name in SPLITS
        }
        shares = {
            name: {code: number / sum(of_split.values()) for code, number in of_split.items()}
            for name, of_split in counts.items()
        }
        for name in ("val", "test"):
            moved = {code: abs(shares[name][code] - shares["train"][code]) for code in tree.codes(level)}
            assert found[level][name]["total_variation"] == pytest.approx(sum(moved.values()) / 2)
            named = found[level][name]["moved_labels"]
            assert len(named) == min(MOVED_LABELS, sum(value > 0 for value in moved.values()))
            sizes = [moved[label["label"]] for label in named]
            assert sizes == pytest.approx(sorted(moved.values(), reverse=True)[: len(named)])
            for label in named:
                assert label["train"] == pytest.approx(shares["train"][label["label"]])
                assert label[name] == pytest.approx(shares[name][label["label"]])
            assert found[level][name]["untrained_labels"] == {
                code: number for code, number in counts[name].items() if number and not counts["train"][code]
            }


def test_equal_splits_have_no_drift_and_disjoint_ones_all():
    corpus = corpus_of([["A01"], ["C07"], ["A01"], ["C07"], ["H04"], ["G06"]])
    found = drift_of(corpus, ["train", "train", "val", "val", "test", "test"])
    for level in TREE.levels:
        assert found[level]["val"]["total_variation"] == 0 and found[level]["val"]["moved_labels"] == []
        assert found[level]["test"]["total_variation"] == 1


def test_splits_of_one_document_each():
    """However the three change places, no two have a label in common."""
    found = drift_of(corpus_of([["A01"], ["C07"], ["H04"]]), SPLITS)["class"]
    for name, code in (("val", "C07"), ("test", "H04")):
        assert found[name]["total_variation"] == found[name]["total_variation_by_chance"] == 1
        assert found[name]["moved_labels"] == [
            {"label": "A01", "train": 1, name: 0}, {"label": code, "train": 0, name: 1}
        ]  # fmt: skip


def test_of_labels_that_moved_equally_the_first_in_the_tree_are_named():
    """So many that sorts which are not stable mix them up: every third label moved more than the others."""
    codes = TREE.codes("class")[:99]
    corpus = corpus_of([[code] for place, code in enumerate(codes) for _ in range(1 + (place % 3 == 0))])
    found = drift_of(corpus, ["val", "test"] + ["train"] * (len(corpus) - 2))["class"]["test"]["moved_labels"]
    assert [moved["label"] for moved in found] == [codes[0], *codes[3 : 3 * len(found) : 3]]


def test_a_level_without_labels_in_a_split_has_no_total_variation():
    corpus = corpus_of([["C07C"], ["C07"], ["C07D"], ["C07C"]], tree=DEEP)
    found = drift_of(corpus, ["train", "val", "test", "test"], DEEP)["subclass"]
    assert found["val"]["total_variation"] is None and found["test"]["total_variation"] == 0.5
    assert found["val"]["untrained_labels"] == {} and found["test"]["untrained_labels"] == {"C07D": 1}
    assert [label["label"] for label in found["val"]["moved_labels"]] == ["C07C"]
    nowhere = drift_of(corpus_of([["C"]] * 3, tree=DEEP), SPLITS, DEEP)["class"]["test"]
    assert nowhere == {
        "total_variation": None, "total_variation_by_chance": None, "moved_labels": [], "untrained_labels": {}
    }  # fmt: skip


def test_by_chance_is_what_random_splits_of_the_groups_have():
    """An independent simulation, on labels of groups; larger groups make chance larger."""
    random = np.random.default_rng(5)
    codes = ["A01", "C07", "H04", "G06", "B60"]
    by_chance = {}
    for size in (1, 10):
        groups = np.repeat(np.arange(600 // size), size)
        label_of_group = random.choice(5, 600 // size, p=[0.4, 0.3, 0.2, 0.05, 0.05])
        corpus = corpus_of([[codes[label]] for label in label_of_group[groups]], groups)
        places = np.repeat([0, 1, 2], np.array([70, 10, 20]) * 6)
        found = drift(truth_of(corpus, TREE), groups, places, TREE, seed=3)["class"]
        simulated = {"val": [], "test": []}
        for _ in range(400):
            parts = np.split(random.permutation(label_of_group), [420 // size, 480 // size])
            train, val, test = (np.bincount(part, minlength=5) / len(part) for part in parts)
            simulated["val"].append(np.abs(val - train).sum() / 2)
            simulated["test"].append(np.abs(test - train).sum() / 2)
        for name, values in simulated.items():
            # The mean of 20 draws, within four of its standard errors.
            error = 4 * np.std(values) / np.sqrt(20)
            assert found[name]["total_variation_by_chance"] == pytest.approx(np.mean(values), abs=error)
        by_chance[size] = found["test"]["total_variation_by_chance"]
    assert by_chance[10] > 2 * by_chance[1]


def test_chance_depends_on_the_seed_and_not_on_the_order_of_rows():
    corpus = random_corpus(200, seed=3)
    names = corpus.select("group_id").unique(maintain_order=True).with_columns(
        split=pl.Series(np.random.default_rng(1).choice(SPLITS, corpus["group_id"].n_unique()))
    )  # fmt: skip
    shuffled = corpus.sample(fraction=1, shuffle=True, seed=4)
    found, again, other = (
        drift_of(of, of.join(names, on="group_id", how="left", maintain_order="left")["split"], seed=seed)
        for of, seed in ((corpus, 1), (shuffled, 1), (corpus, 2))
    )
    assert found == again != other
    for level in TREE.levels:
        assert found[level]["val"]["total_variation"] == other[level]["val"]["total_variation"]


def test_chance_stays_what_it_is():
    """In other versions, too: audits are compared with those of before."""
    corpus = random_corpus(60, seed=1)
    found = drift_of(corpus, ["train"] * 40 + ["val"] * 8 + ["test"] * 12)["class"]["val"]
    assert found["total_variation_by_chance"] == pytest.approx(0.6443713428066282, rel=1e-12)


def test_total_variation_is_half_the_sum_of_differences():
    assert total_variation(np.array([3, 1, 0]), np.array([1, 1, 2])) == pytest.approx((0.5 + 0 + 0.5) / 2)
    assert total_variation(np.array([0, 0]), np.array([1, 1])) is None


def test_first_filings_by_hand():
    """The second document of the group 1 was filed first, in 1999 in JP; so both count there."""
    corpus = corpus_of([["A01"]] * 7, [1, 1, 2, 3, 4, 5, 6])
    years = [2003, 1999, 2001, None, 2010, 2011, None]
    offices = ["US", "JP", "US", None, "EP", "US", "CN"]
    names = pl.Series(["train"] * 4 + ["val", "test", "test"])
    facts = audit(filed(corpus, years, offices), names, TREE, SplitOptions(), 1)["first_filings"]
    assert facts == {
        "train": {
            "first_year": 1999, "last_year": 2001, "documents_without_year": 1,
            "offices": {"JP": 2, "US": 1, "unknown": 1},
        },
        "val": {"first_year": 2010, "last_year": 2010, "documents_without_year": 0, "offices": {"EP": 1}},
        "test": {"first_year": 2011, "last_year": 2011, "documents_without_year": 1, "offices": {"US": 1, "CN": 1}},
    }  # fmt: skip
    assert "first_filings" not in audit(corpus, names, TREE, SplitOptions(), 1)


def test_first_filings_of_a_split_without_years():
    corpus = filed(corpus_of([["A01"]] * 3), [None, 2000, 2001])
    facts = audit(corpus, pl.Series(SPLITS), TREE, KEEP, 1)["first_filings"]["train"]
    assert facts == {"first_year": None, "last_year": None, "documents_without_year": 1, "offices": {"EP": 1}}
