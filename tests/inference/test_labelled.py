"""Labels of new texts, in all the ways that users write them."""

import logging
from pathlib import Path

import polars as pl
import pytest

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.inference.labelled import true_labels

TREE = LabelTree.read(IPC).select(["section", "class"])
WHERE = Path("p.parquet")


def codes(values, tree=TREE):
    truth, has_labels = true_labels(values, tree, WHERE)
    assert has_labels.tolist() == truth.any(axis=1).tolist()
    return [[tree.labels[column] for column in row.nonzero()[0]] for row in truth]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A01;B02", ["A", "B", "A01", "B02"]),
        ("A01, B02", ["A", "B", "A01", "B02"]),
        ("A01 B02", ["A", "B", "A01", "B02"]),
        ("A01 | B02 ;", ["A", "B", "A01", "B02"]),
        ("A", ["A"]),
        ("H04L 9/00; A61K31/00", ["A", "H", "A61", "H04"]),
        ("H04L   9/00 H04L 12/28", ["H", "H04"]),
        ("  A01  ", ["A", "A01"]),
        ("A01B;A01C;A01", ["A", "A01"]),
    ],
)
def test_labels_in_one_text(text, expected):
    assert codes(pl.Series("ipc", [text])) == [expected]


def test_lists_and_texts_without_labels():
    found = codes(pl.Series("ipc", [["A01", "H"], [], None, ["B02C"]], dtype=pl.List(pl.String)))
    assert found == [["A", "H", "A01"], [], [], ["B", "B02"]]
    assert codes(pl.Series("ipc", ["A01", "", None])) == [["A", "A01"], [], []]


def test_labels_that_the_tree_does_not_have_are_counted(caplog):
    with caplog.at_level(logging.WARNING, "ipcascade"):
        assert codes(pl.Series("ipc", ["A01;X9", "X9;Y8", "B02"])) == [["A", "A01"], [], ["B", "B02"]]
    assert "3 labels are not in the label tree and do not count, 'X9' among them" in caplog.text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (pl.Series("ipc", ["X9", ""]), "p.parquet: no text has a label of the label tree in the column 'ipc'; 'X9' is"),
        (pl.Series("ipc", ["", None]), "in the column 'ipc', which is empty"),
        (pl.Series("ipc", [1, 2]), "the column 'ipc' holds Int64; labels are text or lists of text"),
    ],
)
def test_columns_that_are_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        true_labels(values, TREE, WHERE)
