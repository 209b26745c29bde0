"""A table of a user as a source of documents: a row per document, with text and labels, and whatever else it has."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum
from ipcascade.core.strict_csv import shown
from ipcascade.core.user_tables import Piece, Role, UserTable
from ipcascade.sources.base import PartRead, Source, SymbolFact
from ipcascade.sources.kinds import TABLE_FILTERS
from ipcascade.sources.options import TableOptions

FIRST_YEAR, LAST_YEAR = 1000, 9999
ROLES = {
    "id": Role.ID, "labels": Role.TEXTS, "family": Role.ID, "group": Role.ID, "year": Role.NUMBER, "office": Role.TEXT,
    "kind": Role.TEXT, "language": Role.TEXT, "abstract": Role.TEXT, "title": Role.TEXT, "first_claim": Role.TEXT,
    "description": Role.TEXT,
}  # fmt: skip


def open_table(path: Path, options: TableOptions) -> Source:
    """A table, or a folder of the files of one.

    A document is known by 63 bits of a hash of its id. Raises UserError where it cannot be read, lacks a column that
    the options name, or holds something else there.
    """
    table = UserTable.open(path, "tables of documents")
    columns = {field: name for field in ROLES if (name := getattr(options, field)) is not None}
    table.check({name: ROLES[field] for field, name in columns.items()})
    return _Table(table, columns, options.separator)


class _Table(Source):
    id_name = "id"
    start = ("rows of the table", "documents")
    symbol_name = "label"

    def __init__(self, table: UserTable, columns: Mapping[str, str], separator: str) -> None:
        super().__init__()
        self.place = str(table.path)
        self.filters = frozenset(key for key, column in TABLE_FILTERS.items() if column in columns)
        self._table, self._columns, self._separator = table, columns, separator
        # Else all lines must be read to know that none has a key.
        self._one_by_one = all(file.all_rows_alike for file in table.files)

    def parts(self, what: str) -> list[int]:
        sizes = [file.path.stat().st_size for file in self._table.files]
        return sizes if self._one_by_one else [sum(sizes)]

    def applications(self, part: int) -> Iterator[pl.DataFrame]:
        rows = 0
        for piece in self._pieces("id", "office", "kind", "year", "family", "group", part=part):
            frame = piece.frame
            rows += len(frame)
            year = frame["year"]
            wrong = ~year.is_between(FIRST_YEAR, LAST_YEAR)
            if wrong.any():
                row = int(wrong.fill_null(False).arg_max() or 0)
                name = self._columns["year"]
                piece.refuse(row, f"{name} is {year[row]}, not a year from {FIRST_YEAR} to {LAST_YEAR}")
            yield frame.select(
                application=_numbers(frame["id"]),
                office="office",
                kind="kind",
                right=pl.lit(None, pl.String),
                date=pl.date(pl.col("year"), 1, 1),  # of a year alone, so that the earliest is first
                year="year",
                family=_numbers(frame["family"]),
                link=_numbers(frame["group"]),
            )
        self.reads.append(PartRead("table", part, rows))

    def symbols(self, part: int, also: Sequence[SymbolFact] = ()) -> Iterator[pl.DataFrame]:
        for piece in self._pieces("id", "labels", part=part):
            labels = piece.frame["labels"]
            if labels.dtype == pl.String:
                labels = labels.str.split(self._separator)
            pairs = pl.DataFrame({"application": _numbers(piece.frame["id"]), "symbol": labels}).explode("symbol")
            symbol = pl.col("symbol").str.strip_chars()
            yield pairs.with_columns(symbol).filter(symbol.str.len_bytes() > 0)

    def texts(self, field: str, part: int) -> Iterator[pl.DataFrame]:
        for piece in self._pieces("id", field, "language", part=part):
            frame = piece.frame
            yield frame.select("id", "language", application=_numbers(frame["id"]), text=field)

    def table_of(self, what: str) -> str:
        return self.place

    def document_ids(self, batch: pl.DataFrame) -> pl.Series:
        return batch["id"]

    def family_names(self, families: np.ndarray) -> Iterator[pl.DataFrame]:
        """Families as the table has them; `document-` and the id of a document without one."""
        for piece in self._pieces("id", "family"):
            own, alone = _numbers(piece.frame["family"]), -_numbers(piece.frame["id"])
            rows = piece.frame.select(
                family=pl.Series(own).fill_null(alone),
                name=pl.coalesce("family", pl.format("document-{}", "id")),
            )
            yield rows.filter(pl.Series(_among(families, rows["family"].to_numpy())))

    def refuse_double(self, table: str, application: int) -> NoReturn:
        first: str | None = None
        for piece in self._pieces("id"):
            for row in np.flatnonzero((_numbers(piece.frame["id"]) == application).to_numpy()).tolist():
                id_ = piece.frame["id"][row]
                if first == id_:
                    piece.refuse(row, f"the id {shown(id_)} is there more than once")
                if first is not None:
                    raise UserError(
                        f"{self.place}: the ids {shown(first)} and {shown(id_)} have the same hash; rename one"
                    )
                first = id_
        raise UserError(f"{self.place} was changed while it was read; run this again when nothing writes there")

    def checksum(self) -> str:
        digest = hashlib.sha256()
        for file in self._table.files:
            digest.update(f"{file.path.name} {file_checksum(file.path)}\n".encode())
        return digest.hexdigest()

    def _pieces(self, *fields: str, part: int | None = None) -> Iterator[Piece]:
        """Rows with some fields under these names, null where the table has no column; of one part, or of all."""
        given = {field: self._columns[field] for field in fields if field in self._columns}
        files = self._table.files if part is None or not self._one_by_one else self._table.files[part : part + 1]
        table = replace(self._table, files=files)
        for piece in table.pieces({name: ROLES[field] for field, name in given.items()}):
            frame = piece.frame.select(
                _plain(pl.col(given[field]), ROLES[field]).alias(field) if field in given
                else pl.lit(None, pl.Int64 if ROLES[field] is Role.NUMBER else pl.String).alias(field)
                for field in fields
            )  # fmt: skip
            if frame["id"].null_count():
                piece.refuse(int(frame["id"].is_null().arg_max() or 0), f"{given['id']} is missing")
            yield Piece(piece.file, piece.first, frame)
            self.advance(len(frame))


def _plain(values: pl.Expr, role: Role) -> pl.Expr:
    """Texts without blanks around them, and ids as they are, so that they are found again; blank ones are null."""
    if role not in (Role.ID, Role.TEXT):
        return values
    stripped = values.str.strip_chars()
    return pl.when(stripped.str.len_bytes() > 0).then(stripped if role is Role.TEXT else values)


def _numbers(values: pl.Series) -> pl.Series:
    """A whole number from 1 to 2^63 - 1 for each text, by a hash that no version of a library changes; null of null."""
    numbers = [None if value is None else _number(value) for value in values]
    return pl.Series(values.name, numbers, dtype=pl.Int64)


def _number(value: str) -> int:
    digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
    return max(1, int.from_bytes(digest, "little") >> 1)


def _among(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether each value is among ordered ones (not empty)."""
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[places] == values
