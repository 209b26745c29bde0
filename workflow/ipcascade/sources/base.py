"""What every source of documents gives, so that the corpus knows none of them.

An *application* is what may become a document: a patent application, or a row of a table. It is known by a whole number
above 0 that depends on nothing but the application itself, so neither the order of files nor what else is there changes
a document. Everything comes as streams of typed batches, in which a missing value is null; and in parts (the files of a
table), each of which can be read on its own, by another process, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

import numpy as np
import polars as pl

from ipcascade.core.strict_csv import CsvFile
from ipcascade.sources.quarantine import Quarantine

APPLICATIONS, SYMBOLS = "applications", "symbols"
"""What a source gives beside the fields of texts."""
SymbolFact = Literal["value", "weight"]


@dataclass
class TableCount:
    """Rows of a table: as read, as the source says (None where it does not), and how many of them were left out."""

    rows: int
    expected: int | None
    quarantined: int = 0


@dataclass(frozen=True)
class PartRead:
    """A part of a table that was read to its end: plain data.

    rows: how many it has; content: what tells whether another part is equal, None where such a part is no fault;
    malformed: the rows that were left out, counted from 1 after the header, and what is wrong with each.
    """

    table: str
    part: int
    rows: int
    content: str | None = None
    malformed: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True)
class OwnFilter:
    """A filter that a source brings along: its step of the funnel, and which applications it keeps.

    keeps: an expression on the columns of `Source.applications`, which may be more than all sources have.
    """

    step: str
    keeps: pl.Expr


class Source(ABC):
    """Applications with their symbols (of the classification) and texts.

    place: the folder or file, for messages; id_name: what the source calls the id of an application; start: the first
    step of the funnel, and the unit that it counts; symbol_name: what a label is cut from; own_filters: applied before
    those of the config; filters: keys of the section `corpus` that it can serve, of those that need a column; notes:
    sentences on what could not be checked; quarantine: rows that were left out; advance: called with the number of rows
    that were read, now and then; reads: the parts that this object read to their ends; counts: rows of each table of
    which `complete` was told.
    """

    place: str
    id_name: str
    start: tuple[str, str]
    symbol_name: str
    filters: frozenset[str]
    own_filters: tuple[OwnFilter, ...] = ()

    def __init__(self, malformed_share: float = 0.0) -> None:
        self.notes: list[str] = []
        self.counts: dict[str, TableCount] = {}
        self.reads: list[PartRead] = []
        self.quarantine = Quarantine(malformed_share)
        self.advance: Callable[[int], object] = lambda rows: None

    @abstractmethod
    def parts(self, what: str) -> list[int]:
        """The parts of the applications, the symbols or a field of the text, each by its bytes on disk.

        Sources that cannot be read by several processes have one part of everything.
        """

    @abstractmethod
    def applications(self, part: int) -> Iterator[pl.DataFrame]:
        """The applications of a part, from 0; at least one batch.

        Columns: application (whole number), office and kind (text), right (of patents: PI, UM, DP), date, year,
        family (whole number: applications of one invention, null where none is known) and link (whole number:
        applications with the same one belong into one split, null for none).
        """

    @abstractmethod
    def symbols(self, part: int, also: Sequence[SymbolFact] = ()) -> Iterator[pl.DataFrame]:
        """Columns application, symbol and those asked for: value (text: I for invention, N for additional), weight."""

    @abstractmethod
    def texts(self, field: str, part: int) -> Iterator[pl.DataFrame]:
        """A field of the text (`abstract`, `title`); at least one batch.

        Columns: application, language and text, and what `document_ids` needs.
        """

    @abstractmethod
    def table_of(self, what: str) -> str:
        """The table that has the applications, the symbols or a field of the text, for messages."""

    def complete(self, reads: Sequence[PartRead]) -> None:
        """Count the rows of tables of which all parts were read, by this object or by others of the same source.

        Raises UserError where they are not as many as they should be, where parts are equal, and where more rows were
        left out than may be.
        """
        for table in dict.fromkeys(read.table for read in reads):
            parts = sorted((read for read in reads if read.table == table), key=lambda read: read.part)
            rows = sum(read.rows for read in parts)
            for read in parts:
                if read.malformed and (file := self.file_of(read)):
                    self.quarantine.add(table, file, read.malformed)
            expected = self.check_table(table, parts, rows)
            self.quarantine.check(table, rows)
            self.counts[table] = TableCount(rows, expected, self.quarantine.amount(table))

    def expected_rows(self, what: str) -> int | None:
        """How many rows there should be of the applications, the symbols or a field; None where it is not known."""
        return None

    def check_table(self, table: str, parts: Sequence[PartRead], rows: int) -> int | None:
        """Raise UserError where the parts cannot be all of the table; return how many rows it should have, if known."""
        return None

    def file_of(self, read: PartRead) -> CsvFile | None:
        """The file of a part, whose rows may be left out; None of a source that leaves none out."""
        return None

    @abstractmethod
    def document_ids(self, batch: pl.DataFrame) -> pl.Series:
        """The ids, as text, of the documents in rows of `texts`."""

    @abstractmethod
    def family_names(self, families: np.ndarray) -> Iterator[pl.DataFrame]:
        """Columns family and name (text) of some families (sorted), in any order, maybe some again.

        A family is that of `applications`, or the negative application where it has none.
        """

    @abstractmethod
    def refuse_double(self, table: str, application: int) -> NoReturn:
        """Raise UserError about an application that a table has more than once."""

    @abstractmethod
    def checksum(self) -> str:
        """SHA-256 of all that it reads."""

    def identity(self) -> str | None:
        """What tells, before it is read, whether it is the same as at another time; None where nothing does."""
        return self.checksum()
