"""The files between rules: parquet tables and JSON facts with provenance, written whole or not at all.

Provenance says what a file was made of: package version, the step's options, and a checksum a input file.
It holds no time, host or path, so a file re-made from the same inputs, options and versions has the same bytes.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from . import __version__
from .errors import UserError

SCHEMA_VERSION = 1
_METADATA_KEY = b"ipcascade"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it to `path` when the block ends well, remove it otherwise."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())  # safetensors writes files that only their owner may read
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path} could not be written: {error.strerror or error}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def folder_checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        digest.update(f"{path.name} {file_checksum(path)}\n".encode())
    return digest.hexdigest()


def provenance(options: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """What a step's outputs are made of; `inputs` maps a role ("corpus") to the file that filled it."""
    return {
        "ipcascade": __version__,
        "options": dict(options),
        "inputs": {role: file_checksum(path) for role, path in inputs.items()},
    }


def dump_json(value: Any) -> str:
    """JSON text with sorted keys and a final newline; raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, facts: Mapping[str, Any], made_of: Mapping[str, Any]) -> None:
    """Write facts, with `schema_version` and `provenance` beside them."""
    content = {**facts, "schema_version": SCHEMA_VERSION, "provenance": dict(made_of)}
    with written_whole(path) as temporary:
        temporary.write_text(dump_json(content), encoding="utf-8")


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


def write_parquet(path: Path, frame: pl.DataFrame, made_of: Mapping[str, Any]) -> None:
    """Write a table as zstd parquet with its provenance in the file's metadata."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    metadata = json.dumps(
        {"schema_version": SCHEMA_VERSION, "provenance": made_of}, sort_keys=True, ensure_ascii=False
    ).encode()
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_METADATA_KEY: metadata}), temporary, compression="zstd")


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance of a table that `write_parquet` wrote."""
    try:
        return json.loads(pq.read_schema(path).metadata[_METADATA_KEY])["provenance"]
    except (pa.ArrowInvalid, OSError, TypeError, KeyError) as error:
        raise UserError(f"{path} is not a table that ipcascade wrote ({error!r}); make it again") from None


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table, or only some columns of it. Raises UserError where it is absent, broken or lacks a column."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in columns or () if name not in file.schema_arrow.names]
            if missing:
                raise UserError(f"{path} lacks the column {missing[0]!r}; it has {', '.join(file.schema_arrow.names)}")
            frame = pl.from_arrow(file.read(columns=list(columns) if columns is not None else None))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a readable parquet file: {str(error).splitlines()[0]}") from None
    assert isinstance(frame, pl.DataFrame)
    return frame
