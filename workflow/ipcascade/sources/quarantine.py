"""Rows that are left out since a value in them cannot be: each with its file, line and reason.

A file that is damaged as a whole (quotes, bytes, missing columns) is refused; a row here and there is not worth a run
of hours. More of them than a share that the config allows end the run with the first one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ipcascade.core.strict_csv import CsvFile

MOST_ROWS = 10_000
"""Rows of a table that can be left out at most, whatever the share."""


@dataclass(frozen=True)
class BadRow:
    """A row of a file, counted from 1 after the header, and what is wrong with it."""

    file: CsvFile
    record: int
    reason: str


@dataclass
class Quarantine:
    """The rows that were left out, by table. most: the share of a table's rows that may be.

    A table may be read several times, with other columns: a row is one row however often it was found.
    """

    most: float
    rows: dict[str, dict[tuple[str, int], BadRow]] = field(default_factory=dict)

    def add(self, table: str, file: CsvFile, reasons: Iterable[tuple[int, str]]) -> None:
        """Note rows of a file, counted from 1 after the header, and what is wrong with each.

        Raises UserError about the first one where they are far too many.
        """
        found = self.rows.setdefault(table, {})
        for record, reason in reasons:
            found.setdefault((file.name, record), BadRow(file, record, reason))
        if found and self.most == 0:
            self._refuse(table, "")
        if len(found) > MOST_ROWS:
            self._refuse(table, f" (and there are more than {MOST_ROWS:,} such rows)")

    def amount(self, table: str) -> int:
        """How many rows of a table are left out."""
        return len(self.rows.get(table, ()))

    def of_file(self, table: str, file: CsvFile) -> list[tuple[int, str]]:
        """The rows of a file, as they were noted."""
        rows = self.rows.get(table, {})
        return [(record, row.reason) for (name, record), row in rows.items() if name == file.name]

    def check(self, table: str, read: int) -> None:
        """Raise UserError about the first of a table's rows where more are left out than may be; read: all its rows."""
        if self.amount(table) > self.most * read:
            share = f"{self.amount(table):,} of {read:,} rows are so; source.malformed_share allows {self.most:g}"
            self._refuse(table, f" ({share})")

    def lines(self) -> list[tuple[str, str, int, str]]:
        """Table, file, line of the file, and reason of each row."""
        listed = []
        for table, rows in sorted(self.rows.items()):
            for name in sorted({name for name, _ in rows}):
                of_file = [row for key, row in sorted(rows.items(), key=lambda item: item[0]) if key[0] == name]
                lines = of_file[0].file.lines_of([row.record for row in of_file])
                listed += [(table, name, line, row.reason) for line, row in zip(lines, of_file, strict=True)]
        return listed

    def _refuse(self, table: str, addition: str) -> None:
        first = self.rows[table][min(self.rows[table])]
        first.file.refuse_record(first.record, f"{first.reason}{addition}")
