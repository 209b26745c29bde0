"""New texts: a table of a user, CSV or Parquet, read so that every row is accounted for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import CsvFile, shown, unreadable

COLUMNS = ("document_id", "text")
REMEDY = "correct it there and run this again"
# Raises UserError about a row, counted from 0, for a problem.
Refuse = Callable[[int, str], NoReturn]


def read_texts(path: Path) -> pl.DataFrame:
    """A CSV or Parquet table with the columns document_id and text, both as text, in the order of its rows.

    The path is taken as it is, also where it has characters of patterns. Raises UserError, naming the line of a CSV or
    the row of a Parquet file, for another format, a missing column, values that are not text (or, of ids, whole
    numbers), a missing id or text, and an id that is there twice.
    """
    ending = path.suffix.lower()
    if ending == ".csv":
        table, refuse = _from_csv(path)
    elif ending == ".parquet":
        table, refuse = _from_parquet(path)
    else:
        raise UserError(f"{path}: new texts come as .csv or .parquet")
    if table.is_empty():
        raise UserError(f"{path} has no rows, so there is nothing to label")
    for name in COLUMNS:
        missing = table[name].fill_null("").str.strip_chars().str.len_bytes() == 0
        if missing.any():
            refuse(int(missing.arg_max() or 0), f"{name} is missing")
    again = table["document_id"].is_duplicated() & ~table["document_id"].is_first_distinct()
    if again.any():
        row = int(again.arg_max() or 0)
        refuse(row, f"the document_id {shown(table['document_id'][row])} is there more than once")
    return table


def _from_csv(path: Path) -> tuple[pl.DataFrame, Refuse]:
    file = CsvFile(str(path), lambda: _opened(path), REMEDY)
    blocks = [
        pl.DataFrame({column: pl.Series(column, block.text(column), dtype=pl.String) for column in COLUMNS})
        for block in file.blocks(COLUMNS)
    ]
    return pl.concat(blocks), lambda row, problem: file.refuse_record(row + 1, problem)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        content = path.open("rb")
    except OSError as error:
        raise unreadable(str(path), error) from None
    with content:
        yield content


def _from_parquet(path: Path) -> tuple[pl.DataFrame, Refuse]:
    try:
        # Opened here: pyarrow takes a path that it is given for an address, too.
        with path.open("rb") as content, pq.ParquetFile(content) as file:
            for column in COLUMNS:
                _check_type(path, file.schema_arrow, column)
            table = file.read(columns=list(COLUMNS)).select(COLUMNS)
        table.validate(full=True)  # text that is not UTF-8, too
        texts = [_as_text(table[column]) for column in COLUMNS]
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: a name that is not UTF-8
        raise UserError(f"{path} could not be read: {_reason(error)}") from error

    def refuse(row: int, problem: str) -> NoReturn:  # such a file has no lines: rows are counted from 1
        raise UserError(f"{path}, row {row + 1}: {problem}; {REMEDY}")

    return pl.DataFrame(dict(zip(COLUMNS, texts, strict=True))), refuse


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


def _as_text(values: pa.ChunkedArray) -> pl.Series:
    plain = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    converted = pl.from_arrow(values.cast(plain).cast(pa.large_string()))
    assert isinstance(converted, pl.Series)
    return converted
