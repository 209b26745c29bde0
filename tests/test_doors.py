"""Files between rules: whole or absent, the same bytes for the same content."""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from ipcascade import doors
from ipcascade.errors import UserError


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), doors.written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]


def test_a_full_disk_is_one_sentence(tmp_path):
    sentence = r"out.bin could not be written: No space left on device"
    with pytest.raises(UserError, match=sentence), doors.written_whole(tmp_path / "out.bin") as temporary:
        temporary.write_bytes(b"x")
        Path("/dev/full").write_bytes(b"x")
    assert not list(tmp_path.iterdir())


def test_parquet_has_the_same_bytes_twice_and_carries_its_origin(tmp_path):
    frame = pl.DataFrame({"document_id": ["1", "2"], "labels": [["A"], []], "p": [0.5, 0.25]})
    made_of = doors.provenance({"seed": 1}, {})
    for name in ("one", "two"):
        doors.write_parquet(tmp_path / name, frame, made_of)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert doors.read_parquet(tmp_path / "one").equals(frame)
    metadata = json.loads(pq.read_schema(tmp_path / "one").metadata[b"ipcascade"])
    assert metadata["provenance"] == made_of
    assert doors.read_parquet(tmp_path / "one", ["p"]).columns == ["p"]


def test_provenance_holds_checksums(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    made_of = doors.provenance({"seed": 1}, {"corpus": tmp_path / "in"})
    # SHA-256 of "abc", from FIPS 180-2
    assert made_of["inputs"]["corpus"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "is not valid JSON"), ('{"schema_version": 99}', "of schema version 1"), ("[]", "schema version")],
)
def test_a_broken_json_file_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "facts.json"
    path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        doors.read_json(path)
    with pytest.raises(UserError, match="does not exist"):
        doors.read_json(tmp_path / "absent.json")


def test_a_missing_column_or_broken_table_is_one_sentence(tmp_path):
    doors.write_parquet(tmp_path / "table", pl.DataFrame({"a": [1]}), {})
    with pytest.raises(UserError, match="lacks the column 'b'; it has a"):
        doors.read_parquet(tmp_path / "table", ["b"])
    (tmp_path / "table").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match="not a readable parquet file"):
        doors.read_parquet(tmp_path / "table")
