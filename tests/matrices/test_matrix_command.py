"""The command `matrix`: from predictions to tables by funder and year, and what it refuses."""

import json

import numpy as np
import polars as pl
import pytest

from ipcascade.cli import main
from ipcascade.core.files import read_facts, write_json
from ipcascade.core.label_tree import LabelTree
from support import config_file

TREE = LabelTree(
    ("section", "class"), (2, 3), ("A", "B", "A01", "A02", "B01"), (-1, -1, 0, 0, 1),
    ("ay", "bee", "farming", "baking", "mixing"),
)  # fmt: skip
LABELS = {
    "label_tree": TREE.to_json(), "text": {"content": "abstract", "max_length": 9}, "dropout": 0.1,
    "finer_labels": None, "label_attention": False,
}  # fmt: skip
TEXTS = pl.DataFrame(
    {
        "document_id": ["1", "2", "3", "4", "5"],
        "project": ["p", "q", "p", "r", "s"],
        "funder": ["x", "y", "x", "x", None],
        "year": ["2001", "2001", "2001", "2000", "2000"],
        "money": ["10", "1.5", "10", "0", "2"],
        "section": [["A"], ["A", "B"], ["B"], [], ["A"]],
        "class": [["A01"], ["A02", "B01"], ["B01"], [], ["A01", "A02"]],
        "confidence": [0.9, 0.5, 0.5, 0.0, 0.5],
        "A": [0.9, 0.5, 0.1, 0.2, 0.9],
        "B": [0.1, 0.5, 0.5, 0.1, 0.0],
        "A01": [0.8, 0.0, 0.0, 0.1, 0.5],
        "A02": [0.0, 0.5, 0.1, 0.0, 0.5],
        "B01": [0.1, 0.5, 0.5, 0.1, 0.0],
    }
)


@pytest.fixture
def matrix(tmp_path):
    write_json(tmp_path / "model/labels.json", LABELS)

    def made(texts=TEXTS, **options):
        texts.write_parquet(tmp_path / "predictions.parquet")
        config = config_file(
            tmp_path, prediction={"inputs": {"new": "new.csv"}}, matrices={"m": {"input": "new", **options}}
        )
        code = main([
            "matrix", "--name", "m", "--predictions", str(tmp_path / "predictions.parquet"), "--model",
            str(tmp_path / "model"), "--stem", str(tmp_path / "m"), "--config", str(config),
        ])  # fmt: skip
        return [pl.read_parquet(tmp_path / f"m{ending}.parquet") for ending in ("", "_wide")] if code == 0 else None

    return made


def rows(table, *names):
    return {row[:-1]: row[-1] for row in table.select(names).iter_rows()}


def test_projects_by_classes(matrix):
    long, wide = matrix(unit="project", bootstrap=0)
    assert wide["project"].to_list() == ["p", "q", "r", "s"], "in the order of the table"
    assert wide.columns == ["project", "units", "weight", "A01", "A02", "B01"]
    assert wide.select("A01", "A02", "B01").to_numpy() == pytest.approx(
        np.array([[0.4, 0.05, 0.3], [0.0, 0.5, 0.5], [0.1, 0.0, 0.1], [0.5, 0.5, 0.0]]), abs=1e-6
    )
    assert rows(long, "project", "technology", "whole")["p", "A01"] == 1
    assert rows(long, "project", "technology", "fractional")["p", "B01"] == 0.5
    assert rows(long, "project", "technology", "title")["q", "A02"] == "baking"
    assert ("r", "A02") not in rows(long, "project", "technology", "whole"), "nothing predicted, nothing expected"


def test_money_by_funder_and_year(matrix):
    long, wide = matrix(unit="project", by=["funder", "year"], weight="money", level="section", measure="whole")
    assert wide.select("funder", "year").rows() == [("x", "2000"), ("x", "2001"), ("y", "2001"), (None, "2000")]
    assert wide.select("units", "weight").rows() == [(1, 0.0), (1, 10.0), (1, 1.5), (1, 2.0)]
    assert wide.select("A", "B").rows() == [(0.0, 0.0), (10.0, 10.0), (1.5, 1.5), (2.0, 0.0)]
    expected = rows(long, "funder", "year", "technology", "expected")
    assert expected["x", "2001", "A"] == pytest.approx(10 * (0.9 + 0.1) / 2)
    low, high = (rows(long, "funder", "year", "technology", f"expected_{end}") for end in ("low", "high"))
    assert (low["x", "2001", "A"], high["x", "2001", "A"]) == pytest.approx((1.0, 9.0))
    assert low["y", "2001", "A"] == high["y", "2001", "A"] == pytest.approx(0.75), "a unit of one text has no width"


def test_without_a_unit_each_text_is_one(matrix):
    long, wide = matrix()
    assert wide["document_id"].to_list() == TEXTS["document_id"].to_list()
    assert "expected_low" not in long.columns
    assert rows(long, "document_id", "technology", "fractional")["5", "A01"] == 0.5


def test_texts_that_are_not_classifiable_are_a_technology_of_their_own(matrix):
    """Of unit p (weight 10) one of two texts; of q (1.5) the only one. Units r and s are as before."""
    marked = TEXTS.with_columns(classifiable=pl.Series([True, False, False, True, True]))
    long, wide = matrix(marked, unit="project", weight="money", bootstrap=0, measure="fractional")
    apart = long.filter(technology="not classifiable")
    assert rows(apart, "project", "expected") == {("p",): 5.0, ("q",): 1.5}
    assert rows(apart, "project", "fractional") == {("p",): 5.0, ("q",): 1.5}
    assert rows(apart, "project", "whole") == {("p",): 10.0, ("q",): 1.5}
    before, _ = matrix(unit="project", weight="money", bootstrap=0)
    others = pl.col("project").is_in(["r", "s"])
    assert long.filter(others).equals(before.filter(others))
    assert rows(long.filter(technology="A01"), "project", "expected")[("p",)] == pytest.approx(10 * 0.8 / 2)
    assert "q" not in long.filter(pl.col("technology") != "not classifiable")["project"].to_list()
    # Fractional counts of a unit add up to its weight, where its classifiable texts have labels.
    sums = wide.select("project", "weight", total=pl.sum_horizontal(wide.columns[3:]))
    assert sums.filter(pl.col("project").is_in(["p", "q", "s"])).filter(pl.col("weight") != pl.col("total")).is_empty()


def test_industries_are_read_from_the_delivery(matrix, tmp_path, capsys):
    """A01 is shared by its training documents: A01B 3, A01C 1; B01 has B01D alone; A02 is in no industry."""
    matrix(TEXTS.with_columns(classifiable=pl.col("document_id") != "5"))
    delivery = tmp_path / "delivery"
    delivery.mkdir()
    rows_of_table = "A01B,,,28.3,1,Machinery\nA01C,,,20.1,1,Chemicals\nB01D,,,28.2,1,Filters\n"
    header = "ipc,not_with_ipc,unless_with_ipc,nace2_code,nace2_weight,nace2_descr\n"
    (delivery / "tls902_ipc_nace2_part01.csv").write_text(header + rows_of_table)
    subclasses = [["A01B"], ["A01B"], ["A01B"], ["A01C"], ["A01C"]]
    corpus = pl.DataFrame({"document_id": list("abcde"), "subclass": subclasses})
    corpus = corpus.with_columns(pl.Series("class", [["A01"]] * 5), pl.Series("section", [["A"]] * 5))
    corpus.write_parquet(tmp_path / "corpus.parquet")
    splits = pl.DataFrame({"document_id": list("abcde"), "split": ["train"] * 4 + ["test"]})
    splits.write_parquet(tmp_path / "splits.parquet")
    config = config_file(
        tmp_path, prediction={"inputs": {"new": "new.csv"}},
        matrices={"m": {"input": "new", "by": ["funder"], "concordance": "nace", "measure": "fractional"}},
    )  # fmt: skip
    words = [f"--{name}={tmp_path / name}.parquet" for name in ("predictions", "corpus", "splits")]
    words += ["--model", str(tmp_path / "model"), "--stem", str(tmp_path / "m"), "--config", str(config)]
    below = {"A01B": "A01", "A01C": "A01", "B01D": "B01", "A01": "A", "A02": "A", "B01": "B", "A": "", "B": ""}
    level = {1: "section", 3: "class", 4: "subclass"}
    lines = [f"{code}\t{parent}\t{level[len(code)]}\t{code}" for code, parent in below.items()]
    (tmp_path / "tree.tsv").write_text("\n".join(["code\tparent\tlevel\ttitle", *sorted(lines)]) + "\n")
    words += ["--label-tree", str(tmp_path / "tree.tsv")]
    assert main(["matrix", "--name", "m", *words]) == 1
    assert "--delivery is needed" in capsys.readouterr().err
    assert main(["matrix", "--name", "m", *words, "--delivery", str(delivery)]) == 0
    assert read_facts(tmp_path / "m.parquet") == {"shared_out": ["A01"]}
    wide = pl.read_parquet(tmp_path / "m_wide.parquet").filter(funder="x")
    # Of x: text 1 has A01, text 3 has B01, text 4 has none.
    assert wide.select("20.1", "28.2", "28.3", "none", "not classifiable").row(0) == (0.25, 1.0, 0.75, 0.0, 0.0)
    apart = pl.read_parquet(tmp_path / "m_wide.parquet").filter(pl.col("funder").is_null())
    assert apart.select("20.1", "none", "not classifiable").row(0) == (0.0, 0.0, 1.0)


def test_predictions_without_the_column_are_all_classifiable(matrix):
    assert "classifiable" not in TEXTS.columns
    assert "not classifiable" not in matrix(unit="project")[1].columns


def test_csv_and_parquet_hold_the_same(matrix, tmp_path):
    long, wide = matrix(unit="project", by=["funder"])
    for table, name in ((long, "m.csv"), (wide, "m_wide.csv")):
        assert pl.read_csv(tmp_path / name).equals(table)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"by": ["county"]}, "has no column 'county'; of the table of texts it has document_id, project, funder, year"),
        (
            {"unit": "project", "by": ["document_id"]},
            "the unit 'p' has 2 values of 'document_id'; a unit must have one",
        ),
        ({"weight": "funder"}, "the column 'funder' has 'x', which is no weight: a number of at least 0"),
        ({"unit": "funder"}, "the column 'funder' is empty in some rows, which then belong to no unit"),
    ],
)
def test_what_is_wrong_is_one_sentence(matrix, tmp_path, capsys, options, sentence):
    assert matrix(**options) is None
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("m*.*")), "nothing is written"


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1,000", "", None])
def test_weights_are_numbers(matrix, capsys, value):
    texts = TEXTS.with_columns(money=pl.Series(["1", value, "1", "1", "1"]))
    assert matrix(texts, weight="money") is None
    assert f"the column 'money' has {value!r}, which is no weight" in capsys.readouterr().err


def test_a_column_that_matrices_add_cannot_name_rows(matrix, capsys):
    assert matrix(TEXTS.rename({"funder": "title"}), by=["title"]) is None
    assert "its column 'title' has the name of a column that matrices add" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"matrices": {"m": {"input": "old"}}},
            "matrices.m.input: prediction.inputs has no table 'old' (there is: new)",
        ),
        ({"matrices": {"m": {"input": "new", "level": "group"}}}, "matrices.m.level: 'group' is not a level"),
        ({"matrices": {"m_wide": {"input": "new"}}}, "choose another"),
        ({"matrices": {"m": {"by": ["year"]}}}, "matrices.m lacks the key 'input'"),
        ({"matrices": {"m": {"input": "new", "unti": "p"}}}, "unknown key 'matrices.m.unti'"),
        ({"matrices": {"m": {"input": "new"}}, "prediction": {"layout": "long"}}, "prediction.layout: wide"),
    ],
)
def test_configs_that_are_refused(tmp_path, capsys, config, sentence):
    prediction = {"inputs": {"new": "new.csv"}, **config.get("prediction", {})}
    path = config_file(tmp_path, **{**config, "prediction": prediction})
    assert main(["summary", "--config", str(path)]) == 1
    assert sentence in capsys.readouterr().err


def test_the_same_predictions_give_the_same_bytes(matrix, tmp_path):
    contents = []
    for _ in range(2):
        matrix(unit="project", by=["funder"])
        contents.append({path.name: path.read_bytes() for path in tmp_path.glob("m*.*")})
    assert contents[0] == contents[1]
    assert json.loads(contents[0]["m.provenance.json"])["options"]["matrix"]["by"] == ["funder"]
