"""Files between rules: whole or absent, the same bytes for the same content."""

import errno
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from ipcascade.core import files
from ipcascade.core.errors import UserError
from ipcascade.core.files import SCHEMA_VERSION, Kind
from ipcascade.core.tensors import save_tensors

# SHA-256 of "abc", from FIPS 180-2
OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]


def test_a_full_disk_is_one_sentence(tmp_path):
    sentence = r"out.bin could not be written: No space left on device"
    with pytest.raises(UserError, match=sentence), files.written_whole(tmp_path / "out.bin") as temporary:
        temporary.write_bytes(b"x")
        Path("/dev/full").write_bytes(b"x")
    assert not list(tmp_path.iterdir())


MEGABYTE = 1 << 20


@contextmanager
def no_file_above_a_megabyte() -> Iterator[None]:
    """As on a disk that fills up: writes fail in the middle, of whichever library."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def into_a_folder(write):
    def written(path):
        with files.folder_written_whole(path) as part:
            write(part)

    return written


NOISE = np.random.default_rng(0).random(MEGABYTE // 4)  # two megabytes that no compression makes smaller


@pytest.mark.parametrize(
    ("write", "inside"),
    [
        (lambda path: files.write_json(path, {"text": "x" * 2 * MEGABYTE}), ""),
        (lambda path: files.write_parquet(path, pl.DataFrame({"x": NOISE})), ""),
        (lambda path: save_tensors(path, {"x": torch.from_numpy(NOISE)}), ""),
        (into_a_folder(lambda part: (part / "x.bin").write_bytes(NOISE.tobytes())), ""),
        (into_a_folder(lambda part: files.write_json(part / "x.json", {"text": "x" * 2 * MEGABYTE})), "/x.json"),
    ],
    ids=["json", "parquet", "safetensors", "bytes in a folder", "json in a folder"],
)
def test_a_write_that_fails_in_the_middle_names_its_own_file(tmp_path, write, inside):
    with no_file_above_a_megabyte(), pytest.raises(UserError) as caught:
        write(tmp_path / "results")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/results{inside} could not be written: ") and "File too large" in message
    assert "\n" not in message and not list(tmp_path.iterdir())


def test_a_copy_that_finds_the_disk_full_names_the_copy(tmp_path):
    """Python's error names the source first."""
    (tmp_path / "source").write_bytes(NOISE.tobytes())
    sentence = r"model/copy could not be written: File too large"
    with (
        no_file_above_a_megabyte(),
        pytest.raises(UserError, match=sentence),
        files.folder_written_whole(tmp_path / "model") as part,
    ):
        shutil.copyfile(tmp_path / "source", part / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_error_of_another_file_is_not_taken_for_one_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent"), files.written_whole(tmp_path / "out") as temporary:
        temporary.write_text((tmp_path / "absent").read_text())
    with pytest.raises(PermissionError), files.folder_written_whole(tmp_path / "model"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/weights")
    sentence = r"out could not be made: Input/output error"
    with pytest.raises(UserError, match=sentence), files.written_whole(tmp_path / "out"):
        raise OSError(errno.EIO, "Input/output error")  # of a read or a write: it does not say
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("column", "kind", "words"),
    [
        (["x", None], Kind.TEXT, "has None in row 2, which is none of texts"),
        ([1, 2], Kind.TEXT, "holds Int64, not texts"),
        ([["x"], ["x", None]], Kind.LISTS, "has ['x', None] in row 2"),
        ([["x"], None], Kind.LISTS, "has None in row 2"),
        ([1.0, 2.0], Kind.INTEGER, "holds Float64, not whole numbers"),
        ([float("inf"), 1.0], Kind.NUMBER, "has inf in row 1"),
        ([1, 0], Kind.FLAG, "holds Int64, not true or false"),
    ],
)
def test_columns_are_of_their_kind(tmp_path, column, kind, words):
    path = tmp_path / "table"
    files.write_parquet(path, pl.DataFrame({"a": column}))
    with pytest.raises(UserError) as caught:
        files.read_parquet(path, {"a": kind})
    assert f"{path}: the column 'a' {words}" in str(caught.value) and "\n" not in str(caught.value)
    good = {Kind.TEXT: ["x"], Kind.LISTS: [["x"], []], Kind.INTEGER: [1], Kind.NUMBER: [0.5], Kind.FLAG: [True]}[kind]
    files.write_parquet(path, pl.DataFrame({"a": good}))
    assert files.read_parquet(path, {"a": kind})["a"].to_list() == good


def test_a_file_that_only_its_owner_may_read_gets_the_usual_permissions(tmp_path):
    with files.written_whole(tmp_path / "out.bin") as temporary:
        temporary.write_bytes(b"x")
        temporary.chmod(0o600)
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "out.bin").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "model"
    for content in ("one", "two"):
        with files.folder_written_whole(folder) as part:
            assert not list(part.iterdir()), "it begins empty"
            (part / content).write_text(content)
    assert [file.name for file in folder.iterdir()] == ["two"]
    with pytest.raises(RuntimeError), files.folder_written_whole(folder) as part:
        (part / "three").write_text("half")
        raise RuntimeError
    assert [file.name for file in folder.iterdir()] == ["two"]
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    sentence = r"model could not be written: Not a directory"
    with pytest.raises(UserError, match=sentence), files.folder_written_whole(tmp_path / "file" / "model"):
        pass


def test_parquet_has_the_same_bytes_twice_and_keeps_its_facts(tmp_path):
    frame = pl.DataFrame({"document_id": ["1", "2"], "labels": [["A"], []], "p": [0.5, 0.25]})
    facts = {"text": "abstract", "numbers": [1, 2], "umlaut": "ü"}
    for name in ("one", "two"):
        files.write_parquet(tmp_path / name, frame, facts)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert files.read_parquet(tmp_path / "one").equals(frame)
    assert files.read_facts(tmp_path / "one") == facts
    assert files.read_parquet(tmp_path / "one", ["p"]).columns == ["p"]


def test_files_hold_no_version_and_no_provenance(tmp_path):
    """Equal content has equal bytes, whichever version of the package wrote it."""
    files.write_parquet(tmp_path / "table", pl.DataFrame({"a": [1]}))
    files.write_json(tmp_path / "facts.json", {"a": 1})
    in_table = json.loads(pq.read_schema(tmp_path / "table").metadata[b"ipcascade"])
    in_json = json.loads((tmp_path / "facts.json").read_text())
    assert in_table == {"schema_version": SCHEMA_VERSION}
    assert in_json == {"a": 1, "schema_version": SCHEMA_VERSION}


def test_a_table_of_another_schema_version_is_refused(tmp_path):
    files.write_parquet(tmp_path / "table", pl.DataFrame({"a": [1]}))
    table = pq.read_table(tmp_path / "table")
    pq.write_table(table.replace_schema_metadata({b"ipcascade": b'{"schema_version": 1}'}), tmp_path / "old")
    pq.write_table(table.replace_schema_metadata({}), tmp_path / "strange")
    for name in ("old", "strange"):
        with pytest.raises(UserError, match=f"{name} is not a table of ipcascade's schema version {SCHEMA_VERSION}"):
            files.read_facts(tmp_path / name)


def test_checksums_of_files_and_folders(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    assert files.file_checksum(tmp_path / "in") == OF_ABC
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "weights").write_bytes(b"abc")
    before = files.folder_checksum(folder)
    for name in ("provenance.json", ".hidden"):
        (folder / name).write_text("{}")
    assert files.folder_checksum(folder) == before, "provenance and hidden files are no part of the content"
    (folder / "weights").rename(folder / "renamed")
    assert files.folder_checksum(folder) != before


@pytest.mark.parametrize(
    ("changed", "facts"),
    [
        (pl.DataFrame({"a": [1, 2], "l": [["x"], ["z"]]}), {"f": 1}),
        (pl.DataFrame({"b": [1, 2], "l": [["x"], []]}), {"f": 1}),
        (pl.DataFrame({"a": [1.0, 2.0], "l": [["x"], []]}), {"f": 1}),
        (pl.DataFrame({"a": [2, 1], "l": [[], ["x"]]}), {"f": 1}),
        (pl.DataFrame({"a": [1, 2], "l": [["x"], []]}), {"f": 2}),
    ],
    ids=["value", "name", "type", "order", "facts"],
)
def test_a_table_checksum_is_of_the_content(tmp_path, changed, facts):
    frame = pl.DataFrame({"a": [1, 2], "l": [["x"], []]})
    files.write_parquet(tmp_path / "one", frame, {"f": 1})
    files.write_parquet(tmp_path / "two", changed, facts)
    assert files.table_checksum(tmp_path / "one") != files.table_checksum(tmp_path / "two")


def test_a_table_checksum_does_not_depend_on_how_it_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_ROWS_HASHED_AT_ONCE", 300)
    lists = [["x"] * (number % 3) for number in range(1000)]
    frame = pl.DataFrame(
        {"a": range(1000), "text": [f"text {n}" for n in range(1000)], "l": lists, "b": [True, None] * 500}
    )
    files.write_parquet(tmp_path / "one", frame, {"f": 1})
    table = pq.read_table(tmp_path / "one")
    pq.write_table(table, tmp_path / "two", compression="snappy", use_dictionary=False)
    pq.write_table(table, tmp_path / "three", compression="zstd", row_group_size=70)
    assert files.file_checksum(tmp_path / "one") != files.file_checksum(tmp_path / "two")
    assert len({files.table_checksum(tmp_path / name) for name in ("one", "two", "three")}) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not valid JSON"),
        (b"\xff", "is not valid JSON"),
        ('{"schema_version": 99}', f"of schema version {SCHEMA_VERSION}"),
        ("[]", "schema version"),
    ],
)
def test_a_broken_json_file_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "facts.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=sentence):
        files.read_json(path)
    with pytest.raises(UserError, match="does not exist"):
        files.read_json(tmp_path / "absent.json")


def test_numbers_that_json_does_not_have_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "facts.json", {"f1": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_missing_column_or_broken_table_is_one_sentence(tmp_path):
    files.write_parquet(tmp_path / "table", pl.DataFrame({"a": [1]}))
    with pytest.raises(UserError, match="lacks the column 'b'; it has a"):
        files.read_parquet(tmp_path / "table", ["b"])
    (tmp_path / "table").write_bytes(b"PAR1 no more")
    for read in (files.read_parquet, files.read_facts, files.table_checksum):
        with pytest.raises(UserError, match="not a readable Parquet file"):
            read(tmp_path / "table")
        with pytest.raises(UserError, match="does not exist"):
            read(tmp_path / "absent")
