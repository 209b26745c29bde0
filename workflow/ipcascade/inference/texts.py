"""New texts: tables of a user, of any size, read block by block so that every row is accounted for.

A table is read twice: first all of it to check it, then again to label it. So a fault in the last row is told within
minutes, not after days, and memory holds a block at a time.
"""

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NoReturn

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError
from ipcascade.core.progress import Progress
from ipcascade.core.strict_csv import CsvFile, header_of, shown, unreadable

COLUMNS = ("document_id", "text")
BLOCK_ROWS = 4096
"""Rows that are labelled together. Blocks begin at multiples of it, so what is in one does not depend on where a run
was interrupted or how its work was divided."""
REMEDY = "correct it there and run this again"
HASHES_AT_ONCE = 1 << 26
"""Hashes of ids that are compared in memory at once, 8 bytes each."""


class TextTable(ABC):
    """A table of texts with the columns document_id and text, and any others.

    columns: the names of all its columns, in its order.
    """

    columns: tuple[str, ...]

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def open(path: Path) -> "TextTable":
        """A table in CSV (also compressed, .csv.gz) or Parquet, or a folder of Parquet files of equal columns.

        The path is taken as it is, also where it has characters of patterns. Raises UserError where it is none of
        these, cannot be read, lacks a column or has one twice, or holds ids or texts of another type than text (or,
        of ids, whole numbers).
        """
        name = path.name.lower()
        if name.endswith((".csv", ".csv.gz")):
            return _CsvTexts(path)
        if path.is_dir() or name.endswith(".parquet"):
            return _ParquetTexts(path)
        raise UserError(f"{path}: new texts come as .csv, .csv.gz or .parquet, or as a folder of .parquet files")

    def check(self) -> int:
        """Read all rows and return how many there are.

        Raises UserError, naming the line of a CSV or the row of a Parquet file, where it cannot be read, has no rows,
        or for a missing id or text or an id that is there twice.
        """
        rows = 0
        with _SeenIds() as seen, Progress("checking texts", None, "texts") as progress:
            for frame in self._pieces():
                for name in COLUMNS:
                    missing = frame[name].fill_null("").str.strip_chars().str.len_bytes() == 0
                    if missing.any():
                        self.refuse(rows + int(missing.arg_max() or 0), f"{name} is missing")
                seen.add(frame["document_id"])
                rows += len(frame)
                progress.advance(len(frame))
            suspects = seen.repeated()
        if not rows:
            raise UserError(f"{self.path} has no rows, so there is nothing to label")
        if len(suspects):
            self._refuse_repeated(suspects)
        return rows

    def blocks(self, first: int = 0) -> Iterator[pl.DataFrame]:
        """All columns, `BLOCK_ROWS` rows at a time, from the row `first` (a multiple of it, from 0) to the end."""
        start, waiting = 0, list[pl.DataFrame]()
        for frame in self._pieces():
            skipped = min(len(frame), max(0, first - start))
            start += len(frame)
            waiting.append(frame.slice(skipped))
            if sum(map(len, waiting)) >= BLOCK_ROWS:
                whole = pl.concat(waiting)
                ends = range(BLOCK_ROWS, len(whole) + 1, BLOCK_ROWS)
                yield from (whole.slice(end - BLOCK_ROWS, BLOCK_ROWS) for end in ends)
                waiting = [whole.slice(len(whole) // BLOCK_ROWS * BLOCK_ROWS)]
        if sum(map(len, waiting)):
            yield pl.concat(waiting)

    @abstractmethod
    def refuse(self, row: int, problem: str) -> NoReturn:
        """Raise UserError about a row, counted from 0."""

    @abstractmethod
    def _pieces(self) -> Iterator[pl.DataFrame]:
        """All rows in their order, in pieces of any size; ids and texts as text."""

    def _refuse_repeated(self, suspects: np.ndarray) -> None:
        """Raise UserError for the first id that is there twice; equal hashes alone are no proof."""
        seen, start = set[str](), 0
        for frame in self._pieces():
            ids = frame["document_id"]
            for row in np.flatnonzero(np.isin(_hashes(ids), suspects)).tolist():
                if ids[row] in seen:
                    self.refuse(start + row, f"the document_id {shown(ids[row])} is there more than once")
                seen.add(ids[row])
            start += len(frame)


class _SeenIds:
    """Hashes of ids, kept on disk, so that a billion of them do not need memory."""

    def __enter__(self) -> "_SeenIds":
        self._file = TemporaryFile()
        self._count = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, ids: pl.Series) -> None:
        """Keep the hashes of some ids."""
        self._file.write(_hashes(ids).tobytes())
        self._count += len(ids)

    def repeated(self) -> np.ndarray:
        """The hashes that are there more than once, uint64. Reads all of them once per `HASHES_AT_ONCE` of them."""
        rounds = -(-self._count // HASHES_AT_ONCE)
        found = [np.zeros(0, dtype=np.uint64)]
        for round_ in range(rounds):
            self._file.seek(0)
            kept = list[np.ndarray]()
            while content := self._file.read(8 << 20):
                hashes = np.frombuffer(content, dtype=np.uint64)
                kept.append(hashes[hashes % rounds == round_])
            values, counts = np.unique(np.concatenate(kept), return_counts=True)
            found.append(values[counts > 1])
        return np.concatenate(found)


def _hashes(ids: pl.Series) -> np.ndarray:
    return ids.hash().to_numpy()


class _CsvTexts(TextTable):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        compressed = path.name.lower().endswith(".gz")
        self._file = CsvFile(
            str(path),
            lambda: _opened(path, compressed),
            REMEDY,
            read_errors=(OSError, EOFError, zlib.error),
        )
        self.columns = tuple(header_of(self._file))
        for name in COLUMNS:
            if name not in self.columns:  # says so, with the header
                next(self._file.blocks([name]))

    def _pieces(self) -> Iterator[pl.DataFrame]:
        for block in self._file.blocks(self.columns):
            yield pl.DataFrame({name: pl.Series(name, block.text(name), dtype=pl.String) for name in self.columns})

    def refuse(self, row: int, problem: str) -> NoReturn:
        self._file.refuse_record(row + 1, problem)


@contextmanager
def _opened(path: Path, compressed: bool) -> Iterator[BinaryIO]:
    try:
        content = path.open("rb")
    except OSError as error:
        raise unreadable(str(path), error) from None
    with content:
        if not compressed:
            yield content
            return
        with gzip.open(content) as unpacked:
            yield unpacked  # type: ignore[misc]


class _ParquetTexts(TextTable):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._files = _files_in(path) if path.is_dir() else [path]
        schemas = []
        for file in self._files:
            with _reading(file) as content:
                schemas.append(content.schema_arrow.remove_metadata())
        for file, schema in zip(self._files, schemas, strict=True):
            for column in COLUMNS:
                _check_type(file, schema, column)
            if schema != schemas[0]:
                raise UserError(f"{file} has other columns than {self._files[0]}; all files of a folder must be alike")
        repeated = [name for name in schemas[0].names if schemas[0].names.count(name) > 1]
        if repeated:
            raise UserError(f"{path} has the column {repeated[0]!r} {schemas[0].names.count(repeated[0])} times")
        self.columns = tuple(schemas[0].names)

    def _pieces(self) -> Iterator[pl.DataFrame]:
        for file in self._files:
            with _reading(file) as content:
                for batch in content.iter_batches(batch_size=BLOCK_ROWS):
                    table = pa.Table.from_batches([batch])
                    table.validate(full=True)  # text that is not UTF-8, too
                    for name in COLUMNS:
                        values = _as_text(table[name])
                        table = table.set_column(table.schema.get_field_index(name), name, values)
                    frame = pl.from_arrow(table)
                    assert isinstance(frame, pl.DataFrame)
                    yield frame

    def refuse(self, row: int, problem: str) -> NoReturn:  # such a file has no lines: rows are counted from 1
        for file in self._files:
            with _reading(file) as content:
                rows = content.metadata.num_rows
            if row < rows:
                raise UserError(f"{file}, row {row + 1}: {problem}; {REMEDY}")
            row -= rows
        raise AssertionError("there is no such row")


def _files_in(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".parquet" and path.is_file())
    files = [path for path in files if not path.name.startswith((".", "_"))]
    if not files:
        raise UserError(f"{folder} could not be read: it has no .parquet file")
    return files


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        # Opened here: pyarrow takes a path that it is given for an address, too.
        # Without pre_buffer: with it, all that was read stays in memory until the end.
        with path.open("rb") as content, pq.ParquetFile(content, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: a name that is not UTF-8
        raise UserError(f"{path} could not be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__


def _check_type(path: Path, schema: pa.Schema, column: str) -> None:
    """Raise UserError where a column is not there once, or holds other than text (or, for ids, whole numbers)."""
    amount = schema.names.count(column)
    if amount != 1:
        problem = f"has the column {column!r} {amount} times" if amount else f"has no column {column!r}"
        raise UserError(f"{path} {problem}; it has {', '.join(schema.names)}")
    kind = schema.field(column).type
    stored = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_string_view(stored)
    if not is_text and not (column == "document_id" and pa.types.is_integer(stored)):
        allowed = "text or whole numbers" if column == "document_id" else "text"
        raise UserError(f"{path}: the column {column!r} holds {kind}; store it as {allowed}")


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    return values.cast(plain).cast(pa.large_string())
