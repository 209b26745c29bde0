"""The split of a corpus: shapes, shares, coverage, groups kept whole; on trees of one, two and three levels."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from corpora import DEEP, FLAT, KEEP, TREE, corpus_of, labels_of, random_corpus, splits_of_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from built import build
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patstat.source import open_patstat
from ipcascade.splits.assignment import COVERAGE_ORDER
from ipcascade.splits.audit import audit
from ipcascade.splits.options import SplitOptions
from ipcascade.splits.split import split

ANY_TREE = pytest.mark.parametrize("tree", [TREE, DEEP, FLAT], ids=["two levels", "three levels", "one level"])
PATENTS_US = Path(__file__).parents[2] / "../shared/patents_us"


@ANY_TREE
def test_shapes_and_shares(tree):
    corpus = random_corpus(3000, largest_group=1, tree=tree)
    result = split(corpus, tree, KEEP, 1)
    assert result.columns == ["document_id", "group_id", "split"]
    assert_frame_equal(result.select("document_id", "group_id"), corpus.select("document_id", "group_id"))
    sizes = dict(result["split"].value_counts().iter_rows())
    assert sizes == {"train": 2100, "val": 300, "test": 600}


def test_the_split_of_a_corpus_and_a_seed_stays_what_it_is():
    """Of other versions, too: results are compared with those of before, and a network has seen its training split."""
    corpus = random_corpus(300, seed=1)
    found = ["".join(name[1] for name in split(corpus, TREE, KEEP, seed)["split"]) for seed in (1, 2)]
    assert [hashlib.sha256(names.encode()).hexdigest()[:16] for names in found] == [
        "7008aa2a95f690e6",
        "8a06a2eb50c0166b",
    ]


@ANY_TREE
def test_frequent_labels_keep_their_shares(tree):
    corpus = random_corpus(4000, seed=2, tree=tree, leaves=80)
    names = split(corpus, tree, KEEP, 1)["split"].to_numpy()
    of_documents = labels_of(corpus, tree)
    for code in tree.labels:
        carriers = np.array([code in labels for labels in of_documents])
        if carriers.sum() < 50:
            continue
        for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
            assert (names[carriers] == name).mean() == pytest.approx(share, abs=0.05), (code, name)


@ANY_TREE
def test_better_than_chance(tree):
    corpus = random_corpus(6000, seed=3, tree=tree)
    facts = audit(corpus, split(corpus, tree, KEEP, 1)["split"], tree, KEEP, 1)
    names = np.repeat(SPLITS, (4200, 600, 1200))
    for seed in range(3):
        chance = audit(corpus, pl.Series(np.random.default_rng(seed).permutation(names)), tree, KEEP, 1)
        for level in tree.levels:
            assert facts["label_distribution_distance"][level] < 0.5 * chance["label_distribution_distance"][level]
        assert facts["label_pair_distribution_distance"] < chance["label_pair_distribution_distance"]


@ANY_TREE
@pytest.mark.parametrize("largest", [1, 5])
def test_groups_stay_whole(tree, largest):
    corpus = random_corpus(1500, seed=4, largest_group=largest, tree=tree)
    result = split(corpus, tree, KEEP, 9)
    split_of_group = {}
    for group, name in zip(result["group_id"], result["split"], strict=True):
        assert split_of_group.setdefault(group, name) == name
    facts = audit(corpus, result["split"], tree, KEEP, 1)
    assert facts["groups_in_several_splits"] == 0
    assert facts["texts_in_several_splits"] == 0


def test_order_of_rows_does_not_matter_and_seeds_do():
    corpus = random_corpus(800, seed=5)
    result = split(corpus, TREE, KEEP, 1)
    shuffled = corpus.sample(fraction=1, shuffle=True, seed=3)
    again = split(shuffled, TREE, KEEP, 1)
    assert_frame_equal(result.sort("document_id"), again.sort("document_id"))
    assert audit(corpus, result["split"], TREE, KEEP, 1) == audit(shuffled, again["split"], TREE, KEEP, 1)
    assert not split(corpus, TREE, KEEP, 2)["split"].equals(result["split"])


@ANY_TREE
def test_every_label_with_three_groups_is_everywhere(tree):
    corpus = random_corpus(3000, seed=6, tree=tree)
    names = split(corpus, tree, KEEP, 1)["split"]
    found, groups = splits_of_labels(corpus, names, tree)
    assert min(groups.values()) < 30, "no rare label to test with"
    for label, count in groups.items():
        assert found[label] >= {SPLITS[place] for place in COVERAGE_ORDER[:count]}, label
    missing = audit(corpus, names, tree, KEEP, 1)["missing_labels"]
    assert {code for name in SPLITS for level in tree.levels for code in missing[name][level]} <= {
        label for label, count in groups.items() if count < 3
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=7),
    st.integers(0, 2**32 - 1),
)
def test_coverage_where_labels_are_alone(counts, seed):
    """With one class per document and section, a label with 1, 2, 3 groups is in train; train and test; all."""
    codes = ("B01", "C01", "D01", "E01", "F01", "G01", "H01")
    lists = [[code] for code, count in zip(codes, counts, strict=False) for _ in range(count)]
    corpus = corpus_of(lists + [["A01"]] * 60)
    found, groups = splits_of_labels(corpus, split(corpus, TREE, KEEP, seed)["split"])
    for label, count in groups.items():
        assert found[label] >= {SPLITS[place] for place in COVERAGE_ORDER[:count]}


def missing(corpus, names, tree):
    """Labels that miss train, test, val though they have 1, 2, 3 groups."""
    found, groups = splits_of_labels(corpus, names, tree)
    return tuple(
        sum(groups[label] > rank and SPLITS[place] not in found[label] for label in groups)
        for rank, place in enumerate(COVERAGE_ORDER)
    )


def label_sets(labels):
    return st.lists(st.sets(st.integers(0, labels - 1), min_size=1, max_size=3), min_size=12, max_size=30)


@settings(max_examples=60, deadline=None)
@given(label_sets(6), st.integers(0, 99))
def test_coverage_of_entangled_labels(sets, seed):
    assert_no_move_improves_coverage(
        [[TREE.codes("class")[20 * place] for place in places] for places in sets], TREE, seed
    )


@settings(max_examples=30, deadline=None)
@given(label_sets(9), st.integers(0, 99))
def test_coverage_where_branches_end_at_different_depths(sets, seed):
    leaves = ("A01B", "A01C", "A21B", "B", "C07", "C08F", "H04", "H04L", "G")
    assert_no_move_improves_coverage([[leaves[place] for place in places] for places in sets], DEEP, seed)


def assert_no_move_improves_coverage(code_lists, tree, seed):
    """No label misses train, and no single move would close a gap without opening an equal or worse one."""
    corpus = corpus_of(code_lists, tree=tree)
    options = SplitOptions(train=0.5, val=0.2, test=0.3, rare_labels="keep")
    names = split(corpus, tree, options, seed)["split"].to_list()
    gaps = missing(corpus, names, tree)
    assert gaps[0] == 0
    for row, name in itertools.product(range(len(names)), SPLITS):
        moved = [*names[:row], name, *names[row + 1 :]]
        assert missing(corpus, moved, tree) >= gaps


def test_rare_labels_are_refused_with_their_names():
    corpus = corpus_of([["A01"]] * 40 + [["C40"]] + [["H10"]] * 2, [*range(40), 40, 41, 41])
    with pytest.raises(UserError) as error:
        split(corpus, TREE, SplitOptions(), 1)
    assert "cannot both have them: C (1), H (2), C40 (1), H10 (2) (documents in brackets); raise" in str(error.value)
    for part in ("4 labels have", "splits.rare_labels", "'keep'", "corpus.documents"):
        assert part in str(error.value)
    assert str(error.value).endswith(" in train alone")
    names = split(corpus, TREE, KEEP, 1)["split"]
    found, _ = splits_of_labels(corpus, names)
    assert found["C40"] == found["H10"] == {"train"}
    facts = audit(corpus, names, TREE, KEEP, 1)
    assert facts["missing_labels"]["test"] == {"section": ["C", "H"], "class": ["C40", "H10"]}


def test_a_rare_label_of_the_third_level_is_refused():
    corpus = corpus_of([["A01B"]] * 40 + [["A01C"]], tree=DEEP)
    with pytest.raises(UserError, match=r"1 labels .*: A01C \(1\)"):
        split(corpus, DEEP, SplitOptions(), 1)


@pytest.mark.parametrize(("rare", "rest"), [(10, r"A4\d \(1\)"), (11, " and 1 more"), (14, " and 4 more")])
def test_rare_labels_are_named_up_to_ten_and_then_counted(rare, rest):
    corpus = corpus_of([["H04"]] * 40 + [[code] for code in TREE.codes("class")[:rare]])
    with pytest.raises(UserError, match=rf"^{rare} labels .*{rest} \(documents in brackets\)"):
        split(corpus, TREE, SplitOptions(), 1)


def test_three_groups_are_enough():
    assert sorted(split(corpus_of([["A01"]] * 3), TREE, SplitOptions(), 1)["split"]) == ["test", "train", "val"]


@pytest.mark.parametrize("classes", [["A01"], ["A01", "A01"], ["A01", "C07", "H04"]])
def test_an_empty_split_is_refused(classes):
    with pytest.raises(UserError, match=r"empty.*corpus\.documents"):
        split(corpus_of([[code] for code in classes]), TREE, KEEP, 1)


def test_a_group_larger_than_a_split_is_survived():
    corpus = corpus_of([["A01"]] * 100, [0] * 60 + list(range(1, 41)))
    result = split(corpus, TREE, KEEP, 1)
    assert result.filter(pl.col("group_id") == "0")["split"].n_unique() == 1
    assert (result["split"] == "train").sum() == 70


def test_more_labels_than_documents():
    """700 leaves, 300 documents: most labels have one group, and coverage still holds."""
    rows = [("top", None, "one")] + [(f"leaf{number}", "top", "two") for number in range(700)]
    labels = [{"code": code, "parent": parent, "level": level, "title": code} for code, parent, level in rows]
    tree = LabelTree.from_json({"levels": ["one", "two"], "labels": labels})
    corpus = random_corpus(300, seed=8, tree=tree, leaves=700)
    found, groups = splits_of_labels(corpus, split(corpus, tree, KEEP, 1)["split"], tree)
    assert sum(count == 1 for count in groups.values()) > 50
    assert all("train" in names for names in found.values())


@pytest.mark.skipif(not PATENTS_US.is_dir(), reason="the sample of real patents is not there")
@pytest.mark.parametrize("tree", [TREE, DEEP], ids=["two levels", "three levels"])
def test_real_patents(tree):
    corpus, _ = build(open_patstat(PATENTS_US), tree, CorpusOptions(), 42)
    with pytest.raises(UserError, match=r"C30 \(1\)"):
        split(corpus, tree, SplitOptions(), 42)
    names = split(corpus, tree, KEEP, 42)["split"]
    found, groups = splits_of_labels(corpus, names, tree)
    facts = audit(corpus, names, tree, KEEP, 1)
    assert all("train" in found[label] for label in groups)
    if tree is TREE:
        assert all(
            found[label] >= {SPLITS[place] for place in COVERAGE_ORDER[:count]} for label, count in groups.items()
        )
    assert facts["groups_in_several_splits"] == facts["texts_in_several_splits"] == 0
    assert max(abs(facts["splits"][name]["size_error"]) for name in SPLITS) < 0.001
