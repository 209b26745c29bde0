"""`ipcascade inspect`: what it says is there, and that what it tells to write into the config makes a corpus."""

import re

import polars as pl
import pytest
import yaml

from deliveries import abstract, application, symbol, write_delivery
from ipcascade.cli import main
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.sources.inspection import inspect
from patentsview_tables import ipc, small, write_tables

LONG = "one two three four five six seven eight nine ten"
TABLES = {
    "tls201": [application(i) for i in (1, 2)],
    "tls202": [],
    "tls203": [abstract(i, f"{LONG} {i}") for i in (1, 2)],
    "tls209": [symbol(1, "A01B  33/00"), symbol(2, "H04L   9/00")],
}


def config_in(said):
    """The config that an inspection tells to write, as YAML."""
    lines = said.partition("To write into the config:\n\n")[2].partition("\n\n")[0].splitlines()
    return yaml.safe_load("\n".join(line.removeprefix("  ") for line in lines))


def corpus_with(config, folder):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    words = ["corpus", "--source", config["source"]["path"], "--corpus", folder / "corpus.parquet", "--config", path]
    assert main([str(word) for word in [*words, "--funnel", folder / "funnel.json"]]) == 0
    return pl.read_parquet(folder / "corpus.parquet")


@pytest.mark.parametrize("layout", ["flat", "nested", "plain"])
def test_a_delivery(tmp_path, layout):
    folder = write_delivery(tmp_path / "delivery", TABLES, layout, parts=2)
    said = inspect(folder)
    assert "a PATSTAT Global delivery" in said and ("2023_Autumn" in said) == (layout == "nested")
    assert re.search(r"tls209 +IPC symbols +2 parts, 0\.0 MiB, 2 rows by RowCount", said)
    assert "No problem" in said and "corpus.classification can be ipc" in said
    assert corpus_with(config_in(said), tmp_path).height == 2


def test_what_a_delivery_lacks_and_what_is_wrong_first(tmp_path):
    tables = {name: rows for name, rows in TABLES.items() if name not in ("tls202", "tls209")}
    tables["tls224"] = [{"appln_id": 1, "cpc_class_symbol": "Y02E  10/50"}]
    folder = write_delivery(tmp_path / "delivery", tables, "plain", counts=None)
    said = inspect(folder)
    assert "tls202 (titles) is missing: titles cannot be part of texts" in said
    assert "no RowCount file" in said
    assert config_in(said)["corpus"] == {"classification": "cpc", "levels": ["section", "class"]}
    (folder / "tls203_appln_abstr_part01.csv").write_text("appln_id,appln_abstract_lg,appln_abstract\nx,en,text\n")
    assert "tls203_appln_abstr_part01.csv, line 2: appln_id is 'x', not a whole number" in inspect(folder)
    (folder / "tls224_appln_cpc_part01.csv").unlink()
    said = inspect(folder)
    assert "none of tls209, tls224, tls230, tls229 is there" in said.replace("tls229, tls230", "tls230, tls229")
    (folder / "tls201_appln_part03.csv").write_text("")
    assert "lacks part 2 of tls201" in inspect(folder)


def test_patentsview(tmp_path):
    folder = write_tables(tmp_path / "tables", small("10000001", "10000002"))
    said = inspect(folder)
    assert "PatentsView's tables of US patents" in said and "g_ipc_at_issue.tsv.zip" in said and "No problem" in said
    assert "corpus.classification can be ipc; corpus.text can have abstract, title" in said
    assert corpus_with(config_in(said), tmp_path)["document_id"].to_list() == ["10000001", "10000002"]
    (folder / "g_application.tsv.zip").unlink()
    assert "has no file g_application.tsv.zip" in inspect(folder)
    (folder / "g_ipc_at_issue.tsv.zip").unlink()
    assert "none of g_ipc_at_issue, g_cpc_current, g_wipo_technology is there" in inspect(folder)


@pytest.mark.parametrize(
    ("labels", "separator", "classification"),
    [(["A01B; H04L", "H04L"], ";", None), (["Y02E|A23V", "A01B"], "|", "cpc"), (["3", "35"], None, "wipo35")],
)
def test_a_table(tmp_path, labels, separator, classification):
    path = tmp_path / "patents.csv"
    rows = [f"{n},{LONG} {n},{label},200{n}" for n, label in enumerate(labels)]
    path.write_text("\n".join(["Publication_Number,Text,IPC,filing_year", *rows, ""]))
    said = inspect(path)
    config = config_in(said)
    columns = {"id": "Publication_Number", "abstract": "Text", "labels": "IPC", "year": "filing_year"}
    assert config["source"]["table"] == columns | ({"separator": separator} if separator else {})
    assert config["corpus"]["classification"] == (classification or "ipc")
    assert "documents can be chosen by corpus.first_year, corpus.last_year" in said
    corpus = corpus_with(config, tmp_path)
    assert corpus["filing_year"].to_list() == [2000, 2001] or corpus["filing_year"].to_list() == [2001, 2000]


def test_a_table_whose_columns_are_called_otherwise(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"number": [1], "words": ["a"], "topic": [["x"]], "label": [1.5]}).write_parquet(path)
    said = inspect(path)
    for what in ("ids", "abstracts", "labels"):
        assert f"no column is called like {what}" in said
    assert "documents cannot be chosen by office" in said


def test_labels_of_no_tree_that_is_shipped(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": "1", "text": "a", "labels": ["biology"]}\n')
    said = inspect(path)
    assert "no label in 'labels' is of a label tree that is shipped" in said
    assert config_in(said)["corpus"]["label_tree"] == "TREE.tsv"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("A61;B01", {"classification": "ipc", "levels": ["section", "class"]}),
        ("A;B", {"classification": "ipc", "levels": ["section"]}),
        ("62;42.2", {"classification": "nace", "levels": ["section", "division"]}),
        ("101;3511", None),
    ],
)
def test_levels_are_those_that_the_labels_reach(tmp_path, labels, expected):
    path = tmp_path / "t.csv"
    path.write_text(f"id,abstract,labels\n1,{LONG},{labels}\n")
    said = inspect(path)
    if expected is None:
        assert "no label in 'labels' is of a label tree" in said
    else:
        assert config_in(said)["corpus"] == expected
        assert corpus_with(config_in(said), tmp_path).height == 1


def test_what_is_no_source(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    for path, sentence in ((tmp_path, "holds nothing that is known"), (tmp_path / "x", "does not exist"),
                           (tmp_path / "notes.txt", "tables of documents come as")):  # fmt: skip
        assert main(["inspect", str(path)]) == 1
        assert sentence in capsys.readouterr().err


def test_the_command_prints_it(tmp_path, capsys):
    folder = write_tables(tmp_path / "tables", small("10000001", g_ipc_at_issue=[ipc("10000001")]))
    assert main(["inspect", str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out == inspect(folder) + "\n" and "rows/s" not in captured.err


def test_the_ipc_is_known_by_its_codes():
    from ipcascade.sources.inspection import _share

    assert _share(pl.Series(["A01B", "A01B 1/00", "X99"]), LabelTree.read(IPC)) == pytest.approx(2 / 3)
