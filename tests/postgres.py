"""A PostgreSQL server of a test's own: started in a folder, reached by a socket there, with PATSTAT's tables."""

import csv
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deliveries import HEADERS, NAMES, csv_rows

TYPES = {
    "appln_id": "integer", "appln_filing_date": "date", "appln_filing_year": "smallint", "docdb_family_id": "integer",
    "inpadoc_family_id": "integer", "appln_auth": "char(2)", "appln_kind": "char(2)", "ipr_type": "char(2)",
    "appln_abstract_lg": "char(2)", "appln_title_lg": "char(2)", "ipc_value": "char(1)", "techn_field_nr": "smallint",
    "weight": "numeric",
}  # fmt: skip


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return Path(found).resolve().parent if found else next(iter(folders), None)


PROGRAMS = _programs()


class Server:
    """A running server. folder: its socket's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sql(self, *statements: str, content: str | None = None) -> str:
        """What psql prints; content: for COPY from standard input."""
        assert PROGRAMS is not None
        words = [PROGRAMS / "psql", "-h", self.folder, "-U", "postgres", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"]
        words += ["-d", os.environ.get("PGDATABASE", "postgres")]
        for statement in statements:
            words += ["-c", statement]
        done = subprocess.run(
            words, input=content, text=True, check=True, capture_output=True,
            env=os.environ | {"PGCLIENTENCODING": "UTF8"},
        )  # fmt: skip
        return done.stdout

    def load(self, tables, schema="public", names=NAMES, upper=False):
        """Create tables of a delivery in a schema, and fill them."""
        self.sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        for table, rows in csv_rows(tables).items():
            name = names[table].upper() if upper else names[table]
            columns = [column.upper() if upper else column for column in HEADERS[table]]
            types = [f'"{c}" {TYPES.get(c.lower(), "text")}' for c in columns]
            place = f'"{schema}"."{name}"'
            self.sql(f"DROP TABLE IF EXISTS {place}", f"CREATE TABLE {place} ({', '.join(types)})")
            content = io.StringIO()
            writer = csv.writer(content)
            writer.writerows([row[column] for column in HEADERS[table]] for row in rows)
            self.sql(f"COPY {place} FROM STDIN (FORMAT csv)", content=content.getvalue())


@contextmanager
def running() -> Iterator[Server]:
    """Start a server; stop it and delete its folder at the end."""
    assert PROGRAMS is not None
    # Below /tmp, since a socket's path has a limit of some hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    # PostgreSQL does not run as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        folder.chmod(0o755)
        data = folder / "data"
        words = [PROGRAMS / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*as_user, *words], check=True, capture_output=True)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        start = [PROGRAMS / "pg_ctl", "-D", data, "-o", options, "-l", data / "log", "-w", "start"]
        subprocess.run([*as_user, *start], check=True, stdout=subprocess.DEVNULL)
        try:
            yield Server(folder)
        finally:
            stop = [PROGRAMS / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"]
            subprocess.run([*as_user, *stop], check=True, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
