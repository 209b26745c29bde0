"""Tables for users, written block by block, so that their size does not matter: as Parquet or as CSV."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError
from ipcascade.core.files import table_metadata, written_whole

SEPARATOR = ";"
"""Between the codes, or ids, of a list in a CSV."""
ENDINGS = (".parquet", ".csv")


class _Writer(Protocol):
    def write(self, block: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


class ParquetBlocks:
    """A Parquet file with a row group per block. The first block says which columns there are."""

    def __init__(self, path: Path, facts: Mapping[str, Any] | None = None) -> None:
        self._path, self._facts = path, facts or {}
        self._writer: pq.ParquetWriter | None = None

    def write(self, block: pl.DataFrame) -> None:
        """Add a block."""
        table = block.to_arrow(compat_level=pl.CompatLevel.oldest()).replace_schema_metadata(
            table_metadata(self._facts)
        )
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=max(1, len(table)))

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


class _CsvBlocks:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._header = True

    def write(self, block: pl.DataFrame) -> None:
        joined = [
            pl.col(name).cast(pl.List(pl.String)).list.join(SEPARATOR, ignore_nulls=True)
            for name, kind in block.schema.items()
            if isinstance(kind, pl.List)
        ]
        block.with_columns(joined).write_csv(self._file, include_header=self._header)
        self._header = False

    def close(self) -> None:
        self._file.close()


def write_blocks(path: Path, blocks: Iterable[pl.DataFrame], facts: Mapping[str, Any] | None = None) -> None:
    """Write the blocks of a table whole, as Parquet or CSV by the ending of the path.

    facts: JSON-able, they travel in the metadata of Parquet. Lists are joined with `SEPARATOR` in a CSV. Raises
    UserError for a column that a CSV cannot hold.
    """
    with written_whole(path) as temporary:
        writer: _Writer = _CsvBlocks(temporary) if path.suffix.lower() == ".csv" else ParquetBlocks(temporary, facts)
        try:
            for block in blocks:
                _write(writer, block, path)
        finally:
            writer.close()


def _write(writer: _Writer, block: pl.DataFrame, path: Path) -> None:
    try:
        writer.write(block)
    except (pl.exceptions.ComputeError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be written: {str(error).splitlines()[0]}; write .parquet") from error


def of_equal_size(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The rows of some frames in frames of so many rows, but for the last one; without any rows an empty one."""
    waiting = list[pl.DataFrame]()
    some = False
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= rows:
            whole = pl.concat(waiting)
            yield from (whole.slice(start, rows) for start in range(0, len(whole) - rows + 1, rows))
            waiting = [whole.slice(len(whole) // rows * rows)]
            some = True
    if waiting and (sum(map(len, waiting)) or not some):
        yield pl.concat(waiting)


def read_blocks(path: Path) -> Iterator[pl.DataFrame]:
    """The blocks of a Parquet file that `write_blocks` wrote; none of a table without columns."""
    with pq.ParquetFile(path, pre_buffer=False) as file:  # else all that was read stays in memory
        for group in range(file.num_row_groups):
            frame = pl.from_arrow(file.read_row_group(group))
            assert isinstance(frame, pl.DataFrame)
            if frame.width:
                yield frame
