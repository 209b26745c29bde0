"""Files between rules: Parquet tables, JSON and provenance, each written whole or not at all.

What a file holds and what it was made of are kept apart: provenance goes into a file of its own beside it
(corpus.parquet, corpus.provenance.json). So equal content has equal bytes, whichever version, folder or option made it,
and whatever depends on it stays as it is.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError

SCHEMA_VERSION = 2
_METADATA_KEY = b"ipcascade"
_ROWS_HASHED_AT_ONCE = 1 << 16


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it to `path` when the block ends well, remove it otherwise.

    Raises UserError where the operating system refuses to write it; other errors of the block pass.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())  # safetensors writes files that only their owner may read
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Give a new, empty folder beside `folder`; move it to `folder` when the block ends well, remove it otherwise."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _writing(folder):
            part.mkdir(parents=True)
            yield part
            shutil.rmtree(folder, ignore_errors=True)
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror or error}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def folder_checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files, without provenance."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        if not path.name.endswith("provenance.json"):
            digest.update(f"{path.name} {file_checksum(path)}\n".encode())
    return digest.hexdigest()


def table_checksum(path: Path) -> str:
    """SHA-256 over a Parquet table's columns, values and facts: the same whichever version of pyarrow wrote it.

    Raises UserError where the table cannot be read.
    """
    digest = hashlib.sha256(dump_json(read_facts(path)).encode())
    with _open_table(path) as file:
        digest.update(str(file.schema_arrow.remove_metadata()).encode())
        for batch in _equal_batches(file, _ROWS_HASHED_AT_ONCE):
            digest.update(batch.replace_schema_metadata().serialize())
    return digest.hexdigest()


def _equal_batches(file: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of so many rows, but for the last one: `iter_batches` also ends one where a row group ends."""
    pending = file.schema_arrow.empty_table()
    for batch in file.iter_batches(batch_size=rows):
        pending = pa.concat_tables([pending, pa.Table.from_batches([batch])])
        if len(pending) >= rows:
            yield _as_batch(pending.slice(0, rows))
            pending = pending.slice(rows)
    yield _as_batch(pending)


def _as_batch(table: pa.Table) -> pa.RecordBatch:
    """One batch of newly allocated buffers: in those of a file, what is stored where a value is null is undefined."""
    (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    return batch.take(pa.array(range(len(table))))


def dump_json(value: Any) -> str:
    """JSON text with sorted keys and a final newline; raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write content, with `schema_version` beside it."""
    with written_whole(path) as temporary:
        temporary.write_text(dump_json({**content, "schema_version": SCHEMA_VERSION}), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that `write_json` wrote. Raises UserError where it is absent, broken or of another schema."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path} is not an ipcascade file of schema version {SCHEMA_VERSION}; delete it and make it again"
        )
    return content


def write_parquet(path: Path, frame: pl.DataFrame, facts: Mapping[str, Any] | None = None) -> None:
    """Write a table as zstd Parquet; `facts` (JSON-able) belong to its content and travel in its metadata."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(table_metadata(facts or {})), temporary, compression="zstd")


def table_metadata(facts: Mapping[str, Any]) -> dict[bytes, bytes]:
    """The metadata of a Parquet table with these facts, for a table that is written piece by piece."""
    content = json.dumps({**facts, "schema_version": SCHEMA_VERSION}, sort_keys=True, ensure_ascii=False)
    return {_METADATA_KEY: content.encode()}


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of a table that `write_parquet` wrote. Raises UserError where it is absent, or not such a table."""
    with _open_table(path) as file:
        metadata = file.schema_arrow.metadata or {}
    facts = json.loads(metadata.get(_METADATA_KEY, b"{}"))
    if facts.pop("schema_version", None) != SCHEMA_VERSION:
        raise UserError(
            f"{path} is not a table of ipcascade's schema version {SCHEMA_VERSION}; delete it and make it again"
        )
    return facts


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table, or only some columns of it. Raises UserError where it is absent, broken or lacks a column."""
    with _open_table(path) as file:
        missing = [name for name in columns or () if name not in file.schema_arrow.names]
        if missing:
            raise UserError(f"{path} lacks the column {missing[0]!r}; it has {', '.join(file.schema_arrow.names)}")
        frame = pl.from_arrow(file.read(columns=list(columns) if columns is not None else None))
    assert isinstance(frame, pl.DataFrame)
    return frame


@contextmanager
def _open_table(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
