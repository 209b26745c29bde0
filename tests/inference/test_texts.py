"""New texts: every row is accounted for, the path is the one that was given, and types are not guessed."""

import datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ipcascade.core.errors import UserError
from support import read_texts

ROWS = [{"document_id": "1", "text": "a pump"}, {"document_id": "02", "text": "two\nlines"}]


def written(path, content):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", ["new.csv", "NEW.CSV", "new.Csv"])
def test_csv(tmp_path, name):
    path = written(tmp_path / name, '\ufeffnote,text,document_id\r\n"5"" pipe",a pump,1\r\n,"two\nlines",02\r\n')
    assert read_texts(path).to_dicts() == ROWS
    assert read_texts(path).columns == ["document_id", "text"]


@pytest.mark.parametrize("name", ["new.parquet", "NEW.PARQUET"])
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_parquet_with_any_kind_of_text(tmp_path, name, kind):
    table = pa.table({"text": [row["text"] for row in ROWS], "document_id": ["1", "02"], "note": [1.5, None]})
    columns = [table["text"].cast(kind), table["document_id"].cast(kind), table["note"]]
    pq.write_table(pa.table(columns, names=table.column_names), tmp_path / name)
    assert read_texts(tmp_path / name).to_dicts() == ROWS


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64()])
def test_ids_may_be_whole_numbers(tmp_path, kind):
    pq.write_table(pa.table({"document_id": pa.array([7, 12], kind), "text": ["a", "b"]}), tmp_path / "new.parquet")
    assert read_texts(tmp_path / "new.parquet")["document_id"].to_list() == ["7", "12"]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([1.0, 2.0], "double"),
        ([{"a": 1}, {"a": 2}], "struct"),
        ([["1"], ["2"]], "list"),
        ([b"1", b"2"], "binary"),
        ([True, False], "bool"),
        ([datetime.date(2001, 2, 3)] * 2, "date32"),
        ([datetime.datetime(2001, 2, 3)] * 2, "timestamp"),
        ([Decimal("1.5"), Decimal("2.5")], "decimal"),
    ],
)
def test_ids_and_texts_of_other_types_are_refused(tmp_path, ids, kind):
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table({"document_id": ids, "text": ["a", "b"]}), path)
    with pytest.raises(
        UserError, match=rf"new.parquet: the column 'document_id' holds {kind}.*; store it as text or wh"
    ):
        read_texts(path)
    pq.write_table(pa.table({"document_id": ["a", "b"], "text": ids}), path)
    with pytest.raises(UserError, match=rf"new.parquet: the column 'text' holds {kind}.*; store it as text"):
        read_texts(path)


def test_numbers_are_no_texts(tmp_path):
    pq.write_table(pa.table({"document_id": ["1"], "text": [5]}), tmp_path / "new.parquet")
    with pytest.raises(UserError, match="the column 'text' holds int64; store it as text"):
        read_texts(tmp_path / "new.parquet")


@pytest.mark.parametrize("name", ["new[1]", "new?", "new*", "{new}", "a b", "%s", "new~", "http:", "s3:"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("place", ["folder", "file"])
def test_the_path_is_taken_as_it_is(tmp_path, name, ending, place):
    path = tmp_path / name / f"new.{ending}" if place == "folder" else tmp_path / f"{name}.{ending}"
    others = [tmp_path / f"{other}.{ending}" for other in ("new1", "newx", "new", "other")]
    path.parent.mkdir(exist_ok=True)
    for number, file in enumerate([path, *others]):
        table = pl.DataFrame({"document_id": [str(number)], "text": ["a pump"]})
        table.write_csv(file) if ending == "csv" else pq.write_table(table.to_arrow(), str(file))
    assert read_texts(path)["document_id"].to_list() == ["0"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('document_id,text\nd1,"A 5" pipe"\nd2,"A 6" flange"\nd3,a\n', "line 2: ' pipe\"' follows a closing quote"),
        ('document_id,text,note\nd1,a,fits 5" pipe\nd2,b,\n', "line 2: a quote inside a value that does not begin"),
        ('document_id,text\nd1,"two\nlines"\nd2,\n', "line 4: text is missing"),
        ('document_id,text\n\nd1,a\nd2,""\n', "line 4: text is missing"),
        ('document_id,text\nd1,a\nd2,"  \t"\n', "line 3: text is missing"),
        ("document_id,text\nd1,a\n,b\n", "line 3: document_id is missing"),
        ('document_id,text\nd1,a\n"",b\n', "line 3: document_id is missing"),
        ('document_id,text\nd1,"two\nlines"\nd2,b\nd1,c\n', "line 5: the document_id 'd1' is there more than once"),
        ("document_id,text\nd1\n", "line 2: 1 columns where the header has 2"),
        ("document_id,text\n", "has no rows"),
        ("id,text\nd1,a\n", "has no column 'document_id'; its header has 'id, text'"),
        ("document_id;text\nd1;a\n", "commas must separate the columns"),
        (b"document_id,text\nd1,caf\xe9\n", "line 2: text is not valid UTF-8"),
        ("", "is empty"),
    ],
)
def test_csv_that_is_refused(tmp_path, content, sentence):
    with pytest.raises(UserError) as error:
        read_texts(written(tmp_path / "new.csv", content))
    assert str(error.value).startswith(str(tmp_path / "new.csv")) and sentence in str(error.value)


@pytest.mark.parametrize(
    ("ids", "texts", "sentence"),
    [
        (["1", None], ["a", "b"], "row 2: document_id is missing"),
        (["1", "2"], ["a", " "], "row 2: text is missing"),
        (["1", "2", "1"], ["a", "b", "c"], "row 3: the document_id '1' is there more than once"),
    ],
)
def test_parquet_that_is_refused(tmp_path, ids, texts, sentence):
    pq.write_table(pa.table({"document_id": ids, "text": texts}), tmp_path / "new.parquet")
    with pytest.raises(UserError, match=f"new.parquet, {sentence}"):
        read_texts(tmp_path / "new.parquet")


def test_parquet_with_a_column_twice_or_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table([["1"], ["2"], ["a"]], names=["document_id", "document_id", "text"]), path)
    with pytest.raises(UserError, match="has the column 'document_id' 2 times"):
        read_texts(path)
    not_text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"]).buffers())
    pq.write_table(pa.table({"document_id": ["1"], "text": not_text}), path)
    with pytest.raises(UserError, match=r"could not be read: .*UTF8"):
        read_texts(path)


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet", "folder.csv", "folder.parquet", "broken.parquet"])
def test_files_that_cannot_be_read(tmp_path, name):
    written(tmp_path / "broken.parquet", b"PAR1 and nothing else")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(UserError, match=rf"{name}( could not be read|: cannot be read| does not exist)"):
        read_texts(tmp_path / name)
