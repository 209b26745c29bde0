"""Tables on disk, cut into parts, for joins of tables that do not fit in memory.

Rows are added in any order, each to one of `PARTS` parts; what must meet goes to parts of the same number, and is read
back and joined some parts at a time. How many at a time changes memory, never a result.
"""

import shutil
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


class Scratch:
    """Tables in a folder; what is little of them stays in memory.

    rows: how many were added to each table.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, list[tuple[pa.Table, np.ndarray]]] = {}
        self._bytes: dict[str, int] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self.rows: dict[str, int] = {}

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

    def read(self, name: str, parts: Sequence[int]) -> pl.DataFrame:
        """The rows of some parts of a table, in no particular order."""
        if len(parts) < PARTS:  # else those that wait would be sorted out once per call
            self._write(name)
        found = [self._schemas[name].empty_table(), *(table for table, _ in self._waiting.get(name, []))]
        for part in parts:
            path = self._path(name, part)
            if path.exists():
                with pa.OSFile(str(path)) as file:
                    size = file.size()
                    while file.tell() < size:
                        found.append(pa.ipc.open_stream(file).read_all())
        frame = pl.from_arrow(pa.concat_tables(found))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def drop(self, name: str) -> None:
        """Forget a table, so that its space is free."""
        self._waiting.pop(name, None)
        self._bytes.pop(name, None)
        shutil.rmtree(self._folder / name, ignore_errors=True)

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
        waiting = self._waiting.pop(name, [])
        self._bytes.pop(name, None)
        if not waiting:
            return
        parts = np.concatenate([parts for _, parts in waiting])
        table = pa.concat_tables([table for table, _ in waiting])
        order = np.argsort(parts, kind="stable")
        bounds = np.searchsorted(parts[order], np.arange(PARTS + 1))
        table = table.take(pa.array(order))
        try:
            self._append(name, table, bounds)
        except OSError as error:
            raise UserError(f"{self._folder}: tables cannot be put there: {error.strerror or error}") from error

    def _append(self, name: str, table: pa.Table, bounds: np.ndarray) -> None:
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        for part in np.flatnonzero(np.diff(bounds)).tolist():
            rows = table.slice(bounds[part], bounds[part + 1] - bounds[part])
            with (
                self._path(name, part).open("ab") as file,
                pa.ipc.new_stream(file, table.schema, options=_PACKED) as out,
            ):
                out.write_table(rows)

    def _path(self, name: str, part: int) -> Path:
        return self._folder / name / f"{part:03}.arrows"


@contextmanager
def scratch_in(folder: Path) -> Iterator[Scratch]:
    """Tables in a folder of that path, which is deleted at the end, and first of all where a killed run left it."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{folder}: tables cannot be put there: {error.strerror or error}") from error
        yield Scratch(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parts_of(numbers: pl.Series) -> np.ndarray:
    """The part that each number goes to: the same for a number and its negative."""
    return np.abs(numbers.to_numpy()) % PARTS
