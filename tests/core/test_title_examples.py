"""Titles as examples: of the learned labels at or above them, from a table that has more levels."""

import numpy as np
import pytest

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.title_examples import title_examples

ROWS = """code parent level title
A - section FIRST
B - section SECOND
A1 A class First of A
A2 A class Second of A
A1x A1 subclass Deep of A1
A1y A1 subclass Deeper Of A1
"""


@pytest.fixture
def table(tmp_path):
    lines = [line.split(" ", 3) for line in ROWS.splitlines()]
    rows = ["\t".join(["" if word == "-" else word for word in line]) for line in lines]
    (tmp_path / "tree.tsv").write_text("\n".join(rows) + "\n")
    return LabelTree.read(tmp_path / "tree.tsv")


def examples(table, levels):
    """{title: codes}"""
    tree = table.select(levels)
    texts, truth = title_examples(table, tree)
    assert truth.dtype == bool and len(set(texts)) == len(texts)
    return {
        text: {tree.labels[column] for column in np.flatnonzero(row)} for text, row in zip(texts, truth, strict=True)
    }


def test_by_hand(table):
    """A has learned labels below it, so its title is of none; B has not."""
    assert examples(table, ["section", "class"]) == {
        "second": {"B"}, "first of a": {"A", "A1"}, "second of a": {"A", "A2"},
        "deep of a1": {"A", "A1"}, "deeper of a1": {"A", "A1"},
    }  # fmt: skip
    assert examples(table, ["subclass"]) == {"deep of a1": {"A1x"}, "deeper of a1": {"A1y"}}
    assert examples(table, ["section"])["deep of a1"] == {"A"}


def test_of_the_ipc_there_is_one_for_each_class_and_subclass():
    table = LabelTree.read(IPC)
    tree = table.select(["section", "class"])
    texts, truth = title_examples(table, tree)
    assert len(texts) == 132 + 654
    assert np.array_equal(tree.close(truth), truth)
    assert truth[:, tree.columns["class"]].sum(axis=1).tolist() == [1] * len(texts)
    row = truth[texts.index(table.titles[table.index["A01B"]].lower())]
    assert {tree.labels[column] for column in np.flatnonzero(row)} == {"A", "A01"}


def test_a_tree_that_is_not_of_the_table(table):
    with pytest.raises(UserError, match=r"no label 'A01'.*make the corpus again"):
        title_examples(table, LabelTree.read(IPC).select(["class"]))
