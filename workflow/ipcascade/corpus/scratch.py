"""Tables on disk, cut into parts, for joins of tables that do not fit in memory.

Rows are added in any order, each to one of `PARTS` parts; what must meet goes to parts of the same number, and is read
back and joined some parts at a time. How many at a time changes memory, never a result.

A table is a file of record batches, each of rows of one part, so that few files are on the disk whatever their size.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from ipcascade.core.errors import UserError

PARTS = 128
_WAITING_BYTES = 32 << 20
"""Bytes of all tables that wait in memory, to be written together or, where nothing more comes, never."""

_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")
_INDEX = "tables.json"


class Scratch:
    """Tables in a folder; what is little of them stays in memory.

    A table is first added to, then read. rows: how many each has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, int] = {}
        self._waiting: dict[str, list[tuple[pa.Table, np.ndarray]]] = {}
        self._bytes: dict[str, int] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._files: dict[str, _TableFile] = {}
        self._finished: dict[str, list[_TableFile]] = {}

    def add(self, name: str, rows: pl.DataFrame, parts: np.ndarray) -> None:
        """Add rows to a table; parts: which one each row goes to, from 0 to `PARTS` - 1."""
        # Copied: polars' views of texts would keep those of all rows that they were filtered from.
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._schemas.setdefault(name, table.schema)
        self._waiting.setdefault(name, []).append((table, parts.astype(np.uint8)))
        self.rows[name] = self.rows.get(name, 0) + len(rows)
        self._bytes[name] = self._bytes.get(name, 0) + table.nbytes + len(rows)
        while sum(self._bytes.values()) > _WAITING_BYTES:
            self._write(max(self._bytes, key=lambda table: self._bytes[table]))

    def read(self, name: str, parts: Sequence[int], columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of some parts of a table, in no particular order; all columns, or some of them."""
        if len(parts) < PARTS:  # else those that wait would be sorted out once per call
            self._write(name)
        self._finish(name)
        schema = self._schemas[name]
        columns = schema.names if columns is None else columns
        places = sorted(schema.get_field_index(column) for column in columns)
        waiting = [schema.empty_table(), *(table for table, _ in self._waiting.get(name, []))]
        found = [table.select(places) for table in waiting]
        with self._errors_as_sentences():
            for file in self._finished.get(name, []):
                found += file.read(parts, places)
        frame = pl.from_arrow(pa.concat_tables(found))
        assert isinstance(frame, pl.DataFrame)
        return frame.select(columns)

    def drop(self, name: str) -> None:
        """Forget a table, so that its space is free; what was adopted stays on disk."""
        self._finish(name)
        for kept in (self._waiting, self._bytes, self.rows, self._schemas):
            kept.pop(name, None)
        for file in self._finished.pop(name, []):
            if file.path.parent == self.folder:
                file.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Put all tables on disk, for another one to `adopt`."""
        for name in self.rows:
            self._write(name)
            self._finish(name)
        names = {name: [file.path.name for file in self._finished[name]] for name in self.rows}
        parts = {file.path.name: file.parts for files in self._finished.values() for file in files}
        sizes = {name: (self.folder / name).stat().st_size for name in parts}
        with self._errors_as_sentences():
            self.folder.mkdir(parents=True, exist_ok=True)
            content = json.dumps({"rows": self.rows, "files": names, "parts": parts, "sizes": sizes})
            (self.folder / _INDEX).write_text(content, encoding="utf-8")

    def adopt(self, folder: Path) -> None:
        """Take over the tables that another one put into a folder and closed; their rows join those that are here."""
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        for name, rows in index["rows"].items():
            self.rows[name] = self.rows.get(name, 0) + rows
            for file_name in index["files"][name]:
                file = _TableFile(folder / file_name, index["parts"][file_name])
                self._schemas.setdefault(name, file.schema())
                self._finished.setdefault(name, []).append(file)

    def units(self, rows: int, row_bytes: int, most_bytes: int) -> Iterator[range]:
        """All parts, in ranges of so many that their rows fit in memory.

        rows: of the whole; row_bytes: what joining takes for one; most_bytes: what it may take. At least one part is
        taken at a time.
        """
        at_once = int(PARTS * most_bytes / max(1, rows * row_bytes))
        at_once = min(max(1, at_once), PARTS)
        for first in range(0, PARTS, at_once):
            yield range(first, min(first + at_once, PARTS))

    def _write(self, name: str) -> None:
        """Put the rows of a table that wait on disk; a table without rows has an empty file then."""
        waiting = self._waiting.pop(name, [])
        self._bytes.pop(name, None)
        if not waiting:
            return
        parts = np.concatenate([parts for _, parts in waiting])
        table = pa.concat_tables([table for table, _ in waiting])
        order = np.argsort(parts, kind="stable")
        bounds = np.searchsorted(parts[order], np.arange(PARTS + 1))
        table = table.take(pa.array(order)).combine_chunks()
        with self._errors_as_sentences():
            self._file(name).write(table, bounds)

    def _file(self, name: str) -> "_TableFile":
        """The file that a table is written to, opened where it is not."""
        if name not in self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            number = len(self._finished.get(name, []))
            self._files[name] = _TableFile(self.folder / f"{name} {number}.arrow", [])
            self._files[name].open(self._schemas[name])
        return self._files[name]

    def _finish(self, name: str) -> None:
        """Nothing more comes to the file of a table, so that it can be read."""
        file = self._files.pop(name, None)
        if file:
            with self._errors_as_sentences():
                file.close()
            self._finished.setdefault(name, []).append(file)

    @contextmanager
    def _errors_as_sentences(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.folder}: tables cannot be put there: {error.strerror or error}") from error


class _TableFile:
    """A file of record batches. parts: that of the rows of each batch."""

    def __init__(self, path: Path, parts: list[int]) -> None:
        self.path, self.parts = path, parts
        self._content: pa.OSFile | None = None
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def open(self, schema: pa.Schema) -> None:
        self._content = pa.OSFile(str(self.path), "wb")
        self._writer = pa.ipc.new_file(self._content, schema, options=_PACKED)

    def write(self, table: pa.Table, bounds: np.ndarray) -> None:
        """Rows in the order of their parts; bounds: where each part begins."""
        assert self._writer is not None
        for part in np.flatnonzero(np.diff(bounds)).tolist():
            for batch in table.slice(bounds[part], bounds[part + 1] - bounds[part]).to_batches():
                self._writer.write_batch(batch)
                self.parts.append(part)

    def close(self) -> None:
        assert self._writer is not None and self._content is not None
        self._writer.close()
        self._content.close()
        with self.path.open("rb") as written:
            os.fsync(written.fileno())

    def schema(self) -> pa.Schema:
        with pa.OSFile(str(self.path)) as file:
            return pa.ipc.open_file(file).schema

    def read(self, parts: Sequence[int], places: Sequence[int]) -> Iterator[pa.Table]:
        """The rows of some parts, and the columns at some places."""
        wanted = set(parts)
        numbers = [number for number, part in enumerate(self.parts) if part in wanted]
        if not numbers:
            return
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=list(places)))
            for number in numbers:
                yield pa.Table.from_batches([reader.get_batch(number)])


def is_whole(folder: Path) -> bool:
    """Whether all files of a folder that was closed are there, in the size that they had."""
    try:
        sizes = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def parts_of(numbers: pl.Series) -> np.ndarray:
    """The part that each number goes to: the same for a number and its negative."""
    return np.abs(numbers.to_numpy()) % PARTS


def ranges_of(ordered: np.ndarray, numbers: pl.Series) -> np.ndarray:
    """The part that each number goes to, of some that are sorted: the first part has the smallest."""
    return np.searchsorted(ordered, numbers.to_numpy()) * PARTS // max(1, len(ordered))
