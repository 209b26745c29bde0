"""Files between rules: Parquet tables, JSON and provenance, each written whole or not at all.

What a file holds and what it was made of are kept apart: provenance goes into a file of its own beside it
(corpus.parquet, corpus.provenance.json). So equal content has equal bytes, whichever version, folder or option made it,
and whatever depends on it stays as it is.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from ipcascade.core.errors import UserError

SCHEMA_VERSION = 2
MAKE_AGAIN = "the file is damaged, was edited or is of another version: delete it and make it again"
_METADATA_KEY = b"ipcascade"
_ROWS_HASHED_AT_ONCE = 1 << 16
# What the operating system says of a write alone, never of a read: disk full, quota used up, file or disk too small.
_OF_WRITES = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))
_LONGEST_VALUE = 60  # characters of a wrong value that a message shows


class Kind(Enum):
    """What a column of a table holds; in no kind a value may be missing, and numbers are finite."""

    TEXT = "texts"
    LISTS = "lists of texts"
    INTEGER = "whole numbers"
    NUMBER = "numbers"
    FLAG = "true or false"

    def fits(self, dtype: pl.DataType) -> bool:
        """Whether a column of this type can hold such values."""
        match self:
            case Kind.TEXT:
                return dtype == pl.String
            case Kind.LISTS:
                return dtype == pl.List(pl.String)
            case Kind.INTEGER:
                return dtype.is_integer()
            case Kind.NUMBER:
                return dtype.is_float()
            case Kind.FLAG:
                return dtype == pl.Boolean


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it to `path` when the block ends well, remove it otherwise.

    Raises UserError where the operating system refuses to write it; other errors of the block pass, also those of
    other files.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _writing(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())  # safetensors writes files that only their owner may read
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Give a new, empty folder beside `folder`; move it to `folder` when the block ends well, remove it otherwise.

    Raises UserError as `written_whole` does.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _writing(folder, part):
            part.mkdir(parents=True)
            yield part
            shutil.rmtree(folder, ignore_errors=True)
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _writing(path: Path, temporary: Path) -> Iterator[None]:
    """Turn what the operating system refuses of `path`, which is written as `temporary`, into a UserError."""
    try:
        yield
    except OSError as error:
        named = [Path(name) for name in (error.filename, error.filename2) if isinstance(name, str | Path)]
        ours = [name for name in named if name in (temporary, path, *path.parents) or temporary in name.parents]
        is_write = error.errno in _OF_WRITES
        # Of a copy that finds the disk full, Python names the source first.
        if named and named[0] not in ours and not (ours and is_write):
            raise
        inside = next((name.relative_to(temporary) for name in ours if temporary in name.parents), Path())
        # What fails after a file was opened names none. Only a write finds the disk full; others may be of a read.
        verb = "written" if named or is_write else "made"
        # Where a folder should be made and a file is there, Python says only that something exists.
        is_file = isinstance(error, FileExistsError) and named and named[0].is_file()
        reason = os.strerror(errno.ENOTDIR if is_file else error.errno) if error.errno else error
        raise UserError(f"{final_path(path / inside)} could not be {verb}: {reason}") from error


def final_path(path: Path) -> Path:
    """Where a file will be whose folder is written whole: results/.tokens.part/ids.bin is results/tokens/ids.bin."""
    return Path(*(re.sub(r"^\.(.+)\.part$", r"\1", name) for name in path.parts))


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


def read_json(path: Path, schema: type[BaseModel] | None = None) -> dict[str, Any]:
    """Read a JSON file that `write_json` wrote, and check it against its schema, without `schema_version`.

    Raises UserError, naming the key, where it is absent, broken, of another schema version or not as the schema says.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid JSON: {error}; {MAKE_AGAIN}") from None
    content = parse_json(text, str(path))
    if content.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path} is not an ipcascade file of schema version {SCHEMA_VERSION}; delete it and make it again"
        )
    if schema is not None:
        check_content(schema, {key: value for key, value in content.items() if key != "schema_version"}, str(path))
    return content


def parse_json(text: str | bytes, where: str) -> dict[str, Any]:
    """A JSON object. Raises UserError, saying where it is, for anything else, NaN and infinities, and a double key."""
    try:
        content = json.loads(text, object_pairs_hook=without_double_keys)
        wrong = next(_not_plain(content), None)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number of thousands of digits, too deep
        raise UserError(f"{where} is not valid JSON: {error}; {MAKE_AGAIN}") from None
    if wrong is not None:
        raise UserError(f"{where}: {wrong}; {MAKE_AGAIN}")
    if not isinstance(content, dict):
        raise UserError(f"{where} holds no JSON object, so no schema version {SCHEMA_VERSION}; {MAKE_AGAIN}")
    return content


def without_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object from its pairs, for `json`. Raises ValueError for a key that is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _not_plain(value: Any, place: str = "") -> Iterator[str]:
    """Sentences on numbers that JSON does not have, and texts that cannot be written."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _not_plain(key, "a key")
                yield from _not_plain(inner, f"{place}.{key}" if place else key)
        case list():
            for number, inner in enumerate(value):
                yield from _not_plain(inner, f"{place}.{number}" if place else str(number))
        case float() if not math.isfinite(value):
            yield f"{place} is {value}, which is not a finite number"
        case str() if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            yield f"{place} is {value!r}, which is not valid text"


def check_content(schema: type[BaseModel], content: Any, where: str, prefix: str = "") -> None:
    """Raise UserError, saying where it is and naming the key, for content that is not as a schema says.

    prefix: the key of the content itself, where it is a part of a file.
    """
    try:
        schema.model_validate(content, strict=True)
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        key = ".".join(str(part) for part in (*([prefix] if prefix else ()), *first["loc"]))
        shown = _shown(first["input"])
        what = {
            "missing": f"lacks the key {key!r}",
            "extra_forbidden": f"has the unknown key {key!r}",
        }.get(first["type"], f"has {shown} as {key or 'its content'!r}: {first['msg'][0].lower()}{first['msg'][1:]}")
        raise UserError(f"{where} {what}; {MAKE_AGAIN}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


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
    facts = parse_json(metadata.get(_METADATA_KEY, b"{}"), f"the metadata of {path}")
    if facts.pop("schema_version", None) != SCHEMA_VERSION:
        raise UserError(
            f"{path} is not a table of ipcascade's schema version {SCHEMA_VERSION}; delete it and make it again"
        )
    return facts


def column_names(path: Path) -> list[str]:
    """The names of a table's columns. Raises UserError where it is absent or broken."""
    with _open_table(path) as file:
        return file.schema_arrow.names


def read_parquet(path: Path, columns: Sequence[str] | Mapping[str, Kind] | None = None) -> pl.DataFrame:
    """Read a table, or only some columns of it; with their kinds, checked by `check_columns`.

    Raises UserError where it is absent, broken or lacks a column, or where one is not of its kind.
    """
    with _open_table(path) as file:
        _check_present(path, file.schema_arrow.names, columns or ())
        table = file.read(columns=list(columns) if columns is not None else None)
        table.validate(full=True)  # before polars takes texts and lists for what they should be
        frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    if isinstance(columns, Mapping):
        check_columns(path, frame, columns)
    return frame


def check_columns(path: Path, frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> None:
    """Raise UserError where columns of a table, which was read from `path`, are missing or not of their kind."""
    _check_present(path, frame.columns, kinds)
    for name, kind in kinds.items():
        column = frame[name]
        if not kind.fits(column.dtype):
            raise UserError(f"{path}: the column {name!r} holds {column.dtype}, not {kind.value}; {MAKE_AGAIN}")
        valid = column.is_not_null()
        if kind is Kind.LISTS:
            valid &= (column.list.len() == column.list.drop_nulls().list.len()).fill_null(False)
        elif kind is Kind.NUMBER:
            valid &= column.is_finite().fill_null(False)
        if not valid.all():
            row = int(valid.arg_min() or 0)
            raise UserError(
                f"{path}: the column {name!r} has {_shown(column.to_list()[row])} in row {row + 1}, which is none of "
                f"{kind.value}; {MAKE_AGAIN}"
            )


def _check_present(path: Path, present: Sequence[str], wanted: Iterable[str]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise UserError(f"{path} lacks the column {missing[0]!r}; it has {', '.join(present)}; {MAKE_AGAIN}")


@contextmanager
def _open_table(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:  # else all that was read stays in memory until the end
            yield file
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: permission denied") from None
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is not a readable Parquet file: {reason}; {MAKE_AGAIN}") from None
