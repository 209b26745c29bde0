"""A PATSTAT Global delivery as a stream of typed, checked tables, read in place.

Parts are inflated, parsed and cast batch by batch, so memory does not grow with the delivery. pyarrow reads the CSV,
not polars: with unescaped quotes inside a value, polars 2.1 can return fewer rows than there are without an error,
while pyarrow refuses the row and knows its number. Rows are counted as they are read and compared with the RowCount
file of the delivery.

Rows in error messages are counted as records of the file, the header being row 1.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.csv

from ipcascade.core.errors import UserError
from ipcascade.core.progress import Progress
from ipcascade.sources.patstat.delivery import (
    READ_ERRORS,
    Contents,
    Part,
    checksum,
    damage,
    find,
    needed_tables,
    open_part,
)

# Bytes parsed at a time; no row can be longer.
BLOCK_BYTES = 8 << 20


@dataclass
class TableCount:
    """Rows of a table: as read, and as the RowCount file has them (None where it does not)."""

    rows: int
    expected: int | None


@dataclass
class Delivery:
    """An opened delivery.

    counts: an entry for every table that was read to its end; block_bytes: parsed at a time.
    """

    folder: Path
    contents: Contents
    counts: dict[str, TableCount] = field(default_factory=dict)
    block_bytes: int = BLOCK_BYTES

    @classmethod
    def open(cls, folder: Path, titles: bool = False, block_bytes: int = BLOCK_BYTES) -> "Delivery":
        """Find the tables that a corpus needs, with the titles where they are part of the text.

        Raises UserError as `delivery_files` does.
        """
        return cls(folder, find(folder, needed_tables(titles)), block_bytes=block_bytes)

    def checksum(self) -> str:
        """SHA-256 over the names, sizes and CRC-32s of the delivery's files (whole contents of extracted CSVs)."""
        return checksum(self.contents)

    def read(self, table: str, columns: Sequence[str], task: str | None = None) -> Iterator[pl.DataFrame]:
        """Stream `columns` of `table` ("tls201") in batches, at least one per part, with progress named `task`.

        Columns are found by header name in any case. Types: see `COLUMNS`; missing values, as PATSTAT writes them,
        are null. Text is stripped of blanks, IPC symbols only on their right.
        Raises UserError, naming file and row, for all that is wrong with the files, and at the end of the table where
        the rows read are not as many as in the RowCount file.
        """
        expected = self.contents.row_counts.get(table)
        rows = 0
        with Progress(task or f"read {table}", expected, "rows") as progress:
            for part in self.contents.parts[table]:
                for batch in _read_part(part, columns, self.block_bytes):
                    rows += batch.height
                    progress.advance(batch.height)
                    yield batch
        if expected is not None and rows != expected:
            files = ", ".join(str(part) for part in self.contents.parts[table])
            raise UserError(
                f"{table} has {rows:,} rows where {self.contents.row_count_disk} has {expected:,} (read: {files}); "
                "fetch these files again, or all parts of the table from the same edition"
            )
        self.counts[table] = TableCount(rows, expected)


def _read_part(part: Part, columns: Sequence[str], block_bytes: int) -> Iterator[pl.DataFrame]:
    with open_part(part) as stream:
        try:
            header = _header(part, stream, block_bytes)
        except READ_ERRORS as error:
            raise damage(f"{part}, row 1", error) from None
        names = {name.casefold(): name for name in header}
        for column in columns:
            if column not in names:
                raise UserError(f"{part} has no column {column!r}; its header has {', '.join(header)}")
        include = [names[column] for column in columns]
        first_row = 2
        if stream.peek(1):  # type: ignore[attr-defined]  # buffered files and zipfile's streams have it
            for block in _blocks(part, stream, header, include, block_bytes):
                yield _typed(part, block, columns, first_row)
                first_row += block.num_rows
        if first_row == 2:  # no row at all, but the columns and their types are known
            yield _typed(
                part, pa.RecordBatch.from_pydict({name: pa.array([], pa.binary()) for name in include}), columns, 2
            )


def _header(part: Part, stream: BinaryIO, block_bytes: int) -> list[str]:
    line = stream.readline(block_bytes)
    try:
        header = next(csv.reader([line.decode("utf-8-sig")]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{part}, row 1: the header is not readable ({error}); fetch the file again") from None
    header = [name.strip() for name in header]
    if not any(header):
        raise UserError(f"{part} is empty or has no header row; fetch the file again")
    if len({name.casefold() for name in header}) < len(header):
        raise UserError(f"{part}, row 1: the header has a column twice: {', '.join(header)}")
    return header


def _blocks(
    part: Part, stream: BinaryIO, header: list[str], include: list[str], block_bytes: int
) -> Iterator[pa.RecordBatch]:
    """The wanted columns as bytes, unconverted: whatever is wrong inside a value is then found with its row."""
    invalid: list[pyarrow.csv.InvalidRow] = []

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        invalid.append(row)
        return "error"

    rows = 0
    try:
        reader = pyarrow.csv.open_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,  # with threads, rows have no numbers
                block_size=block_bytes,
                column_names=header,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                quote_char='"',
                double_quote=True,
                escape_char=False,
                newlines_in_values=True,
                invalid_row_handler=refuse,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=include,
                column_types={name: pa.binary() for name in include},
                strings_can_be_null=False,
            ),
        )
        for block in reader:
            rows += block.num_rows
            yield block
    except pa.ArrowInvalid as error:
        if invalid:
            row = invalid[0]
            raise UserError(
                f"{part}, row {row.number + 1}: {row.actual_columns} columns where the header has "
                f"{row.expected_columns}, at {_shown(row.text)}; repair the row (a quote inside a value must be "
                "doubled) or fetch the file again"
            ) from None
        if "straddling" in str(error):
            raise UserError(
                f"{part}: a value that starts after row {rows + 1} is longer than {block_bytes >> 20} MB, so a closing "
                "quote is missing; repair the row or fetch the file again"
            ) from None
        raise UserError(f"{part}, after row {rows + 1}: {error}; fetch the file again") from None
    except READ_ERRORS as error:
        raise damage(f"{part}, after row {rows + 1}", error) from None


def _typed(part: Part, block: pa.RecordBatch, columns: Sequence[str], first_row: int) -> pl.DataFrame:
    series = []
    for column, values in zip(columns, block.columns, strict=True):
        try:
            text = pl.Series(column, values.cast(pa.string()))
        except pa.ArrowInvalid:
            row = first_row + next(place for place, value in enumerate(values) if not _is_utf8(value.as_py()))
            raise UserError(
                f"{part}, row {row}: {column} is not valid UTF-8; repair the row or fetch the file again"
            ) from None
        trimmed = text.str.strip_chars_end() if column == "ipc_class_symbol" else text.str.strip_chars()
        present = trimmed.set(trimmed.str.len_bytes() == 0, None)
        if column == "appln_id" and present.null_count():
            row = first_row + int(present.is_null().arg_max() or 0)
            raise UserError(f"{part}, row {row}: appln_id is empty; repair the row or fetch the file again")
        typed, expected = COLUMNS[column](present)
        if typed.null_count() > present.null_count():
            wrong = int((typed.is_null() & present.is_not_null()).arg_max() or 0)
            raise UserError(
                f"{part}, row {first_row + wrong}: {column} is {_shown(present[wrong])}, not {expected}; "
                "repair the row or fetch the file again"
            )
        series.append(_without_missing(typed, column))
    return pl.DataFrame(series)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _text(values: pl.Series) -> tuple[pl.Series, str]:
    return values, "text"


def _whole_number(values: pl.Series) -> tuple[pl.Series, str]:
    return values.cast(pl.Int32, strict=False), "a whole number below 2,147,483,648"


def _date(values: pl.Series) -> tuple[pl.Series, str]:
    return values.str.to_date("%Y-%m-%d", strict=False), "a date like 2001-12-31"


# How each column that a corpus is made of is read: text, whole numbers (Int32) or dates.
COLUMNS: dict[str, Callable[[pl.Series], tuple[pl.Series, str]]] = {
    "appln_id": _whole_number,
    "appln_auth": _text,
    "appln_kind": _text,
    "appln_filing_date": _date,
    "appln_filing_year": _whole_number,
    "ipr_type": _text,
    "docdb_family_id": _whole_number,
    "appln_title_lg": _text,
    "appln_title": _text,
    "appln_abstract_lg": _text,
    "appln_abstract": _text,
    "ipc_class_symbol": _text,
    "ipc_value": _text,
}


def _without_missing(values: pl.Series, column: str) -> pl.Series:
    """Null in place of the numbers and dates that PATSTAT writes where a value is not known."""
    if column == "docdb_family_id":
        return values.set(values == 0, None)
    if column == "appln_filing_year":
        return values.set(values.is_in([0, 9999]), None)
    if values.dtype == pl.Date:
        return values.set(values.dt.year() == 9999, None)
    return values
