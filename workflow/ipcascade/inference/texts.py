"""New texts: tables of a user, of any size, read block by block so that every row is accounted for.

A table is read twice: first all of it to check it, then again to label it. So a fault in the last row is told within
minutes, not after days, and memory holds a block at a time.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import polars as pl

from ipcascade.core.block_files import of_equal_size
from ipcascade.core.errors import UserError
from ipcascade.core.progress import Progress
from ipcascade.core.strict_csv import shown
from ipcascade.core.user_tables import Role, UserTable

COLUMNS = {"document_id": Role.ID, "text": Role.TEXT}
SUFFIXES = (".csv", ".csv.gz", ".parquet")
BLOCK_ROWS = 4096
"""Rows that are labelled together. Blocks begin at multiples of it, so what is in one does not depend on where a run
was interrupted or how its work was divided."""
HASHES_AT_ONCE = 1 << 26
"""Hashes of ids that are compared in memory at once, 8 bytes each."""


class TextTable:
    """A table of texts with the columns document_id and text, and any others.

    columns: the names of all its columns, in its order.
    """

    def __init__(self, table: UserTable) -> None:
        self._table = table
        self.path, self.columns = table.path, table.columns
        self._roles = {name: COLUMNS.get(name, Role.ANY) for name in table.columns}

    @classmethod
    def open(cls, path: Path) -> "TextTable":
        """A table in CSV (also compressed, .csv.gz) or Parquet, or a folder of such files of equal columns.

        Raises UserError where it is none of these, cannot be read, lacks a column or has one twice, or holds ids or
        texts of another type than text (or, of ids, whole numbers).
        """
        table = UserTable.open(path, "new texts", SUFFIXES)
        table.check(COLUMNS)
        for file in table.files:  # other columns are kept as they are stored, so they must be stored alike
            if file.columns != table.files[0].columns:
                raise UserError(
                    f"{file.path} has other columns than {table.files[0].path}; all files of a folder must be alike"
                )
        return cls(table)

    def check(self) -> int:
        """Read all rows and return how many there are.

        Raises UserError, naming the line of a CSV or the row of a Parquet file, where it cannot be read, has no rows,
        or for a missing id or text or an id that is there twice.
        """
        rows = 0
        with _SeenIds() as seen, Progress("checking texts", None, "texts") as progress:
            for piece in self._table.pieces(self._roles):
                for name in COLUMNS:
                    missing = piece.frame[name].fill_null("").str.strip_chars().str.len_bytes() == 0
                    if missing.any():
                        piece.refuse(int(missing.arg_max() or 0), f"{name} is missing")
                seen.add(piece.frame["document_id"])
                rows += len(piece.frame)
                progress.advance(len(piece.frame))
            suspects = seen.repeated()
        if not rows:
            raise UserError(f"{self.path} has no rows, so there is nothing to label")
        if len(suspects):
            self._refuse_repeated(suspects)
        return rows

    def blocks(self, first: int = 0) -> Iterator[pl.DataFrame]:
        """All columns, `BLOCK_ROWS` rows at a time, from the row `first` (a multiple of it, from 0) to the end."""
        yield from of_equal_size(self._rows_from(first), BLOCK_ROWS)

    def _rows_from(self, first: int) -> Iterator[pl.DataFrame]:
        start = 0
        for piece in self._table.pieces(self._roles):
            yield piece.frame.slice(min(len(piece.frame), max(0, first - start)))
            start += len(piece.frame)

    def _refuse_repeated(self, suspects: np.ndarray) -> None:
        """Raise UserError for the first id that is there twice; equal hashes alone are no proof."""
        seen = set[str]()
        for piece in self._table.pieces({"document_id": Role.ID}):
            ids = piece.frame["document_id"]
            for row in np.flatnonzero(np.isin(_hashes(ids), suspects)).tolist():
                if ids[row] in seen:
                    piece.refuse(row, f"the document_id {shown(ids[row])} is there more than once")
                seen.add(ids[row])


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
