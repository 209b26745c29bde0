"""A PATSTAT Global delivery as a source of documents."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
import polars as pl

from ipcascade.core.classifications import SYMBOLS, Classification
from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import BLOCK_BYTES
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.base import OwnFilter, Source, TableCount
from ipcascade.sources.kinds import PATSTAT_FILTERS, PATSTAT_SYMBOLS, PATSTAT_TEXTS
from ipcascade.sources.options import PostgresOptions
from ipcascade.sources.patstat.database import Database
from ipcascade.sources.patstat.tables import Delivery
from ipcascade.sources.quarantine import Quarantine

NAMED_AT_ONCE = 1 << 18
DUMMY_KINDS = ("D", "Q", "D2")
# Ids above belong to dummy applications, which PATSTAT invents for cited numbers that it does not hold.
LARGEST_APPLN_ID = 900_000_000
IS_DUMMY = (
    pl.col("kind").is_in(DUMMY_KINDS).fill_null(False)
    | (pl.col("application") <= 0)
    | (pl.col("application") > LARGEST_APPLN_ID)
)
APPLICATIONS = {
    "appln_id": "application", "appln_auth": "office", "appln_kind": "kind", "ipr_type": "right",
    "appln_filing_date": "date", "appln_filing_year": "year", "docdb_family_id": "family",
}  # fmt: skip


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
    delivery = Delivery.open(folder, titles, classification, block_bytes)
    delivery.quarantine = Quarantine(malformed_share)
    source = _Patstat(delivery, classification, delivery.contents.notes)
    source.quarantine = delivery.quarantine
    return source


class _Reader(Protocol):
    """What reads PATSTAT's tables: a delivery, or a database."""

    counts: dict[str, TableCount]

    @property
    def place(self) -> str: ...

    def read(self, table: str, columns: Sequence[str], task: str | None = None) -> Iterator[pl.DataFrame]: ...

    def checksum(self) -> str: ...


def open_postgres(options: PostgresOptions, corpus: CorpusOptions) -> Source:
    """A database that PATSTAT was loaded into. Raises UserError where it cannot be reached."""
    note = "the rows of a database are read as they are: whether all of a delivery were loaded could not be checked"
    return _Patstat(Database(options, corpus), corpus.classification, [note])


class _Patstat(Source):
    id_name = "appln_id"
    start = ("tls201_appln", "applications")
    filters = frozenset(PATSTAT_FILTERS)
    own_filters = (OwnFilter("no dummy application", ~IS_DUMMY),)

    def __init__(self, reader: _Reader, classification: Classification, notes: Sequence[str]) -> None:
        super().__init__()
        self.symbol_name = SYMBOLS[classification]
        self._symbols = PATSTAT_SYMBOLS[classification]
        self.place = reader.place
        self.notes = list(notes)
        self.counts = reader.counts
        self._reader = reader

    def applications(self) -> Iterator[pl.DataFrame]:
        for batch in self._reader.read("tls201", list(APPLICATIONS)):
            yield batch.rename(APPLICATIONS).with_columns(link=pl.lit(None, pl.Int64))

    def symbols(self, values: bool) -> Iterator[pl.DataFrame]:
        table, column = self._symbols
        names = {"appln_id": "application", column: "symbol", "ipc_value": "value"}
        for batch in self._reader.read(table, ["appln_id", column, *(["ipc_value"] if values else [])]):
            yield batch.rename(names, strict=False)

    def texts(self, field: str, task: str) -> Iterator[pl.DataFrame]:
        table, column = PATSTAT_TEXTS[field]
        names = {"appln_id": "application", f"{column}_lg": "language", column: "text"}
        for batch in self._reader.read(table, list(names), task=task):
            yield batch.rename(names)

    def table_of(self, field: str | None) -> str:
        return "tls201" if field is None else PATSTAT_TEXTS[field][0]

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
