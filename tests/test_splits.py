import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipcascade import splits
from ipcascade.config import CorpusOptions, SplitOptions
from ipcascade.corpus import build
from ipcascade.errors import UserError
from ipcascade.sources.patstat_bulk import Delivery
from ipcascade.splits import COVERAGE_ORDER, SPLITS, WORTHWHILE, _Assignment, _Groups, _whole, audit, split
from ipcascade.taxonomy import Taxonomy

PATENTS_US = Path(__file__).parents[1] / "../shared/patents_us"
IPC = Taxonomy.ipc()
KEEP = SplitOptions(rare_labels="keep")


def corpus_of(class_lists, group_ids=None):
    """A corpus with these classes a document; each document a group of its own where no groups are given."""
    ids = [str(1000 + number) for number in range(len(class_lists))]
    return pl.DataFrame(
        {
            "document_id": ids,
            "group_id": ids if group_ids is None else [str(group) for group in group_ids],
            "text": [f"text {number}" for number in range(len(class_lists))],
            "sections": [sorted({code[0] for code in classes}) for classes in class_lists],
            "classes": [sorted(classes) for classes in class_lists],
        },
        schema_overrides={"sections": pl.List(pl.String), "classes": pl.List(pl.String)},
    )


def random_corpus(documents, seed=0, classes=132, largest_group=3):
    """Skewed class shares, one to three classes a document, mostly small groups."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, classes + 1) ** 1.1
    lists = [
        [
            IPC.classes[place]
            for place in rng.choice(classes, rng.integers(1, 4), replace=False, p=weights / weights.sum())
        ]
        for _ in range(documents)
    ]
    groups = np.repeat(np.arange(documents), rng.integers(1, largest_group + 1, documents))[:documents]
    return corpus_of(lists, groups)


def splits_of_labels(corpus, result):
    """For each label, the splits its documents are in and the number of its groups."""
    found, groups = {}, {}
    for sections, classes, group, name in zip(
        corpus["sections"], corpus["classes"], corpus["group_id"], result["split"], strict=True
    ):
        for label in (*sections, *classes):
            found.setdefault(label, set()).add(name)
            groups.setdefault(label, set()).add(group)
    return found, {label: len(members) for label, members in groups.items()}


def test_shapes_and_shares():
    corpus = random_corpus(3000, largest_group=1)
    result, facts = split(corpus, IPC, KEEP, 1)
    assert result.columns == ["document_id", "group_id", "split"]
    assert_frame_equal(result.select("document_id", "group_id"), corpus.select("document_id", "group_id"))
    sizes = dict(result["split"].value_counts().iter_rows())
    assert sizes == {"train": 2100, "val": 300, "test": 600}
    assert {name: facts["splits"][name]["documents"] for name in SPLITS} == sizes
    assert {name: facts["splits"][name]["size_error"] for name in SPLITS} == pytest.approx(dict.fromkeys(SPLITS, 0))


def test_frequent_labels_keep_their_shares():
    corpus = random_corpus(4000, seed=2)
    result, _ = split(corpus, IPC, KEEP, 1)
    for code in IPC.labels:
        carriers = corpus["classes"].list.contains(code) | corpus["sections"].list.contains(code)
        if carriers.sum() < 50:
            continue
        names = result["split"].filter(carriers)
        for name, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
            assert (names == name).mean() == pytest.approx(share, abs=0.05), (code, name)


def test_better_than_chance():
    corpus = random_corpus(6000, seed=3)
    _, facts = split(corpus, IPC, KEEP, 1)
    names = np.repeat(SPLITS, (4200, 600, 1200))
    for seed in range(5):
        chance = audit(corpus, pl.Series(np.random.default_rng(seed).permutation(names)), IPC, KEEP)
        for level in ("section", "class"):
            assert facts["label_distribution_distance"][level] < 0.5 * chance["label_distribution_distance"][level]
        assert facts["label_pair_distribution_distance"] < chance["label_pair_distribution_distance"]


@pytest.mark.parametrize("largest", [1, 5])
def test_groups_stay_whole(largest):
    corpus = random_corpus(1500, seed=4, largest_group=largest)
    result, facts = split(corpus, IPC, KEEP, 9)
    homes = {}
    for group, name in zip(result["group_id"], result["split"], strict=True):
        assert homes.setdefault(group, name) == name
    assert facts["groups_in_several_splits"] == 0
    assert facts["texts_in_several_splits"] == 0


def test_order_of_rows_does_not_matter_and_seeds_do():
    corpus = random_corpus(800, seed=5)
    result, facts = split(corpus, IPC, KEEP, 1)
    shuffled = corpus.sample(fraction=1, shuffle=True, seed=3)
    again, facts_again = split(shuffled, IPC, KEEP, 1)
    assert_frame_equal(result.sort("document_id"), again.sort("document_id"))
    assert facts == facts_again
    other, _ = split(corpus, IPC, KEEP, 2)
    assert not other["split"].equals(result["split"])


def test_every_label_with_three_groups_is_everywhere():
    corpus = random_corpus(3000, seed=6)
    result, facts = split(corpus, IPC, KEEP, 1)
    found, groups = splits_of_labels(corpus, result)
    assert min(groups.values()) < 30, "no rare label to put to the test"
    for label, count in groups.items():
        if count >= 3:
            assert found[label] == set(SPLITS), label
    assert {code for name in SPLITS for level in IPC.columns for code in facts["missing_labels"][name][level]} <= {
        label for label, count in groups.items() if count < 3
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=7),
    st.integers(0, 2**32 - 1),
)
def test_coverage_where_labels_stand_alone(counts, seed):
    """With one class a document and a section, a label with 1, 2, 3 groups is in train; train and test; all."""
    codes = ("B01", "C01", "D01", "E01", "F01", "G01", "H01")
    lists = [[code] for code, count in zip(codes, counts, strict=False) for _ in range(count)]
    corpus = corpus_of(lists + [["A01"]] * 60)
    result, _ = split(corpus, IPC, KEEP, seed)
    found, groups = splits_of_labels(corpus, result)
    for label, count in groups.items():
        assert found[label] >= {SPLITS[place] for place in COVERAGE_ORDER[:count]}


def missing(corpus, names):
    """Labels that miss train, test, val though they have 1, 2, 3 groups."""
    found, groups = splits_of_labels(corpus, pl.DataFrame({"split": names}))
    return tuple(
        sum(groups[label] > rank and SPLITS[place] not in found[label] for label in groups)
        for rank, place in enumerate(COVERAGE_ORDER)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1, max_size=3), min_size=12, max_size=30), st.integers(0, 99))
def test_coverage_of_entangled_labels(sets, seed):
    """No label misses train, and no single move would mend a gap without tearing an equal or worse one."""
    corpus = corpus_of([[IPC.classes[20 * place] for place in places] for places in sets])
    result, _ = split(corpus, IPC, SplitOptions(train=0.5, val=0.2, test=0.3, rare_labels="keep"), seed)
    names = result["split"].to_list()
    gaps = missing(corpus, names)
    assert gaps[0] == 0
    for row, name in itertools.product(range(len(names)), SPLITS):
        moved = [*names[:row], name, *names[row + 1 :]]
        assert missing(corpus, moved) >= gaps


def test_two_moves_where_one_is_not_enough():
    """C07 misses test, but each of its groups is the last one in train of another label: that one must come back."""
    truth = IPC.encode([["C", "C07", "G", "G06"], ["C", "C07", "H", "H04"], ["G", "G06"], ["H", "H04"]] + [["A"]] * 46)
    groups = _Groups(truth, np.arange(50), 50)
    split_of = np.array([0, 0, 2, 2] + [0] * 30 + [1] * 6 + [2] * 10)
    assignment = _Assignment(groups, split_of, np.array([0.7, 0.1, 0.2]))
    assert assignment._missing() == (0, 2, 0)
    assignment.cover()
    assert assignment._missing() == (0, 0, 0)
    assert assignment.positives.sum(axis=0).tolist() == truth.sum(axis=0).tolist()


@pytest.mark.parametrize("largest", [1, 3])
def test_exchange_brings_labels_nearer_and_costs_nothing(largest):
    corpus = random_corpus(900, seed=7, largest_group=largest)
    truth = IPC.encode([[*row[0], *row[1]] for row in corpus.select("sections", "classes").iter_rows()])
    names, group_of = np.unique(corpus["group_id"].to_numpy(), return_inverse=True)
    shares = np.array([0.7, 0.1, 0.2])

    def distance():
        """The measure of `_Assignment.harm` from the documents themselves, for labels alone."""
        home = assignment.split_of[group_of]
        held = np.stack([truth[home == place].sum(axis=0) for place in range(3)])
        return (
            ((held - np.outer(shares, truth.sum(axis=0))) ** 2).sum(axis=0) / np.maximum(truth.sum(axis=0), 1)
        ).sum()

    split_of = np.random.default_rng(0).choice(3, len(names), p=shares)
    assignment = _Assignment(_Groups(truth, group_of, len(names)), split_of, shares)
    assignment.cover()
    assignment.balance()
    before, sizes, gaps = distance(), assignment.documents.tolist(), assignment._missing()
    assignment.exchange()
    assert distance() < before - 10 * WORTHWHILE
    assert np.bincount(assignment.split_of[group_of]).tolist() == assignment.documents.tolist() == sizes
    assert assignment._missing() == gaps


def test_rare_labels_are_refused_with_their_names():
    corpus = corpus_of([["A01"]] * 40 + [["C40"]] + [["H10"]] * 2, [*range(40), 40, 41, 41])
    with pytest.raises(UserError) as error:
        split(corpus, IPC, SplitOptions(), 1)
    for part in ("C40 (1)", "H10 (2)", "splits.rare_labels", "'keep'", "corpus.documents"):
        assert part in str(error.value)
    result, facts = split(corpus, IPC, KEEP, 1)
    found, _ = splits_of_labels(corpus, result)
    assert found["C40"] == found["H10"] == {"train"}
    assert facts["missing_labels"]["test"] == {"section": ["C", "H"], "class": ["C40", "H10"]}


def test_rare_labels_are_counted_where_there_are_many():
    codes = IPC.classes[:14]
    corpus = corpus_of([["H04"]] * 40 + [[code] for code in codes])
    with pytest.raises(UserError, match=r"14 labels .* and 4 more"):
        split(corpus, IPC, SplitOptions(), 1)


@pytest.mark.parametrize("classes", [["A01"], ["A01", "A01"], ["A01", "C07", "H04"]])
def test_an_empty_split_is_refused(classes):
    with pytest.raises(UserError, match=r"empty.*corpus\.documents"):
        split(corpus_of([[code] for code in classes]), IPC, KEEP, 1)


def test_a_group_larger_than_a_split_is_survived():
    corpus = corpus_of([["A01"]] * 100, [0] * 60 + list(range(1, 41)))
    result, facts = split(corpus, IPC, KEEP, 1)
    assert result.filter(pl.col("group_id") == "0")["split"].n_unique() == 1
    assert facts["splits"]["train"]["documents"] == 70


def test_audit_worked_by_hand():
    """Five documents: train has A01 twice, val A01 and A01 + C07, test H04."""
    corpus = corpus_of([["A01"], ["A01"], ["A01"], ["A01", "C07"], ["H04"]])
    facts = audit(corpus, pl.Series(["train", "train", "val", "val", "test"]), IPC, SplitOptions())
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
    assert facts["splits"]["val"]["mean_labels_a_document"] == {"section": 1.5, "class": 1.5}
    assert facts["splits"]["train"]["labels_present"] == {"section": 1, "class": 1}


def test_audit_sees_leakage():
    corpus = corpus_of([["A01"]] * 4, [1, 1, 2, 3]).with_columns(
        text=pl.Series(["A device, new", "other", "a DEVICE new.", "Straße ﬁne"])
    )
    facts = audit(corpus, pl.Series(["train", "val", "test", "test"]), IPC, SplitOptions())
    assert facts["groups_in_several_splits"] == 1
    assert facts["texts_in_several_splits"] == 1


@given(st.integers(1, 10_000), st.integers(1, 98), st.integers(1, 98))
def test_whole_sizes(total, first, second):
    first, second = min(first, 98), min(second, 99 - min(first, 98))
    shares = np.array([first, second, 100 - first - second]) / 100
    sizes = _whole(shares, total)
    assert sizes.sum() == total
    assert (np.abs(sizes - shares * total) < 1).all()


@pytest.mark.skipif(not PATENTS_US.is_dir(), reason="the sample of real patents is not there")
def test_real_patents():
    corpus, _ = build(Delivery.open(PATENTS_US), IPC, CorpusOptions(), 42)
    with pytest.raises(UserError, match=r"C30 \(1\)"):
        split(corpus, IPC, SplitOptions(), 42)
    result, facts = split(corpus, IPC, KEEP, 42)
    found, groups = splits_of_labels(corpus, result)
    assert all(found[label] >= {SPLITS[place] for place in COVERAGE_ORDER[:count]} for label, count in groups.items())
    assert facts["groups_in_several_splits"] == facts["texts_in_several_splits"] == 0
    assert max(abs(facts["splits"][name]["size_error"]) for name in SPLITS) < 0.001


def test_splits_are_made_with_exchanges(monkeypatch):
    corpus = random_corpus(900, seed=7)
    _, facts = split(corpus, IPC, KEEP, 1)
    monkeypatch.setattr(splits, "WORTHWHILE", np.inf)
    _, without = split(corpus, IPC, KEEP, 1)
    assert facts["label_distribution_distance"]["class"] < without["label_distribution_distance"]["class"]
