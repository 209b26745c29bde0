"""Concordances: shares against cases worked by hand, WIPO's fields as they ship, and tables that are refused."""

import itertools

import numpy as np
import polars as pl
import pytest

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.matrices.concordance import Concordance, concordance, concordance_file, read_concordance
from ipcascade.matrices.counts import Block

WHOLE = LabelTree.read(IPC)
TREE = WHOLE.select(["section", "class"])
WIPO = read_concordance(concordance_file("wipo35"))


def shares_of(found, tree, level, label):
    row = found.shares[tree.codes(level).index(label)]
    return {code: share for (code, _), share in zip(found.technologies, row.tolist(), strict=True) if share}


def table_of(tmp_path, text, name="c.csv"):
    (tmp_path / name).write_text(text)
    return read_concordance(tmp_path / name)


@pytest.mark.parametrize("levels", [["section"], ["section", "class"], list(WHOLE.levels)])
def test_each_label_is_shared_out_whole(levels):
    tree = WHOLE.select(levels)
    for level in levels:
        found = concordance(WIPO, WHOLE, tree, level, {"A61K": 7})
        assert found.shares.sum(axis=1) == pytest.approx(np.ones(len(tree.codes(level))))
        assert (found.shares >= 0).all() and len({code for code, _ in found.technologies}) == found.shares.shape[1]


def test_every_subclass_in_force_has_a_field_but_those_of_matter_not_provided_for():
    tree = WHOLE.select(list(WHOLE.levels))
    found = concordance(WIPO, WHOLE, tree, "subclass", {})
    without = [code for code in tree.codes("subclass") if "none" in shares_of(found, tree, "subclass", code)]
    assert all(code.endswith("99Z") for code in without), without
    assert [code for code, _ in found.technologies[:35]] == [f"{number:02}" for number in range(1, 36)]
    assert dict(found.technologies)["16"] == "Pharmaceuticals"
    assert shares_of(found, tree, "subclass", "A01B") == {"29": 1}
    assert set(shares_of(found, tree, "subclass", "H04N")) == {"02", "03", "04"}


def test_a_class_is_shared_out_by_the_training_documents_of_its_subclasses(tmp_path):
    table = table_of(tmp_path, "label,technology,title\nA61B,13,Devices\nA61K,16,Drugs\nA61Q,16,Drugs\nH,x,Power\n")
    documents = {"A61B": 30, "A61K": 50, "A61Q": 20, "A61F": 900}
    found = concordance(table, WHOLE, TREE, "class", documents)
    assert shares_of(found, TREE, "class", "A61") == pytest.approx({"13": 0.3, "16": 0.7})
    assert shares_of(found, TREE, "class", "H04") == {"x": 1}, "as its section"
    assert shares_of(found, TREE, "class", "B01") == {"none": 1}
    assert found.shared_out == ["A61"]
    assert dict(found.technologies) == {
        "13": "Devices", "16": "Drugs", "x": "Power", "none": "no technology of the concordance",
    }  # fmt: skip
    unknown = concordance(table, WHOLE, TREE, "class", {})
    assert shares_of(unknown, TREE, "class", "A61") == pytest.approx({"13": 1 / 3, "16": 2 / 3}), "equally"


def test_the_label_itself_comes_before_those_below_and_above(tmp_path):
    table = table_of(tmp_path, "label,technology,weight\nA,a,1\nA61,b,3\nA61,c,1\nA61B,d,1\n")
    found = concordance(table, WHOLE, TREE, "class", {"A61B": 5})
    assert shares_of(found, TREE, "class", "A61") == {"b": 0.75, "c": 0.25}
    assert shares_of(found, TREE, "class", "A01") == {"a": 1}
    assert not found.shared_out


def test_tabs_separate_the_columns_of_tsv(tmp_path):
    assert table_of(tmp_path, "label\ttechnology\nA\tx, y\n", "c.tsv") == {"A": {"x, y": (1.0, "x, y")}}


def test_amounts_are_those_of_the_definition():
    random = np.random.default_rng(3)
    shares = np.array([[1, 0, 0], [0.25, 0.75, 0], [0, 0.5, 0.5], [0, 0, 1]])
    found = Concordance(shares, [("x", "x"), ("y", "y"), ("z", "z")], [])
    probabilities = random.random((20, 4)).astype(np.float32)
    predicted = random.random((20, 4)) < 0.5
    amounts = found.amounts(Block(predicted, probabilities))
    for text, technology in itertools.product(range(20), range(3)):
        expected = 0.0  # over all sets of labels that the text may have, each shared out at random
        for labels in itertools.product([False, True], repeat=4):
            chance = np.prod(np.where(labels, probabilities[text].astype(float), 1 - probabilities[text].astype(float)))
            expected += chance * (1 - np.prod([1 - shares[label, technology] for label in range(4) if labels[label]]))
        assert amounts.expected[text, technology] == pytest.approx(expected, abs=1e-6)
        own = np.flatnonzero(predicted[text])
        assert amounts.whole[text, technology] == max((shares[label, technology] for label in own), default=0)
        assert amounts.fractional[text, technology] == pytest.approx(
            sum(shares[label, technology] / len(own) for label in own)
        )
    assert amounts.fractional.sum(axis=1) == pytest.approx(predicted.any(axis=1).astype(float))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("label,field\nA,1\n", "c.csv has the column 'technology' 0 times"),
        ("label,technology\n", "c.csv has no rows"),
        ("", "c.csv has the column 'label' 0 times"),
        ("label,technology\nA,\n", "c.csv, line 2: a row needs a label and a technology"),
        ("label,technology\nA,1\n,2\n", "c.csv, line 3: a row needs a label and a technology"),
        ("label,technology\nA,1,2\n", "c.csv, line 2: .*no more values than the header"),
        ("label,technology\nA,1\nA,1\n", "c.csv, line 3: the label 'A' has the technology '1' twice"),
        ("label,technology,weight\nA,1,0\n", "c.csv, line 2: the weight '0' is not a number above 0"),
        ("label,technology,weight\nA,1,many\n", "c.csv, line 2: the weight 'many' is not a number above 0"),
        ("label,technology,weight\nA,1,nan\n", "c.csv, line 2: the weight 'nan' is not a number above 0"),
        ('label,technology\n"A,1\n', "c.csv could not be read: "),
    ],
)
def test_tables_that_are_refused(tmp_path, text, sentence):
    with pytest.raises(UserError, match=sentence):
        table_of(tmp_path, text)


def test_a_table_of_other_labels_is_refused(tmp_path):
    table = table_of(tmp_path, "label,technology\nH04L 9/00,x\n")
    with pytest.raises(UserError, match="has no label of the label tree"):
        concordance(table, WHOLE, TREE, "class", {})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv could not be read: No such file"):
        read_concordance(tmp_path / "absent.csv")
    (tmp_path / "c.csv").write_bytes(b"label,technology\nA,\xe9\n")
    with pytest.raises(UserError, match=r"c\.csv could not be read: "):
        read_concordance(tmp_path / "c.csv")


def test_the_shipped_table_names_its_source():
    path = concordance_file("wipo35")
    assert "CC BY 3.0 IGO" in (path.parent / "README.md").read_text()
    table = pl.read_csv(path, separator="\t", schema_overrides={"technology": pl.String})
    assert table.group_by("label").agg(pl.col("weight").sum())["weight"].to_numpy() == pytest.approx(1, abs=1e-3)
