"""Codes that the label tree lacks: those of a user's table get the labels that are meant now, others are dropped."""

import polars as pl
import pytest

from built import build
from deliveries import LONG, abstract, application, symbol, write_delivery
from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum, read_json
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.provenance import read_provenance
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.renamed_codes import labels_of, read_renamed_codes
from ipcascade.sources.patstat.source import open_patstat
from support import config_file

WHOLE = LabelTree.read(IPC)
TREE = WHOLE.select(["section", "class"])
SYMBOLS = [
    symbol(1, "A01B  33/00"), symbol(1, "C13D   1/00"), symbol(2, "C13D   3/16"), symbol(3, "C14D   1/00"),
    symbol(4, "C14   99/00"), symbol(4, "C14D   1/00"),
]  # fmt: skip


def table(folder, *rows, name="codes.csv"):
    path = folder / name
    path.write_text("from,to\n" + "".join(f"{row}\n" for row in rows))
    return path


def corpus_of(folder, *rows, finer=None):
    """Labels of documents 1 to 4, by document, and the funnel's facts of symbols."""
    tables = {
        "tls201": [application(i) for i in range(1, 5)], "tls202": [],
        "tls203": [abstract(i, f"{LONG} {i}") for i in range(1, 5)], "tls209": SYMBOLS,
    }  # fmt: skip
    tree = LabelTree.read(write_tree(folder)).select(["section", "class"])
    renamed = read_renamed_codes(table(folder, *rows), tree, tree) if rows else {}
    source = open_patstat(write_delivery(folder / "delivery", tables))
    frame, funnel = build(source, tree, CorpusOptions(), 1, renamed=renamed)
    return dict(frame.select("document_id", "class").iter_rows()), funnel["symbols"]


def write_tree(folder):
    """A tree without the class C14 and the subclasses of C13 but one."""
    rows = [
        "A\t\tsection", "C\t\tsection", "A01\tA\tclass", "C07\tC\tclass", "C08\tC\tclass",
    ]  # fmt: skip
    (folder / "tree.tsv").write_text("code\tparent\tlevel\ttitle\n" + "".join(f"{row}\ttitle\n" for row in rows))
    return folder / "tree.tsv"


def test_codes_of_no_label_are_dropped_and_counted(tmp_path):
    labels, facts = corpus_of(tmp_path)
    assert labels == {"1": ["A01"]}
    assert (facts["kept"], facts["renamed"], facts["dropped_outside_label_tree"]) == (1, 0, 5)
    assert facts["most_frequent_dropped_codes"] == [{"code": "C14", "symbols": 3}, {"code": "C13", "symbols": 2}]


def test_renamed_codes_lead_to_the_labels_that_are_meant_now(tmp_path):
    labels, facts = corpus_of(tmp_path, "C13D,C07", "C13D 3/16,C08", "C13D 3/16,C07", "C14D 1,A01B", "X,A01")
    assert labels == {"1": ["A01", "C07"], "2": ["C07", "C08"], "3": ["A01"], "4": ["A01"]}
    assert (facts["read"], facts["kept"], facts["renamed"], facts["dropped_outside_label_tree"]) == (6, 5, 4, 1)
    assert facts["most_frequent_dropped_codes"] == [{"code": "C14", "symbols": 1}]


def test_a_code_that_the_tree_has_is_not_renamed(tmp_path):
    labels, facts = corpus_of(tmp_path, "A01B 33/00,C07")
    assert labels == {"1": ["A01"]} and facts["renamed"] == 0


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        ("C13D   1/00", (1,)), ("C13D  12/00", (2,)), ("C13D 1", (1,)), ("C13D", (3,)), ("C13", ()), ("C13E 1/00", ()),
        ("C13DX", ()), ("", ()), ("C13D  1/0012", (1,)),
    ],
)  # fmt: skip
def test_the_longest_code_counts_and_ends_where_a_number_or_word_does(symbol, found):
    assert labels_of(symbol, {"C13D1": (1,), "C13D12": (2,), "C13D": (3,)}) == found


def test_the_finer_level_follows(tmp_path):
    finer = TREE.with_level_below(WHOLE)
    renamed = read_renamed_codes(table(tmp_path, "C12S,C12N 9/00"), TREE, finer)
    assert [finer.labels[label] for label in renamed["C12S"]] == ["C12N"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["C13D,C07", " ,C07"], r"codes\.csv, line 3: the code in the column from is empty"),
        (["C13D,Z99"], r"codes\.csv, line 2: the code 'Z99' in the column to leads to no label of the label tree"),
        (["C13D,"], r"line 2: the code '' in the column to leads to no label"),
        (["C13D"], r"codes\.csv, line 2: .*"),
    ],
)
def test_what_is_wrong_with_the_table_is_one_sentence(tmp_path, rows, sentence):
    with pytest.raises(UserError, match=sentence):
        read_renamed_codes(table(tmp_path, *rows), TREE, TREE)


def test_the_table_must_have_both_columns(tmp_path):
    (tmp_path / "codes.tsv").write_text("old\tto\nC13D\tC07\n")
    with pytest.raises(UserError, match=r"codes\.tsv has no column 'from'; its header has 'old, to'"):
        read_renamed_codes(tmp_path / "codes.tsv", TREE, TREE)


def test_the_command_takes_the_table_of_the_config(tmp_path):
    tables = {
        "tls201": [application(1)], "tls202": [], "tls203": [abstract(1, LONG)], "tls209": [symbol(1, "X12D   1/00")],
    }  # fmt: skip
    delivery, codes = write_delivery(tmp_path / "delivery", tables), table(tmp_path, "X12,C07")
    config = config_file(tmp_path, corpus={"renamed_codes": str(codes)})
    words = ["corpus", "--source", delivery, "--corpus", tmp_path / "c.parquet", "--funnel", tmp_path / "f.json"]
    assert main([*map(str, words), "--config", str(config)]) == 0
    assert pl.read_parquet(tmp_path / "c.parquet")["class"].to_list() == [["C07"]]
    assert read_json(tmp_path / "f.json")["symbols"]["renamed"] == 1
    assert read_provenance(tmp_path / "c.parquet")["inputs"]["renamed_codes"] == file_checksum(codes)
