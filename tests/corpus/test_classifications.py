"""Labels of other classifications than the IPC, out of the same delivery."""

import csv

import polars as pl
import pytest

from built import build
from deliveries import abstract, application, symbol, write_delivery
from ipcascade.cli import main
from ipcascade.config import load
from ipcascade.core.classifications import TREES
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.labels import _label_of
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patstat.source import open_patstat
from support import REPOSITORY, config_file

LONG = "one two three four five six seven eight nine ten"
TAXONOMIES = REPOSITORY / "../shared/design/taxonomies"
TABLES = {
    "tls201": [application(i) for i in (1, 2, 3, 4)],
    "tls203": [abstract(i, f"{LONG} {i}") for i in (1, 2, 3, 4)],
    "tls209": [symbol(i, "A01B  33/00") for i in (1, 2, 3, 4)],
    "tls224": [
        {"appln_id": i, "cpc_class_symbol": code}
        for i, code in ((1, "A01B  33/00"), (1, "Y02E  10/50"), (2, "B41P2200/00"), (3, "A01"), (3, "Z01B   1/00"))
    ],
    "tls229": [
        {"appln_id": i, "nace2_code": code, "weight": 0.5}
        for i, code in ((1, "28.29"), (1, "28.3"), (2, "10"), (3, "62"), (3, "1"), (4, "100"))
    ],
    "tls230": [
        {"appln_id": i, "techn_field_nr": number, "weight": 1}
        for i, number in ((1, 3), (1, 35), (2, 13), (3, 36), (3, 0))
    ],
}


@pytest.mark.parametrize(
    ("classification", "levels", "expected", "dropped"),
    [
        ("ipc", ["section", "class"], {i: [["A"], ["A01"]] for i in "1234"}, set()),
        (
            "cpc",
            ["section", "class", "subclass"],
            {"1": [["A", "Y"], ["A01", "Y02"], ["A01B", "Y02E"]], "2": [["B"], ["B41"], ["B41P"]]},
            {"A01", "Z01B"},
        ),
        (
            "nace",
            ["section", "division"],
            {"1": [["C"], ["28"]], "2": [["C"], ["10"]], "3": [["J"], ["62"]]},
            {"1", "10"},
        ),
        ("wipo35", ["sector", "field"], {"1": [["I", "V"], ["3", "35"]], "2": [["II"], ["13"]]}, {"36", "0"}),
    ],
)
def test_labels_are_those_of_the_classification(tmp_path, classification, levels, expected, dropped):
    """100 and 36 begin with codes, but are none; A01 names no subclass; 28.29 and 28.3 are of one division."""
    write_delivery(tmp_path / "delivery", TABLES)
    config = config_file(tmp_path, corpus={"classification": classification, "levels": levels})
    words = ["corpus", "--config", config, "--source", tmp_path / "delivery", "--corpus", tmp_path / "corpus.parquet"]
    assert main([str(word) for word in [*words, "--funnel", tmp_path / "funnel.json"]]) == 0
    corpus = pl.read_parquet(tmp_path / "corpus.parquet")
    assert {row["document_id"]: [row[level] for level in levels] for row in corpus.to_dicts()} == expected
    funnel = pl.read_json(tmp_path / "funnel.json")
    codes = funnel["symbols"].struct.field("most_frequent_dropped_codes")[0]
    assert {code["code"] for code in codes} == dropped


ALL = {"1": ["28", "62"], "2": ["10", "28"]}


@pytest.mark.parametrize(
    ("least", "expected"), [(0.3, {"1": ["28", "62"], "2": ["10"]}), (0.7, {"2": ["10"]}), (None, ALL)]
)
@pytest.mark.parametrize("memory", [1 << 30, 1])
def test_labels_of_little_weight_are_left_out(tmp_path, least, expected, memory):
    """Weights of the codes of a division add up, wherever its rows are."""
    weights = [(1, "28.29", 0.2), (2, "10", 0.8), (1, "62", 0.3333), (2, "28", 0.2), (1, "28.3", 0.4667), (3, "1", 1)]
    rows = [{"appln_id": i, "nace2_code": code, "weight": weight} for i, code, weight in weights]
    source = open_patstat(write_delivery(tmp_path, {**TABLES, "tls229": rows}, parts=3), classification="nace")
    options = CorpusOptions(classification="nace", levels=["section", "division"], least_weight=least)
    tree = LabelTree.read(TREES["nace"])
    corpus, funnel = build(source, tree, options, 1, most_bytes=memory)
    assert dict(corpus.select("document_id", "division").iter_rows()) == expected
    facts = funnel["symbols"]
    assert (facts["dropped_outside_label_tree"], facts["dropped_by_weight"], facts["kept"]) == {
        0.3: (1, 1, 4), 0.7: (1, 4, 1), None: (1, 0, 5),
    }[least]  # fmt: skip


def test_weights_add_up_by_what_is_learned_whatever_the_finer_level(tmp_path):
    table = tmp_path / "tree.tsv"
    rows = ["28\t\tdivision\tx", "62\t\tdivision\tx", "28.2\t28\tgroup\tx", "28.3\t28\tgroup\tx"]
    table.write_text("\n".join(["code\tparent\tlevel\ttitle", *rows]) + "\n")
    whole = LabelTree.read(table)
    tree = whole.select(["division"])
    weights = [(1, "28.2", 0.4), (1, "28.3", 0.4), (1, "62", 0.2), (2, "62", 1)]
    symbols = [{"appln_id": i, "nace2_code": code, "weight": weight} for i, code, weight in weights]
    source = open_patstat(write_delivery(tmp_path / "d", {**TABLES, "tls229": symbols}), classification="nace")
    options = CorpusOptions(classification="nace", levels=["division"], least_weight=0.5)
    corpus, funnel = build(source, tree, options, 1, finer=tree.with_level_below(whole))
    assert corpus.select("document_id", "division", "group").rows() == [
        ("1", ["28"], ["28.2", "28.3"]), ("2", ["62"], []),
    ]  # fmt: skip
    assert funnel["symbols"]["dropped_by_weight"] == 1


def test_weights_that_cannot_be_are_refused(tmp_path):
    for weight in ("1.5", "-0.1", "nan", "much"):
        folder = tmp_path / weight
        rows = [{"appln_id": 1, "nace2_code": "28", "weight": weight}]
        source = open_patstat(write_delivery(folder, {**TABLES, "tls229": rows}), classification="nace")
        options = CorpusOptions(classification="nace", levels=["section", "division"], least_weight=0.1)
        with pytest.raises(UserError, match=rf"line 2: weight is '{weight}', not a weight from 0 to 1"):
            build(source, LabelTree.read(TREES["nace"]), options, 1)


def test_only_the_table_of_the_classification_is_needed(tmp_path, capsys):
    tables = {table: rows for table, rows in TABLES.items() if table not in ("tls209", "tls230")}
    write_delivery(tmp_path / "delivery", tables)
    words = ["corpus", "--source", tmp_path / "delivery", "--corpus", tmp_path / "c.parquet", "--funnel"]
    for classification, code in (("cpc", 0), ("ipc", 1), ("wipo35", 1)):
        levels = ["sector", "field"] if classification == "wipo35" else ["section", "class"]
        config = config_file(tmp_path, corpus={"classification": classification, "levels": levels})
        assert main([str(word) for word in [*words, tmp_path / "f.json", "--config", config]]) == code
    said = capsys.readouterr().err
    assert "lacks the table tls209 (IPC symbols)" in said and "lacks the table tls230 (fields of technology)" in said


def test_a_code_does_not_end_within_a_word_or_a_number():
    tree = LabelTree.from_json(
        {
            "levels": ["field"],
            "labels": [
                {"code": code, "parent": None, "level": "field", "title": code}
                for code in ("3", "chem", "A01", "chem org", "Ä")
            ],
        }
    )
    found = {symbol: _label_of(symbol, tree, tree) for symbol in ("3", "36", "3.6", "3b", "chem", "chemistry")}
    assert {symbol: column is not None for symbol, column in found.items()} == {
        "3": True, "36": False, "3.6": True, "3b": True, "chem": True, "chemistry": False,
    }  # fmt: skip
    for symbol_, code in (
        ("chem organic", None),
        ("chem org", "chem org"),
        ("chem org x", "chem org"),
        ("A01B", "A01"),
    ):
        column = _label_of(symbol_, tree, tree)
        assert (None if column is None else tree.labels[column]) == code, symbol_
    assert _label_of("Äb", tree, tree) is None and _label_of("A011", tree, tree) is None


@pytest.mark.parametrize("name", TREES)
def test_the_shipped_trees_are_whole(name):
    tree = LabelTree.read(TREES[name])
    sizes = {
        "ipc": (8, 132, 654), "cpc": (9, 137, 680), "wipo35": (5, 35), "nace": (3, 26),
    }[name]  # fmt: skip
    assert tree.sizes == sizes
    assert all(tree.titles) and all(tree.parents[column] >= 0 for column in range(sizes[0], len(tree.labels)))
    if name == "cpc":  # the IPC and 26 subclasses of its own
        ipc = LabelTree.read(IPC)
        assert set(ipc.codes("subclass")) < set(tree.codes("subclass"))


@pytest.mark.skipif(not TAXONOMIES.exists(), reason="the tables of facts are not here")
def test_the_shipped_trees_are_those_of_the_tables_of_facts():
    with (TAXONOMIES / "wipo35_fields.tsv").open() as file:
        fields = list(csv.DictReader(file, delimiter="\t"))
    tree = LabelTree.read(TREES["wipo35"])
    for row in fields:
        column = tree.index[row["field_number"]]
        assert tree.titles[column] == row["field_name"]
        assert tree.titles[tree.parents[column]] == row["sector"]
    with (TAXONOMIES / "nace2.tsv").open() as file:
        used = {row["nace2_code"][:2] for row in csv.DictReader(file, delimiter="\t")} - {""}
    assert used == set(LabelTree.read(TREES["nace"]).codes("division"))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"source": {"kind": "demo"}, "corpus": {"classification": "cpc"}}, "the synthetic delivery has IPC symbols"),
        ({"corpus": {"classification": "cpc", "ipc_values": ["I"]}}, "corpus.ipc_values: only symbols of the IPC have"),
        (
            {"corpus": {"classification": "nace", "levels": ["section"], "least_weight": 0.1, "renamed_codes": "x"}},
            "corpus.renamed_codes: codes with weights",
        ),
        ({"corpus": {"least_weight": 0.1}}, "corpus.least_weight: only labels of wipo35 and nace have a weight"),
        ({"source": {"kind": "table"}, "corpus": {"classification": "nace", "least_weight": 0.1}}, "chosen by it"),
        ({"corpus": {"classification": "ipc2"}}, "corpus.classification is 'ipc2': must be 'ipc'"),
    ],
)
def test_what_does_not_go_together_is_refused(config, problem):
    with pytest.raises(UserError, match=problem):
        load(config)
