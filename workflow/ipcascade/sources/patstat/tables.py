"""A PATSTAT Global delivery as a stream of typed, checked tables, read in place.

Parts are inflated, parsed and cast batch by batch, so memory does not grow with the delivery. The CSV is read strictly
(`core/strict_csv.py`): a row is read as it is written, or refused with its line. Rows are counted as they are read.
"""

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import polars as pl

from ipcascade.core.archives import READ_ERRORS, damage
from ipcascade.core.classifications import Classification
from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import BLOCK_BYTES, NOT_UTF8, CsvBlock, CsvFile, shown
from ipcascade.sources.base import PartRead, Source
from ipcascade.sources.patstat.delivery import Contents, Part, checksum, find, needed_tables, open_part, size_of


class Delivery:
    """An opened delivery. block_bytes: parsed at a time."""

    def __init__(
        self,
        folder: Path,
        titles: bool = False,
        classification: Classification = "ipc",
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        """Find the tables that a corpus needs, with the titles where they are part of the text.

        Raises UserError as `delivery_files` does.
        """
        self.place = str(folder)
        self.contents: Contents = find(folder, needed_tables(titles, classification))
        self._block_bytes = block_bytes

    def checksum(self) -> str:
        """SHA-256 over the names, sizes and CRC-32s of the delivery's files (whole contents of extracted CSVs)."""
        return checksum(self.contents)

    def identity(self) -> str | None:
        """The same, which only reads the directories of zips."""
        return self.checksum()

    def parts(self, table: str) -> list[int]:
        """The parts of a table ("tls201"), each by its bytes on disk."""
        return [size_of(part) for part in self.contents.parts[table]]

    def read(self, table: str, part: int, columns: Sequence[str], source: Source) -> Iterator[pl.DataFrame]:
        """Stream `columns` of a part of `table`, from 0, in batches, at least one.

        Columns are found by header name in any case. Types: see `COLUMNS`; missing values, as PATSTAT writes them,
        are null. Text is stripped of blanks, symbols only on their right. `source` is told what was read and left out.
        Raises UserError, naming file and line, for all that is wrong with the file.
        """
        content = _Content(self.contents.parts[table][part])
        file = content.file()
        rows = 0
        for block in file.blocks(columns, self._block_bytes):
            batch, wrong = _typed(block, columns)
            rows += block.rows
            if wrong:
                source.quarantine.add(table, file, [(block.first + row, wrong[row]) for row in sorted(wrong)])
                batch = batch[np.setdiff1d(np.arange(block.rows), list(wrong))]
            source.advance(block.rows)
            yield batch
        length, crc = content.fingerprint
        malformed = source.quarantine.of_file(table, file)
        source.reads.append(PartRead(table, part, rows, f"{length} {crc:08x}" if rows else None, malformed))

    def expected_rows(self, table: str) -> int | None:
        """How many rows the RowCount files of the delivery say that a table has."""
        return self.contents.row_counts.get(table)

    def check_table(self, table: str, reads: Sequence[PartRead], rows: int) -> None:
        """Raise UserError for a part that equals another one, and for other rows than the RowCount file has."""
        parts = self.contents.parts[table]
        first = dict[str, Part]()
        for read in reads:
            part = parts[read.part]
            if read.content and (other := first.setdefault(read.content, part)) is not part:
                raise UserError(
                    f"{part} has the same content as {other}; put the right file of {table} part {part.number} "
                    "in its place"
                )
        expected = self.expected_rows(table)
        if expected is not None and rows != expected:
            files = ", ".join(str(part) for part in parts)
            counted = " or ".join(str(file) for file in self.contents.row_count_files)
            raise UserError(
                f"{table} has {rows:,} rows where {counted} has {expected:,} (read: {files}); "
                "fetch these files again, or all parts of the table from the same edition"
            )

    def file_of(self, read: PartRead) -> CsvFile:
        """The file of a part."""
        return _Content(self.contents.parts[read.table][read.part]).file()


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


def _weight(values: pl.Series, block: CsvBlock) -> tuple[pl.Series, str]:
    weights = values.cast(pl.Float64, strict=False)
    return weights.set(~weights.is_between(0, 1), None), "a weight from 0 to 1"


# Years are of four digits; the last one is written where it is not known.
FIRST_YEAR, UNKNOWN_YEAR = 1000, 9999
# How each column that a corpus is made of is read: text, whole numbers (Int32), dates or weights (Float64).
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
    "weight": _weight,
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
