"""Rows that are left out since a value in them cannot be: each with its file, line and reason.

A file that is damaged as a whole (quotes, bytes, missing columns) is refused; a row here and there is not worth a run
of hours. More of them than a share that the config allows end the run with the first one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ipcascade.core.strict_csv import CsvBlock, CsvFile

MOST_ROWS = 10_000
"""Rows of a table that can be left out, whatever the share."""


@dataclass(frozen=True)
class BadRow:
    """A row of a file, counted from 1 after the header, and what is wrong with it."""

    file: CsvFile
    record: int
    reason: str


@dataclass
class Quarantine:
    """The rows that were left out, by table. most: the share of a table's rows that may be."""

    most: float
    rows: dict[str, list[BadRow]] = field(default_factory=dict)

    def add(self, table: str, block: CsvBlock, reasons: Iterable[tuple[int, str]]) -> None:
        """Note rows of a block, counted from 0. Raises UserError about the first one where they are far too many."""
        found = self.rows.setdefault(table, [])
        found += [BadRow(block.file, block.first + row, reason) for row, reason in reasons]
        if len(found) > MOST_ROWS or (found and self.most == 0):
            self._refuse(table, "")

    def check(self, table: str, read: int) -> None:
        """Raise UserError about the first of a table's rows where more are left out than may be; read: all its rows."""
        found = self.rows.get(table, [])
        if len(found) > self.most * read:
            self._refuse(
                table, f" ({len(found):,} of {read:,} rows are so; source.malformed_share allows {self.most:g})"
            )

    def start(self, table: str) -> None:
        """Forget the rows of a table that is read again."""
        self.rows.pop(table, None)

    def lines(self) -> list[tuple[str, str, int, str]]:
        """Table, file, line of the file, and reason of each row."""
        listed = []
        for table, rows in sorted(self.rows.items()):
            for file in dict.fromkeys(row.file for row in rows):
                of_file = [row for row in rows if row.file is file]
                lines = file.lines_of([row.record for row in of_file])
                listed += [(table, file.name, line, row.reason) for line, row in zip(lines, of_file, strict=True)]
        return listed

    def _refuse(self, table: str, addition: str) -> None:
        first = self.rows[table][0]
        first.file.refuse_record(first.record, f"{first.reason}{addition}")
