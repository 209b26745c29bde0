"""A PATSTAT Global delivery as a source of documents."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
import polars as pl

from ipcascade.core.classifications import SYMBOL_NAMES, Classification
from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import BLOCK_BYTES, CsvFile
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.base import APPLICATIONS, SYMBOLS, OwnFilter, PartRead, Source, SymbolFact
from ipcascade.sources.kinds import PATSTAT_FILTERS, PATSTAT_SYMBOLS, PATSTAT_TEXTS
from ipcascade.sources.options import PostgresOptions
from ipcascade.sources.patstat.database import Database
from ipcascade.sources.patstat.tables import Delivery

NAMED_AT_ONCE = 1 << 18
DUMMY_KINDS = ("D", "Q", "D2")
# Ids above belong to dummy applications, which PATSTAT invents for cited numbers that it does not hold.
LARGEST_APPLN_ID = 900_000_000
IS_DUMMY = (
    pl.col("kind").is_in(DUMMY_KINDS).fill_null(False)
    | (pl.col("application") <= 0)
    | (pl.col("application") > LARGEST_APPLN_ID)
)
COLUMNS_OF_APPLICATIONS = {
    "appln_id": "application", "appln_auth": "office", "appln_kind": "kind", "ipr_type": "right",
    "appln_filing_date": "date", "appln_filing_year": "year", "docdb_family_id": "family",
}  # fmt: skip

COLUMNS_OF_SYMBOLS: dict[SymbolFact, str] = {"value": "ipc_value", "weight": "weight"}


def open_patstat(
    folder: Path,
    titles: bool = False,
    classification: Classification = "ipc",
    block_bytes: int = BLOCK_BYTES,
    malformed_share: float = 0.0,
) -> Source:
    """A delivery, with the tables that a corpus needs, titles where they are part of the text.

    malformed_share: of a table's rows, at most so many are left out for a value that cannot be. An application is known
    by its appln_id. Raises UserError as `delivery_files` does.
    """
    delivery = Delivery(folder, titles, classification, block_bytes)
    return _Patstat(delivery, classification, delivery.contents.notes, malformed_share)


class _Reader(Protocol):
    """What reads PATSTAT's tables: a delivery, or a database."""

    @property
    def place(self) -> str: ...

    def parts(self, table: str) -> list[int]: ...

    def read(self, table: str, part: int, columns: Sequence[str], source: Source) -> Iterator[pl.DataFrame]: ...

    def expected_rows(self, table: str) -> int | None: ...

    def check_table(self, table: str, reads: Sequence[PartRead], rows: int) -> None: ...

    def file_of(self, read: PartRead) -> CsvFile | None: ...

    def checksum(self) -> str: ...

    def identity(self) -> str | None: ...


def open_postgres(options: PostgresOptions, corpus: CorpusOptions) -> Source:
    """A database that PATSTAT was loaded into. Raises UserError where it cannot be reached."""
    note = "the rows of a database are read as they are: whether all of a delivery were loaded could not be checked"
    return _Patstat(Database(options, corpus), corpus.classification, [note])


class _Patstat(Source):
    id_name = "appln_id"
    start = ("tls201_appln", "applications")
    filters = frozenset(PATSTAT_FILTERS)
    own_filters = (OwnFilter("no dummy application", ~IS_DUMMY),)

    def __init__(
        self, reader: _Reader, classification: Classification, notes: Sequence[str], malformed_share: float = 0.0
    ) -> None:
        super().__init__(malformed_share)
        self.symbol_name = SYMBOL_NAMES[classification]
        self._symbols = PATSTAT_SYMBOLS[classification]
        self.place = reader.place
        self.notes = list(notes)
        self._reader = reader

    def parts(self, what: str) -> list[int]:
        return self._reader.parts(self.table_of(what))

    def applications(self, part: int) -> Iterator[pl.DataFrame]:
        for batch in self._reader.read("tls201", part, list(COLUMNS_OF_APPLICATIONS), self):
            yield batch.rename(COLUMNS_OF_APPLICATIONS).with_columns(link=pl.lit(None, pl.Int64))

    def symbols(self, part: int, also: Sequence[SymbolFact] = ()) -> Iterator[pl.DataFrame]:
        table, column = self._symbols
        names = {"appln_id": "application", column: "symbol"} | {COLUMNS_OF_SYMBOLS[fact]: fact for fact in also}
        for batch in self._reader.read(table, part, list(names), self):
            yield batch.rename(names)

    def texts(self, field: str, part: int) -> Iterator[pl.DataFrame]:
        table, column = PATSTAT_TEXTS[field]
        names = {"appln_id": "application", f"{column}_lg": "language", column: "text"}
        for batch in self._reader.read(table, part, list(names), self):
            yield batch.rename(names)

    def table_of(self, what: str) -> str:
        if what == APPLICATIONS:
            return "tls201"
        return self._symbols[0] if what == SYMBOLS else PATSTAT_TEXTS[what][0]

    def expected_rows(self, what: str) -> int | None:
        return self._reader.expected_rows(self.table_of(what))

    def check_table(self, table: str, parts: Sequence[PartRead], rows: int) -> int | None:
        self._reader.check_table(table, parts, rows)
        return self._reader.expected_rows(table)

    def file_of(self, read: PartRead) -> CsvFile | None:
        return self._reader.file_of(read)

    def document_ids(self, batch: pl.DataFrame) -> pl.Series:
        return batch["application"].cast(pl.String)

    def family_names(self, families: np.ndarray) -> Iterator[pl.DataFrame]:
        """The DOCDB id, or `appln-` and the appln_id of an application without one."""
        family = pl.col("family")
        name = pl.when(family > 0).then(family.cast(pl.String)).otherwise(pl.format("appln-{}", -family))
        for start in range(0, len(families), NAMED_AT_ONCE):
            yield pl.DataFrame({"family": families[start : start + NAMED_AT_ONCE]}).with_columns(name=name)

    def refuse_double(self, table: str, application: int) -> NoReturn:
        raise UserError(
            f"{table} has appln_id {application} more than once; keep only the files of one edition in the folder"
        )

    def checksum(self) -> str:
        return self._reader.checksum()

    def identity(self) -> str | None:
        return self._reader.identity()
