"""A PATSTAT Global delivery as a stream of typed, checked tables, read in place.

Parts are inflated, parsed and cast batch by batch, so memory does not grow with the delivery. The CSV is read strictly
(`core/strict_csv.py`): a row is read as it is written, or refused with its line. Rows are counted as they are read and
compared with the RowCount file of the delivery, and parts with equal content are refused.
"""

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import polars as pl

from ipcascade.core.archives import READ_ERRORS, damage
from ipcascade.core.classifications import Classification
from ipcascade.core.errors import UserError
from ipcascade.core.progress import Progress
from ipcascade.core.strict_csv import BLOCK_BYTES, NOT_UTF8, CsvBlock, CsvFile, shown
from ipcascade.sources.base import TableCount
from ipcascade.sources.patstat.delivery import Contents, Part, checksum, find, needed_tables, open_part
from ipcascade.sources.quarantine import Quarantine


@dataclass
class Delivery:
    """An opened delivery.

    counts: an entry for every table that was read to its end; quarantine: rows that were left out; block_bytes: parsed
    at a time.
    """

    folder: Path
    contents: Contents
    counts: dict[str, TableCount] = field(default_factory=dict)
    quarantine: Quarantine = field(default_factory=lambda: Quarantine(0.0))
    block_bytes: int = BLOCK_BYTES

    @classmethod
    def open(
        cls,
        folder: Path,
        titles: bool = False,
        classification: Classification = "ipc",
        block_bytes: int = BLOCK_BYTES,
    ) -> "Delivery":
        """Find the tables that a corpus needs, with the titles where they are part of the text.

        Raises UserError as `delivery_files` does.
        """
        return cls(folder, find(folder, needed_tables(titles, classification)), block_bytes=block_bytes)

    @property
    def place(self) -> str:
        """What is read, for messages."""
        return str(self.folder)

    def checksum(self) -> str:
        """SHA-256 over the names, sizes and CRC-32s of the delivery's files (whole contents of extracted CSVs)."""
        return checksum(self.contents)

    def read(self, table: str, columns: Sequence[str], task: str | None = None) -> Iterator[pl.DataFrame]:
        """Stream `columns` of `table` ("tls201") in batches, at least one per part, with progress named `task`.

        Columns are found by header name in any case. Types: see `COLUMNS`; missing values, as PATSTAT writes them,
        are null. Text is stripped of blanks, symbols only on their right.
        Raises UserError, naming file and line, for all that is wrong with the files, for a part that equals another
        one, and at the end of the table where the rows read are not as many as in the RowCount file.
        """
        expected = self.contents.row_counts.get(table)
        rows = 0
        contents: dict[tuple[int, int], Part] = {}
        with Progress(task or f"read {table}", expected, "rows") as progress:
            for part in self.contents.parts[table]:
                content = _Content(part)
                before = rows
                for block in content.file().blocks(columns, self.block_bytes):
                    batch, wrong = _typed(block, columns)
                    rows += block.rows
                    if wrong:
                        self.quarantine.add(table, block, sorted(wrong.items()))
                        batch = batch[np.setdiff1d(np.arange(block.rows), list(wrong))]
                    progress.advance(batch.height)
                    yield batch
                if rows > before and (other := contents.setdefault(content.fingerprint, part)) is not part:
                    raise UserError(
                        f"{part} has the same content as {other}; put the right file of {table} part {part.number} "
                        "in its place"
                    )
        if expected is not None and rows != expected:
            files = ", ".join(str(part) for part in self.contents.parts[table])
            counted = " or ".join(str(file) for file in self.contents.row_count_files)
            raise UserError(
                f"{table} has {rows:,} rows where {counted} has {expected:,} (read: {files}); "
                "fetch these files again, or all parts of the table from the same edition"
            )
        self.quarantine.check(table, rows)
        self.counts[table] = TableCount(rows, expected, self.quarantine.amount(table))


class _Content:
    """The bytes of a part. fingerprint: their number and CRC-32, once all were read."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self.fingerprint = (0, 0)

    def file(self) -> CsvFile:
        """The part as a CSV file."""
        return CsvFile(
            str(self._part),
            self._open,
            "repair the row or fetch the file again",
            any_case=True,
            read_errors=READ_ERRORS,
            damage=damage,
        )

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        with open_part(self._part) as (stream, fingerprint):
            if fingerprint is None:
                summed = _Summed(stream)
                yield cast(BinaryIO, summed)
                fingerprint = (summed.length, summed.crc)
            else:
                yield stream
            self.fingerprint = fingerprint


class _Summed(io.RawIOBase):
    """A stream that adds up what is read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.length = self.crc = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.length += len(chunk)
        self.crc = zlib.crc32(chunk, self.crc)
        return chunk


def _typed(block: CsvBlock, columns: Sequence[str]) -> tuple[pl.DataFrame, dict[int, str]]:
    """The columns of a block, and what is wrong with some rows of it, counted from 0: the first thing of each."""
    series, problems = [], dict[int, str]()
    for column in columns:
        texts, not_text = block.text_or_none(column)
        for row in not_text:
            problems.setdefault(row, NOT_UTF8.format(column))
        text = pl.Series(column, texts, dtype=pl.String)
        trimmed = text.str.strip_chars_end() if column.endswith("_class_symbol") else text.str.strip_chars()
        present = trimmed.set(trimmed.str.len_bytes() == 0, None)
        if column == "appln_id" and present.null_count():
            for row in present.is_null().arg_true():
                problems.setdefault(row, "appln_id is empty")
        typed, expected = COLUMNS[column](present, block)
        if typed.null_count() > present.null_count():
            for row in (typed.is_null() & present.is_not_null()).arg_true():
                problems.setdefault(row, f"{column} is {shown(present[row])}, not {expected}")
        series.append(without_missing(typed, column))
    return pl.DataFrame(series), problems


# Each of these takes the texts of a column of a block. It gives null for what is not what it describes.


def _text(values: pl.Series, block: CsvBlock) -> tuple[pl.Series, str]:
    return values, "text"


def _whole_number(values: pl.Series, block: CsvBlock) -> tuple[pl.Series, str]:
    """Digits only. A cast reads digits with a sign, too, and nothing else."""
    numbers = values.cast(pl.Int32, strict=False)
    if block.has_any(values.name, b"+-"):
        numbers = numbers.set(values.str.contains("^[+-]"), None)
    return numbers, "a whole number from 0 to 2,147,483,647"


def _year(values: pl.Series, block: CsvBlock) -> tuple[pl.Series, str]:
    years, _ = _whole_number(values, block)
    return years.set((years != 0) & ~years.is_between(FIRST_YEAR, UNKNOWN_YEAR), None), (
        f"a year from {FIRST_YEAR} to {UNKNOWN_YEAR}, or 0"
    )


def _date(values: pl.Series, block: CsvBlock) -> tuple[pl.Series, str]:
    dates = values.str.to_date("%Y-%m-%d", strict=False)
    return dates.set(~values.str.contains("^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"), None), "a date like 2001-12-31"


# Years are of four digits; the last one is written where it is not known.
FIRST_YEAR, UNKNOWN_YEAR = 1000, 9999
# How each column that a corpus is made of is read: text, whole numbers (Int32) or dates.
COLUMNS: dict[str, Callable[[pl.Series, CsvBlock], tuple[pl.Series, str]]] = {
    "appln_id": _whole_number,
    "appln_auth": _text,
    "appln_kind": _text,
    "appln_filing_date": _date,
    "appln_filing_year": _year,
    "ipr_type": _text,
    "docdb_family_id": _whole_number,
    "appln_title_lg": _text,
    "appln_title": _text,
    "appln_abstract_lg": _text,
    "appln_abstract": _text,
    "ipc_class_symbol": _text,
    "ipc_value": _text,
    "cpc_class_symbol": _text,
    "techn_field_nr": _text,
    "nace2_code": _text,
}


def without_missing(values: pl.Series, column: str) -> pl.Series:
    """Null in place of the numbers and dates that PATSTAT writes where a value is not known."""
    if column == "docdb_family_id":
        return values.set(values == 0, None)
    if column == "appln_filing_year":
        return values.set(values.is_in([0, UNKNOWN_YEAR]), None)
    if values.dtype == pl.Date:
        return values.set(values.dt.year() == UNKNOWN_YEAR, None)
    return values
