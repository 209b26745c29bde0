"""What every source of documents gives, so that the corpus knows none of them.

An *application* is what may become a document: a patent application, or a row of a table. It is known by a whole number
above 0 that depends on nothing but the application itself, so neither the order of files nor what else is there changes
a document. Everything comes as streams of typed batches, in which a missing value is null.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import polars as pl

from ipcascade.sources.quarantine import Quarantine


@dataclass
class TableCount:
    """Rows of a table: as read, as the source says (None where it does not), and how many of them were left out."""

    rows: int
    expected: int | None
    quarantined: int = 0


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
    sentences on what could not be checked; counts: rows of each table that was read to its end; quarantine: rows that
    were left out.
    """

    place: str
    id_name: str
    start: tuple[str, str]
    symbol_name: str
    filters: frozenset[str]
    own_filters: tuple[OwnFilter, ...] = ()

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.counts: dict[str, TableCount] = {}
        self.quarantine = Quarantine(0.0)

    @abstractmethod
    def applications(self) -> Iterator[pl.DataFrame]:
        """All applications; at least one batch.

        Columns: application (whole number), office and kind (text), right (of patents: PI, UM, DP), date, year,
        family (whole number: applications of one invention, null where none is known) and link (whole number:
        applications with the same one belong into one split, null for none).
        """

    @abstractmethod
    def symbols(self, values: bool) -> Iterator[pl.DataFrame]:
        """Columns application, symbol and, where `values`, value (I for invention, N for additional)."""

    @abstractmethod
    def texts(self, field: str, task: str) -> Iterator[pl.DataFrame]:
        """A field of the text (`abstract`, `title`), with progress named `task`; at least one batch.

        Columns: application, language and text, and what `document_ids` needs.
        """

    @abstractmethod
    def table_of(self, field: str | None) -> str:
        """The table that has a field of the text, or (None) the applications, for messages."""

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
