"""Tables of any size: in blocks, in parts that a killed run leaves, to Parquet and CSV, wide and long."""

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import write_provenance
from ipcascade.inference import labelling, texts
from ipcascade.inference.labelling import label_table, rows_of_share
from ipcascade.inference.options import PredictionOptions
from ipcascade.inference.prediction import Prediction
from ipcascade.inference.texts import TextTable

TREE = LabelTree(
    ("section", "class"), (2, 3), ("A", "B", "A01", "A02", "B01"), (-1, -1, 0, 0, 1), ("a", "b", "c", "d", "e")
)
BLOCK = 8


class Killed(Exception):
    pass


class Classifier:
    """Probabilities that follow from a text alone, as those of the real one do."""

    tree = TREE

    def __init__(self, calls: int | None = None, neighbours: bool = True) -> None:
        self.calls, self.neighbours, self.seen = calls, neighbours, []

    def predict(self, found, named, advance):
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                raise Killed
        self.seen += found
        lengths = np.array([len(text) for text in found])[:, None]
        probabilities = ((lengths * np.arange(1, 6)) % 11 / 11).astype(np.float32)
        predicted = TREE.close(probabilities > 0.7)
        advance(len(found))
        ids = [[f"n{len(text)}"] * named for text in found]
        return Prediction(
            predicted, probabilities, TREE, np.zeros(len(found), np.float32),
            ids if self.neighbours else None,
            np.full((len(found), named), 0.5, np.float32) if self.neighbours else None,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(texts, "BLOCK_ROWS", BLOCK)
    monkeypatch.setattr(labelling, "BLOCK_ROWS", BLOCK)


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "funder": [None if n % 5 == 0 else f"f{n % 3}" for n in range(count)],
            "document_id": [f"d{n}" for n in range(count)],
            "text": ["x" * (n % 13 + 1) for n in range(count)],
            "money": [n / 2 for n in range(count)],
        }
    )


def written(path: Path, table: pl.DataFrame) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(table.write_csv().encode()))
    elif path.suffix == ".csv":
        table.write_csv(path)
    elif path.suffix == ".parquet":
        table.write_parquet(path, row_group_size=7)
    else:
        path.mkdir()
        table.head(11).write_parquet(path / "a.parquet")
        table.slice(11).write_parquet(path / "b.parquet")
    return path


def labelled(path, target, classifier=None, made_of=None, seconds=0.0, **options):
    classifier = classifier or Classifier()
    table = TextTable.open(path)
    share = options.pop("share", (1, 1))
    label_table(table, classifier, PredictionOptions(**options), target, made_of or {"model": 1}, share, seconds)
    return classifier


SOURCES = ["new.csv", "new.csv.gz", "NEW.parquet", "folder"]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 43])
def test_every_row_has_its_labels_and_keeps_its_columns(tmp_path, name, count):
    if name == "folder" and count < 12:
        pytest.skip("two files need more rows")
    source = rows(count)
    classifier = labelled(written(tmp_path / name, source), tmp_path / "p.parquet")
    assert classifier.seen == source["text"].to_list(), "each text once, in order"
    found = pl.read_parquet(tmp_path / "p.parquet")
    assert found.columns == [
        "document_id", "funder", "money", "section", "class", "confidence", "classifiable", "cut_off", "neighbours",
        "similarity", *TREE.labels,
    ]  # fmt: skip
    assert found["document_id"].to_list() == source["document_id"].to_list()
    whole = Classifier().predict(source["text"].to_list(), 5, lambda count: None)
    assert np.array_equal(found.select(TREE.labels).to_numpy(), whole.probabilities)
    for row, labels in zip(found.select("section", "class").iter_rows(), whole.labels, strict=True):
        assert {code for codes in row for code in codes} == {label.code for label in labels}
    if ".csv" in name:
        assert found["funder"].to_list() == [value or "" for value in source["funder"]]
        assert found["money"].cast(pl.Float64).to_list() == source["money"].to_list()
    else:
        assert found.select("funder", "money").equals(source.select("funder", "money"))


@pytest.mark.parametrize("layout", ["wide", "long"])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("name", ["new.csv", "folder"])
@pytest.mark.parametrize("calls", [0, 1, 3, 5])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, name, ending, layout, calls):
    source = written(tmp_path / name, rows(43))
    labelled(source, tmp_path / f"whole.{ending}", seconds=1e9, layout=layout)
    with pytest.raises(Killed):
        labelled(source, tmp_path / f"p.{ending}", Classifier(calls), layout=layout)
    assert not (tmp_path / f"p.{ending}").exists()
    second = labelled(source, tmp_path / f"p.{ending}", layout=layout)
    assert len(second.seen) == 43 - calls * BLOCK, "what was labelled is not labelled again"
    assert (tmp_path / f"p.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"p.{ending}", f"whole.{ending}"}, "no part stays"


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 9])
def test_shares_of_any_number_give_the_same_bytes(tmp_path, count, ending):
    source = written(tmp_path / "new.parquet", rows(43))
    labelled(source, tmp_path / f"whole.{ending}")
    shares = [tmp_path / f"{number}.parquet" for number in range(1, count + 1)]
    seen = []
    for number, share in enumerate(shares, start=1):
        seen += labelled(source, share, share=(number, count)).seen
    assert seen == rows(43)["text"].to_list()
    joined = ["join_predictions", "--shares", *map(str, shares), "--predictions", str(tmp_path / f"p.{ending}")]
    for share in shares:
        write_provenance(share, {}, {})
    assert main(joined) == 0
    assert (tmp_path / f"p.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


def test_a_killed_share_goes_on(tmp_path):
    source = written(tmp_path / "new.parquet", rows(43))
    labelled(source, tmp_path / "whole.parquet", share=(2, 2))
    with pytest.raises(Killed):
        labelled(source, tmp_path / "p.parquet", Classifier(1), share=(2, 2))
    assert len(labelled(source, tmp_path / "p.parquet", share=(2, 2)).seen) == 43 - 24 - 8
    assert (tmp_path / "p.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("rows_", [1, 8, 9, 100, 4099])
@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_shares_are_all_blocks_once_and_of_equal_size(rows_, count):
    ranges = [rows_of_share(rows_, (number, count)) for number in range(1, count + 1)]
    assert ranges[0][0] == 0 and ranges[-1][1] == rows_
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges))
    assert all(first % BLOCK == 0 or first == rows_ for first, _ in ranges)
    blocks = [-(-(stop - first) // BLOCK) for first, stop in ranges]
    assert max(blocks) - min(blocks) <= 1


def test_parts_of_another_model_are_not_used(tmp_path):
    source = written(tmp_path / "new.csv", rows(43))
    with pytest.raises(Killed):
        labelled(source, tmp_path / "p.parquet", Classifier(3), {"model": 1})
    assert len(labelled(source, tmp_path / "p.parquet", made_of={"model": 2}).seen) == 43


def test_a_part_that_is_missing_between_others_is_made_again(tmp_path):
    source = written(tmp_path / "new.csv", rows(43))
    with pytest.raises(Killed):
        labelled(source, tmp_path / "p.parquet", Classifier(3))
    (tmp_path / ".p.parquet.parts" / f"{8:012d}-{16:012d}.parquet").unlink()
    assert len(labelled(source, tmp_path / "p.parquet", seconds=1e9).seen) == 43 - 8
    assert pl.read_parquet(tmp_path / "p.parquet")["document_id"].to_list() == rows(43)["document_id"].to_list()


def test_parts_are_as_long_as_the_time_says(tmp_path, monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(labelling.time, "monotonic", lambda: next(now) * 10.0)
    monkeypatch.setattr(labelling, "Progress", Quiet)
    monkeypatch.setattr(texts, "Progress", Quiet)
    source = written(tmp_path / "new.csv", rows(43))
    with pytest.raises(Killed):
        labelled(source, tmp_path / "p.parquet", Classifier(5), seconds=20)
    names = sorted(path.name for path in (tmp_path / ".p.parquet.parts").glob("*-*.parquet"))
    assert names == [f"{0:012d}-{16:012d}.parquet", f"{16:012d}-{32:012d}.parquet"]


class Quiet:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, count):
        pass


def test_long_tables_have_a_row_per_label_above_the_floor_or_predicted(tmp_path):
    source = rows(30)
    labelled(written(tmp_path / "new.csv", source), tmp_path / "p.parquet", layout="long", floor=0.5)
    found = pl.read_parquet(tmp_path / "p.parquet")
    assert found.columns == ["document_id", "level", "label", "probability", "predicted", "classifiable"]
    whole = Classifier().predict(source["text"].to_list(), 5, lambda count: None)
    expected = []
    for document_id, values, predicted in zip(source["document_id"], whole.probabilities, whole.predicted, strict=True):
        kept = [column for column in range(5) if values[column] >= 0.5 or predicted[column]]
        kept.sort(key=lambda column: (-values[column], column))
        expected += [
            (document_id, "section" if column < 2 else "class", TREE.labels[column], values[column], predicted[column])
            for column in kept
        ]
    assert found.drop("classifiable").rows() == expected
    assert any(not predicted for *_, predicted in expected)
    assert any(value < 0.5 for *_, value, _ in expected), "an ancestor that is brought along"


def test_a_csv_holds_what_the_parquet_file_holds(tmp_path):
    source = written(tmp_path / "new.csv", rows(20))
    labelled(source, tmp_path / "p.csv")
    labelled(source, tmp_path / "p.parquet")
    with (tmp_path / "p.csv").open(newline="") as content:
        read = list(csv.DictReader(content))
    for row, expected in zip(read, pl.read_parquet(tmp_path / "p.parquet").iter_rows(named=True), strict=True):
        assert row["class"] == ";".join(expected["class"]) and row["neighbours"] == ";".join(expected["neighbours"])
        assert np.float32(row["A01"]) == np.float32(expected["A01"])


@pytest.mark.parametrize("name", ["class", "A01", "confidence", "similarity"])
def test_a_column_that_has_the_name_of_a_prediction_is_refused_in_wide_tables(tmp_path, name):
    source = written(tmp_path / "new.csv", rows(3).rename({"money": name}))
    with pytest.raises(UserError, match=f"its column '{name}' has the name of a column of the predictions"):
        labelled(source, tmp_path / "p.parquet")
    labelled(source, tmp_path / "p.parquet", layout="long")


def test_without_neighbours_there_are_no_columns_of_them(tmp_path):
    labelled(written(tmp_path / "new.csv", rows(3)), tmp_path / "p.parquet", Classifier(neighbours=False))
    assert not {"neighbours", "similarity"} & set(pl.read_parquet(tmp_path / "p.parquet").columns)


def test_a_fault_in_the_last_row_is_told_before_anything_is_labelled(tmp_path):
    table = rows(43).with_columns(text=pl.when(pl.col("document_id") == "d42").then(pl.lit(" ")).otherwise("text"))
    classifier = Classifier()
    with pytest.raises(UserError, match="line 44: text is missing"):
        labelled(written(tmp_path / "new.csv", table), tmp_path / "p.parquet", classifier)
    assert not classifier.seen and {path.name for path in tmp_path.iterdir()} == {"new.csv"}


@pytest.mark.parametrize("name", SOURCES)
def test_an_id_that_is_there_twice_far_apart_is_found(tmp_path, name, monkeypatch):
    monkeypatch.setattr(texts, "HASHES_AT_ONCE", 10)
    table = rows(43).with_columns(
        document_id=pl.when(pl.col("document_id") == "d40").then(pl.lit("d2")).otherwise("document_id")
    )
    place = {"folder": "b.parquet, row 30", "NEW.parquet": "row 41"}.get(name, "line 42")
    with pytest.raises(UserError, match=f"{place}: the document_id 'd2' is there more than once"):
        TextTable.open(written(tmp_path / name, table)).check()


def test_equal_hashes_alone_are_no_proof(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "_hashes", lambda ids: np.zeros(len(ids), dtype=np.uint64))
    assert TextTable.open(written(tmp_path / "new.csv", rows(43))).check() == 43


def test_a_damaged_gzip_file_is_one_sentence(tmp_path):
    path = written(tmp_path / "new.csv.gz", rows(2000))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UserError, match=r"new.csv.gz, after line \d+: cannot be read"):
        TextTable.open(path).check()
    path.write_bytes(b"no gzip")
    with pytest.raises(UserError, match=r"new.csv.gz.*cannot be read"):
        TextTable.open(path).check()


def test_files_of_a_folder_must_be_alike(tmp_path):
    folder = written(tmp_path / "folder", rows(20))
    rows(5).drop("money").write_parquet(folder / "c.parquet")
    with pytest.raises(UserError, match=r"c\.parquet has other columns than .*a\.parquet"):
        TextTable.open(folder)


def test_other_files_of_a_folder_do_not_matter(tmp_path):
    folder = written(tmp_path / "folder", rows(20))
    for name in ("_metadata.parquet", ".hidden.parquet", "readme.txt"):
        (folder / name).write_text("x")
    assert TextTable.open(folder).check() == 20


def test_a_table_is_read_a_block_at_a_time(tmp_path):
    """Whatever the row groups of the file are."""
    rows(50).write_parquet(tmp_path / "new.parquet", row_group_size=50)
    table = TextTable.open(tmp_path / "new.parquet")
    assert [len(block) for block in table.blocks()] == [8] * 6 + [2]
    assert [len(block) for block in table.blocks(16)] == [8] * 4 + [2]
    assert pq.ParquetFile(tmp_path / "new.parquet").num_row_groups == 1
