"""Tables of a user, of any size, read piece by piece so that every row is accounted for: CSV, TSV, JSON lines, Parquet.

Nothing is guessed: what a column must hold is said by whoever reads it (`Role`), and a value that is not so is refused
with its line (of Parquet, its row). Paths are taken as they are, also where they have characters of patterns.
"""

import gzip
import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError
from ipcascade.core.files import without_double_keys
from ipcascade.core.strict_csv import CsvFile, header_of, shown, unreadable
from ipcascade.core.user_table_files import COMPRESSED, suffix_of, table_files

REMEDY = "correct it there and run this again"
PIECE_ROWS = 4096
"""Rows of Parquet and of JSON lines that are read at a time."""
_READ_ERRORS = (OSError, EOFError, zlib.error)


class Role(Enum):
    """What the values of a column are read as."""

    ID = "text or whole numbers"
    """Text."""
    TEXT = "text"
    """Text; null where the file has no value."""
    TEXTS = "lists of text, or text"
    """As stored: a list of texts, or text (always, in CSV); null where the file has no value."""
    NUMBER = "whole numbers"
    """Int64; null where the file has no value."""
    ANY = "anything"
    """As stored; text in CSV."""


class TableFile(ABC):
    """One file of a table.

    columns: the names of its columns, in its order, with what they hold; all_rows_alike: whether each row has them all;
    seen: where not, the columns that some row had, once all were read.
    """

    all_rows_alike = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: dict[str, str] = {}
        self.seen: set[str] = set()

    @abstractmethod
    def pieces(self, columns: Mapping[str, Role]) -> Iterator[pl.DataFrame]:
        """Some columns of all rows in their order, in pieces of any size.

        Raises UserError, naming the line or row, for all that is wrong with the file, and for a value that is not of
        its column's role.
        """

    @abstractmethod
    def refuse(self, row: int, problem: str) -> NoReturn:
        """Raise UserError about a row, counted from 0."""

    def check(self, column: str, role: Role) -> None:
        """Raise UserError where a column is not there, or cannot be read in its role, as far as the file says."""
        if column not in self.columns:
            raise UserError(f"{self.path} has no column {column!r}; it has {shown(', '.join(self.columns), 400)}")


@dataclass(frozen=True)
class Piece:
    """Some rows of a table. first: the number of the first one in its file, from 0."""

    file: TableFile
    first: int
    frame: pl.DataFrame

    def refuse(self, row: int, problem: str) -> NoReturn:
        """Raise UserError about a row of the piece, counted from 0."""
        self.file.refuse(self.first + row, problem)


@dataclass(frozen=True)
class UserTable:
    """A table of one file, or of all files of one kind in a folder, in the order of their names."""

    path: Path
    files: tuple[TableFile, ...]

    @classmethod
    def open(cls, path: Path, what: str, suffixes: tuple[str, ...] = ()) -> "UserTable":
        """A file, or the files in a folder that are not hidden, which must have equal columns.

        what: what the table holds, for messages; suffixes: allowed ones (`SUFFIXES`; all of them where none is given).
        Raises UserError where it is none of these, or cannot be read.
        """
        files = tuple(
            _FORMATS[suffix_of(file).removesuffix(COMPRESSED)](file) for file in table_files(path, what, suffixes)
        )
        for file in files:
            if file.all_rows_alike and set(file.columns) != set(files[0].columns):
                raise UserError(
                    f"{file.path} has other columns than {files[0].path}; all files of a folder must be alike"
                )
        return cls(path, files)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(self.files[0].columns)

    def check(self, columns: Mapping[str, Role]) -> None:
        """Raise UserError where a column is missing, or cannot be read in its role."""
        for file in self.files:
            for column, role in columns.items():
                file.check(column, role)

    def pieces(self, columns: Mapping[str, Role]) -> Iterator[Piece]:
        """Some columns of all rows, in their order. Raises UserError as `TableFile.pieces` does."""
        seen = set[str]()
        for file in self.files:
            first = 0
            for frame in file.pieces(columns):
                yield Piece(file, first, frame)
                first += len(frame)
            seen |= file.seen
        missing = [name for name in columns if seen and name not in seen]
        if missing:
            listed = shown(", ".join(sorted(seen)), 400)
            raise UserError(f"{self.path} has no line with the key {missing[0]!r}; it has {listed}")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        content = path.open("rb")
    except OSError as error:
        raise unreadable(str(path), error) from None
    with content:
        if not path.name.lower().endswith(COMPRESSED):
            yield content
            return
        with gzip.open(content) as unpacked:
            yield unpacked  # type: ignore[misc]


class _CsvTable(TableFile):
    """CSV, or TSV: see `core/strict_csv.py`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        tabs = suffix_of(path).startswith(".tsv")
        self._file = CsvFile(
            str(path), lambda: _opened(path), REMEDY, read_errors=_READ_ERRORS, delimiter="\t" if tabs else ","
        )
        self.columns = dict.fromkeys(header_of(self._file), Role.TEXT.value)

    def check(self, column: str, role: Role) -> None:
        if column not in self.columns:
            next(self._file.blocks([column]))  # says so, with the header
        super().check(column, role)

    def pieces(self, columns: Mapping[str, Role]) -> Iterator[pl.DataFrame]:
        for block in self._file.blocks(list(columns)):
            frame = pl.DataFrame({name: pl.Series(name, block.text(name), dtype=pl.String) for name in columns})
            for name, role in columns.items():
                if role is Role.NUMBER:
                    frame = frame.with_columns(_numbers(frame[name], block.refuse))
            yield frame

    def refuse(self, row: int, problem: str) -> NoReturn:
        self._file.refuse_record(row + 1, problem)


def _numbers(values: pl.Series, refuse: Callable[[int, str], NoReturn]) -> pl.Series:
    """Texts as whole numbers, null where there is none."""
    trimmed = values.str.strip_chars()
    present = trimmed.set(trimmed.str.len_bytes() == 0, None)
    numbers = present.set(~present.str.contains("^-?[0-9]+$"), None).cast(pl.Int64, strict=False)
    wrong = (numbers.is_null() & present.is_not_null()).arg_max()
    if numbers.null_count() > present.null_count() and wrong is not None:
        refuse(wrong, f"{values.name} is {shown(present[wrong])}, not a whole number")
    return numbers


class _JsonLines(TableFile):
    """JSON lines: an object per line. Blank lines do not count, and a key that a line lacks is a missing value."""

    all_rows_alike = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        _, first = next(self._records(), (0, {}))
        self.columns = dict.fromkeys(first, Role.ANY.value)

    def check(self, column: str, role: Role) -> None:
        """A key may be missing from the first line, so only reading all of them tells."""

    def pieces(self, columns: Mapping[str, Role]) -> Iterator[pl.DataFrame]:
        rows: dict[str, list[Any]] = {name: [] for name in columns}
        kinds: dict[str, type] = {}
        amount = 0
        for line, record in self._records():
            for name, role in columns.items():
                value = record.get(name)
                if not _fits(value, role):
                    kind = json.dumps(value, ensure_ascii=False)
                    self._refuse_line(line, f"{name} is {shown(kind)}, not {role.value}")
                if value is not None and kinds.setdefault(name, type(value)) is not type(value) and role is Role.TEXTS:
                    self._refuse_line(line, f"{name} is a list in some lines and text in others")
                rows[name].append(str(value) if role is Role.ID and value is not None else value)
            self.seen.update(record)
            amount += 1
            if amount % PIECE_ROWS == 0:
                yield _frame(rows, columns)
                rows = {name: [] for name in columns}
        if amount % PIECE_ROWS or not amount:
            yield _frame(rows, columns)

    def refuse(self, row: int, problem: str) -> NoReturn:
        line = next(line for number, (line, _) in enumerate(self._records()) if number == row)
        self._refuse_line(line, problem)

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines, numbered from 1, and their objects."""
        line = 0
        with _opened(self.path) as content:
            try:
                for line, text in enumerate(content, 1):
                    if text.strip():
                        yield line, self._record(line, text)
            except _READ_ERRORS as error:
                raise unreadable(f"{self.path}, after line {line}", error) from None

    def _record(self, line: int, text: bytes) -> dict[str, Any]:
        try:
            record = json.loads(
                text.decode("utf-8-sig" if line == 1 else "utf-8"), object_pairs_hook=without_double_keys
            )
        except (ValueError, RecursionError) as error:
            self._refuse_line(line, f"it is not JSON ({error})")
        if not isinstance(record, dict):
            self._refuse_line(line, "it holds no JSON object")
        return record

    def _refuse_line(self, line: int, problem: str) -> NoReturn:
        raise UserError(f"{self.path}, line {line}: {problem}; {REMEDY}")


def _fits(value: Any, role: Role) -> bool:
    """Whether a value of JSON is of a role."""
    if value is None or role is Role.ANY:
        return True
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    match role:
        case Role.ID:
            return is_whole or _is_text(value)
        case Role.NUMBER:
            return is_whole
        case Role.TEXTS if isinstance(value, list):
            return all(map(_is_text, value))
    return _is_text(value)


def _is_text(value: Any) -> bool:
    """Whether a value is text that can be written: JSON can hold halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _frame(rows: Mapping[str, list[Any]], columns: Mapping[str, Role]) -> pl.DataFrame:
    series = []
    for name, role in columns.items():
        is_lists = role is Role.TEXTS and not any(isinstance(value, str) for value in rows[name])
        dtype = pl.List(pl.String) if is_lists else pl.Int64 if role is Role.NUMBER else pl.String
        series.append(pl.Series(name, rows[name], dtype=dtype))
    return pl.DataFrame(series)


class _ParquetTable(TableFile):
    """Parquet, whose rows are counted from 1 in messages, since such a file has no lines."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with _reading(path) as content:
            self._schema = content.schema_arrow.remove_metadata()
        names = self._schema.names
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise UserError(f"{path} has the column {repeated[0]!r} {names.count(repeated[0])} times")
        self.columns = {field.name: str(field.type) for field in self._schema}

    def check(self, column: str, role: Role) -> None:
        super().check(column, role)
        kind = _stored(self._schema.field(column).type)
        if not _IS[role](kind):
            raise UserError(f"{self.path}: the column {column!r} holds {kind}; store it as {role.value}")

    def pieces(self, columns: Mapping[str, Role]) -> Iterator[pl.DataFrame]:
        for name, role in columns.items():
            self.check(name, role)
        with _reading(self.path) as content:
            batches = content.iter_batches(batch_size=PIECE_ROWS, columns=list(columns))
            # One without rows, where there are none: the columns are known then, too.
            for table in chain((pa.Table.from_batches([batch]) for batch in batches), [self._schema.empty_table()]):
                table = table.select(list(columns))
                table.validate(full=True)  # text that is not UTF-8, too
                for place, (name, role) in enumerate(columns.items()):
                    table = table.set_column(place, name, _as_role(table[name], role))
                frame = pl.from_arrow(table)
                assert isinstance(frame, pl.DataFrame)
                yield frame

    def refuse(self, row: int, problem: str) -> NoReturn:
        raise UserError(f"{self.path}, row {row + 1}: {problem}; {REMEDY}")


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


def _stored(kind: pa.DataType) -> pa.DataType:
    """The type of values that a dictionary may encode."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text_type(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_list_type(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and (_is_text_type(_stored(kind.value_type)) or pa.types.is_null(kind.value_type))


_IS: dict[Role, Callable[[pa.DataType], bool]] = {
    Role.ID: lambda kind: _is_text_type(kind) or pa.types.is_integer(kind),
    Role.TEXT: lambda kind: _is_text_type(kind) or pa.types.is_null(kind),
    Role.TEXTS: lambda kind: _is_text_type(kind) or _is_list_type(kind),
    Role.NUMBER: lambda kind: pa.types.is_integer(kind) or pa.types.is_null(kind),
    Role.ANY: lambda kind: True,
}


def _as_role(values: pa.ChunkedArray, role: Role) -> pa.ChunkedArray:
    if role is Role.ANY:
        return values
    plain = values.cast(_stored(values.type))
    if role is Role.NUMBER:
        return plain.cast(pa.int64())
    if role is Role.TEXTS and not _is_text_type(plain.type):
        return plain.cast(pa.large_list(pa.large_string()))
    return plain.cast(pa.large_string())


_FORMATS: dict[str, Callable[[Path], TableFile]] = {
    ".csv": _CsvTable, ".tsv": _CsvTable, ".jsonl": _JsonLines, ".parquet": _ParquetTable,
}  # fmt: skip
