"""Options of the sources."""

from collections.abc import Collection
from typing import Literal

from pydantic import model_validator

from ipcascade.core.options import Count, Section, Share, Text
from ipcascade.sources import kinds

Kind = Literal["patstat_bulk", "patstat_sql", "patentsview", "table", "demo"]


class DemoOptions(Section):
    """The synthetic delivery."""

    documents: Count = 2400
    """Applications with an abstract to write, family members and non-English ones included."""


class TableOptions(Section):
    """What the columns of a table hold, by their names there; null: the table has no such column."""

    id: Text = "id"
    """Ids of the documents, each once: text or whole numbers."""
    abstract: Text = "abstract"
    """The text that every document has; documents without one are left out."""
    labels: Text = "labels"
    """Labels or classification symbols: a list of texts, or one text in which `separator` is between them."""
    separator: Text = ";"
    """What is between labels in one text; blanks around them do not count."""
    title: Text | None = None
    """Titles, for corpus.text."""
    first_claim: Text | None = None
    """First claims, for corpus.text."""
    description: Text | None = None
    """Descriptions or their beginnings, for corpus.text."""
    language: Text | None = None
    """Languages of the texts, for corpus.language; null: all texts are taken to be in it."""
    family: Text | None = None
    """Families: of documents with the same one, one stays, with the labels of all. null: each is one of its own."""
    group: Text | None = None
    """Groups: documents with the same one all stay, and come into the same split, as copies of a text do anyway."""
    office: Text | None = None
    """Offices, for corpus.offices, corpus.office_preference and splits by office."""
    kind: Text | None = None
    """Kinds of document, for corpus.kinds."""
    year: Text | None = None
    """Years, for corpus.first_year, corpus.last_year and splits by year."""

    @model_validator(mode="after")
    def _one_role_per_column(self) -> "TableOptions":
        fields: dict[str, str] = {}
        for field, column in self:
            if field != "separator" and column is not None and fields.setdefault(column, field) != field:
                raise ValueError(
                    f"{fields[column]} and {field} both name the column {column!r}; it can hold one of them"
                )
        return self


class PostgresOptions(Section):
    """A PostgreSQL database that PATSTAT was loaded into."""

    service: Text | None = None
    """Service in libpq's service file (~/.pg_service.conf), which says host, database and user; null: PGHOST,
    PGDATABASE and PGUSER of the environment. The password is in ~/.pgpass, never here."""
    in_schema: Text = "public"
    """Schema of the tables."""
    tables: dict[Literal["tls201", "tls202", "tls203", "tls209", "tls224", "tls229", "tls230"], Text] = {}
    """Names of tables that are called otherwise than in PATSTAT ({tls201: applications}), in any case."""


class SourceOptions(Section):
    """Where documents come from."""

    kind: Kind = "patstat_bulk"
    """patstat_bulk: a PATSTAT Global delivery, read in place. patstat_sql: PATSTAT in a PostgreSQL database.
    patentsview: the USPTO's bulk tables of US patents, free
    of charge (docs/sources.md). table: a table of any texts with labels. demo: a synthetic delivery, written to
    results/delivery/."""
    path: Text | None = None
    """Of patstat_bulk the folder of the delivery: zips (2025 on), nested zips (2018 to 2024) or extracted CSVs. Of
    patentsview the folder of the tables (g_patent.tsv.zip and others). Of table a file (.csv, .tsv, .jsonl, each also
    .gz, or .parquet) or a folder of such files. Needed for these three."""
    malformed_share: Share = 0.0001
    """Share of a table's rows (of patstat_bulk, patentsview) that are left out, at most, for a value that cannot be,
    such as a date of letters. They are listed in results/corpus/quarantine.csv; more than that end the run."""
    memory_mb: Count = 256
    """Memory in MiB that joins of the source's tables may take at a time; results do not depend on it. What is more is
    put on disk. Beside it come some 800 MiB, 500 MiB for each further process that reads, and 4 to 8 bytes per
    application (PATSTAT: 0.6 GiB)."""
    scratch: Text | None = None
    """Folder for what does not fit in memory, as a fast disk of the node; null: beside the corpus. For the whole of
    PATSTAT some 20 GiB, and with corpus.documents: null another 50 GiB."""
    table: TableOptions = TableOptions()
    postgres: PostgresOptions = PostgresOptions()
    demo: DemoOptions = DemoOptions()

    @property
    def reader(self) -> Literal["patstat_bulk", "patstat_sql", "patentsview", "table"]:
        """The kind of source that is read; the demo writes a PATSTAT delivery."""
        return "patstat_bulk" if self.kind == "demo" else self.kind

    @property
    def other_readers(self) -> list[str]:
        """The folders and modules of the package that read other kinds of source than this one, and not this one."""
        others = {module for modules in kinds.READERS.values() for module in modules}
        return sorted(others.difference(kinds.READERS[self.reader]))

    def lacks_filter(self, key: str) -> str | None:
        """Why a key of the section `corpus` that filters cannot be served; None where it can."""
        served: Collection[str] = {
            "patstat_bulk": kinds.PATSTAT_FILTERS,
            "patstat_sql": kinds.PATSTAT_FILTERS,
            "patentsview": kinds.PATENTSVIEW_FILTERS,
            "table": kinds.TABLE_FILTERS,
        }[self.reader]
        if key not in served:
            return f"a source of kind {self.kind} has nothing to tell that by"
        if self.kind != "table":
            return None
        column = kinds.TABLE_FILTERS[key]
        return None if getattr(self.table, column) else f"source.table.{column} names no column to tell that by"

    def lacks_text(self, field: str) -> str | None:
        """Why a field of the text cannot be had; None where it can."""
        if self.kind == "table":
            return None if getattr(self.table, field) else f"source.table.{field} names no column"
        served = kinds.PATENTSVIEW_TEXTS if self.kind == "patentsview" else tuple(kinds.PATSTAT_TEXTS)
        return None if field in served else f"a source of kind {self.kind} has no such field"
