"""PATSTAT in a PostgreSQL database as a stream of the same typed tables as a delivery has.

Read only, in one transaction, so that all is of one moment. Who connects where is said by libpq's own means: a service
file and a password file, or its environment variables. Nothing of it is in the config.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl
import pyarrow as pa

from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import CsvFile
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.base import PartRead, Source
from ipcascade.sources.options import PostgresOptions
from ipcascade.sources.patstat.tables import FIRST_YEAR, UNKNOWN_YEAR, without_missing

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

TABLES = {
    "tls201": "tls201_appln",
    "tls202": "tls202_appln_title",
    "tls203": "tls203_appln_abstr",
    "tls209": "tls209_appln_ipc",
    "tls224": "tls224_appln_cpc",
    "tls229": "tls229_appln_nace2",
    "tls230": "tls230_appln_techn_field",
}
"""What PATSTAT calls its tables."""
TYPES = {
    "appln_id": "integer", "docdb_family_id": "integer", "appln_filing_year": "integer", "appln_filing_date": "date",
    "weight": "double precision",
}  # fmt: skip
"""SQL types that columns are read as; all others as text."""
# A transaction lasts for the whole run, in which nothing is asked for at times.
SETTINGS = "-c default_transaction_read_only=on -c idle_in_transaction_session_timeout=0"
CONNECTION = f"postgresql:///?application_name=ipcascade&client_encoding=UTF8&options={quote(SETTINGS)}"


class Database:
    """An opened database."""

    def __init__(self, options: PostgresOptions, corpus: CorpusOptions) -> None:
        self._options = options
        self._connection = _connect(options)
        self._names: dict[str, tuple[str, dict[str, str]]] = {}
        self._corpus = corpus
        self._rows: dict[str, int] = {}

    @property
    def place(self) -> str:
        """What is read, for messages."""
        return _place(self._options)

    def parts(self, table: str) -> list[int]:
        """One part of any table: all is read in one transaction."""
        return [0]

    def read(self, table: str, part: int, columns: Sequence[str], source: Source) -> Iterator[pl.DataFrame]:
        """Stream `columns` of `table` ("tls201") in batches, at least one; types and missing values as in a delivery.

        Of other tables than the applications only rows of those that the filters of the corpus can keep are asked for.
        `source` is told what was read. Raises UserError for a table or column that is not there, and for a value that
        is none of its column.
        """
        rows = 0
        for batch in self._batches(self._query(table, columns)):
            found = pl.from_arrow(batch)
            assert isinstance(found, pl.DataFrame)
            frame = pl.DataFrame([self._typed(table, found[column]) for column in columns])
            rows += frame.height
            source.advance(frame.height)
            yield frame
        self._rows[table] = rows
        source.reads.append(PartRead(table, part, rows))

    def expected_rows(self, table: str) -> int | None:
        """Not known."""
        return None

    def check_table(self, table: str, reads: Sequence[PartRead], rows: int) -> None:
        """Nothing tells how many rows there should be."""

    def file_of(self, read: PartRead) -> CsvFile | None:
        """None: no row of a database is left out."""
        return None

    def identity(self) -> str | None:
        """None: what is in a database is not known before it is read."""
        return None

    def checksum(self) -> str:
        """SHA-256 over the names of the tables that were read and the numbers of their rows: not of their content."""
        facts = sorted(f"{table} {self._names[table][0]} {rows}" for table, rows in self._rows.items())
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()

    def _typed(self, table: str, values: pl.Series) -> pl.Series:
        column = values.name
        if values.dtype == pl.String:
            trimmed = values.str.strip_chars_end() if column.endswith("_class_symbol") else values.str.strip_chars()
            values = trimmed.set(trimmed.str.len_bytes() == 0, None)
        if column == "appln_id" and values.null_count():
            raise UserError(f"{self.place}: {table} has a row without appln_id")
        wrong = pl.Series([], dtype=values.dtype)
        if column == "appln_filing_year":
            wrong = values.filter((values != 0) & ~values.is_between(FIRST_YEAR, UNKNOWN_YEAR))
        elif values.dtype == pl.Int32:
            wrong = values.filter(values < 0)
        if len(wrong):
            raise UserError(f"{self.place}: {table} has {wrong[0]} as {column}, which cannot be; correct it there")
        return without_missing(values, column)

    def _query(self, table: str, columns: Sequence[str]) -> str:
        name, names = self._found(table)
        missing = [column for column in columns if column not in names]
        if missing:
            raise UserError(
                f"{self.place}: {name} has no column {missing[0]!r}; it has {', '.join(sorted(names)) or 'none'}"
            )
        wanted = ", ".join(
            f"CAST({_quoted(names[column])} AS {TYPES.get(column, 'text')}) AS {_quoted(column)}" for column in columns
        )
        query = f"SELECT {wanted} FROM {self._qualified(name)}"
        if table != "tls201" and (conditions := self._conditions()):
            applications, of_applications = self._found("tls201")
            id_ = _quoted(of_applications["appln_id"])
            kept = f"SELECT {id_} FROM {self._qualified(applications)} WHERE {' AND '.join(conditions)}"
            query += f" WHERE {_quoted(names['appln_id'])} IN ({kept})"
        return query

    def _conditions(self) -> list[str]:
        """What applications must fulfil at least to pass the filters of the corpus."""
        corpus, (_, names) = self._corpus, self._found("tls201")
        among = {"ipr_type": corpus.ipr_types, "appln_kind": corpus.kinds, "appln_auth": corpus.offices}
        conditions = [
            f"trim(CAST({_quoted(names[column])} AS text)) IN ({', '.join(map(_literal, values))})"
            for column, values in among.items()
            if values is not None and column in names
        ]
        bounds = {">=": corpus.first_year, "<=": corpus.last_year}
        year = names.get("appln_filing_year")
        if year is not None:
            conditions += [
                f"CAST({_quoted(year)} AS integer) {sign} {bound}"
                for sign, bound in bounds.items()
                if bound is not None
            ]
        return conditions

    def _found(self, table: str) -> tuple[str, dict[str, str]]:
        """The name of a table as the database has it, and those of its columns by what PATSTAT calls them."""
        if table not in self._names:
            wanted = self._options.tables.get(table, TABLES[table])  # type: ignore[call-overload]
            rows = pl.from_arrow(
                pa.Table.from_batches(
                    self._batches(
                        # Not information_schema, which knows no materialized views.
                        "SELECT CAST(relname AS text) AS t, CAST(attname AS text) AS c FROM pg_catalog.pg_class"
                        " JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace"
                        " JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid"
                        " WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND attnum > 0 AND NOT attisdropped"
                        f" AND nspname = {_literal(self._options.in_schema)}"
                        f" AND lower(relname) = lower({_literal(wanted)})"
                    )
                )
            )
            assert isinstance(rows, pl.DataFrame)
            tables = rows["t"].unique().to_list()
            if not tables:
                raise UserError(
                    f"{self.place} has no table {wanted!r} in the schema {self._options.in_schema!r} that can be read; "
                    "see source.postgres in the config"
                )
            name = wanted if wanted in tables else sorted(tables)[0]
            columns = rows.filter(pl.col("t") == name)["c"].to_list()
            self._names[table] = name, {column.lower(): column for column in columns}
        return self._names[table]

    def _qualified(self, name: str) -> str:
        return f"{_quoted(self._options.in_schema)}.{_quoted(name)}"

    def _batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query as they come, at least one batch."""
        from adbc_driver_manager.dbapi import Error

        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                reader = cursor.fetch_record_batch()
                for batch in reader:
                    batch.validate(full=True)  # text that is not UTF-8, from a database that does not know its encoding
                    yield batch
                yield pa.RecordBatch.from_pylist([], reader.schema)
        except (Error, OSError, pa.ArrowInvalid) as error:  # OSError: while rows come
            raise UserError(f"{self.place}: {_reason(error)}") from error


def _connect(options: PostgresOptions) -> "Connection":
    from adbc_driver_manager.dbapi import Error
    from adbc_driver_postgresql import dbapi

    service = f"&service={quote(options.service, safe='')}" if options.service else ""
    try:
        connection = dbapi.connect(CONNECTION + service)
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    except Error as error:
        raise UserError(
            f"{_place(options)} cannot be reached: {_reason(error)}; say where it is in libpq's service file "
            "(source.postgres.service) or in PGHOST, PGDATABASE and PGUSER, and the password in ~/.pgpass"
        ) from error
    return connection


def _place(options: PostgresOptions) -> str:
    return f"the database of the service {options.service!r}" if options.service else "the database"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.partition("[libpq] ")[2].removesuffix(". SQLSTATE: 25006") or text


def _quoted(name: str) -> str:
    """A name as SQL takes it literally."""
    return '"' + name.replace('"', '""') + '"'


def _literal(value: Any) -> str:
    """A text as SQL takes it literally, whatever standard_conforming_strings is."""
    text = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"E'{text}'"
