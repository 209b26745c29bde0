"""The editions of PATSTAT from 2018 to 2026, by their documented columns, names of files and ways of writing.

The same applications make the same corpus in each.
"""

import csv
import io
from functools import partial
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from built import build, build_by_processes
from deliveries import NAMES, random_tables, write_delivery, zip_bytes
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patstat.source import open_patstat

TREE = LabelTree.read(IPC).select(["section", "class"])
OPTIONS = CorpusOptions(documents=None, text=["title", "abstract"])
TLS201 = (
    "appln_id appln_auth appln_nr appln_kind appln_filing_date appln_filing_year appln_nr_epodoc appln_nr_original "
    "ipr_type receiving_office internat_appln_id int_phase reg_phase nat_phase earliest_filing_date "
    "earliest_filing_year earliest_filing_id earliest_publn_date earliest_publn_year earliest_pat_publn_id granted "
    "docdb_family_id inpadoc_family_id docdb_family_size nb_citing_docdb_fam nb_applicants nb_inventors"
).split()
TLS209 = "appln_id ipc_class_symbol ipc_class_level ipc_version ipc_value ipc_position ipc_gener_auth".split()
COLUMNS = {
    "tls201": TLS201, "tls202": ["appln_id", "appln_title_lg", "appln_title"],
    "tls203": ["appln_id", "appln_abstract_lg", "appln_abstract"], "tls209": TLS209,
}  # fmt: skip
# What rows of the tests have no value for.
OTHERS = {
    "receiving_office": "  ", "internat_appln_id": 0, "int_phase": "N", "reg_phase": "N", "nat_phase": "Y",
    "earliest_filing_date": "9999-12-31", "earliest_filing_year": 9999, "earliest_filing_id": 0,
    "earliest_publn_date": "9999-12-31", "earliest_publn_year": 9999, "earliest_pat_publn_id": 0, "granted": "N",
    "inpadoc_family_id": 0, "docdb_family_size": 1, "nb_citing_docdb_fam": 0, "nb_applicants": 0, "nb_inventors": 0,
    "appln_nr_epodoc": "", "appln_nr_original": "", "appln_nr": "", "ipc_gener_auth": "EP",
}  # fmt: skip
BARE = ("_id", "_year", "_date", "_size", "_fam", "nb_applicants", "nb_inventors", "ipc_version")
"""Ends of the names of columns whose values are written without quotes."""
PARTS = {"tls201": 3, "tls202": 1, "tls203": 10, "tls209": 2}


def content(table: str, rows: list[dict], columns: list[str], upper: bool, granted: dict[str, str]) -> bytes:
    header = ",".join(name.upper() if upper else name for name in columns)
    out = io.StringIO()
    plain = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    for row in rows:
        cells = []
        for name in columns:
            value = row.get(name, OTHERS.get(name))
            if name == "granted":
                value = granted[value]
            text = str(value)
            cells.append(_Bare(text) if name.endswith(BARE) else text)
        plain.writerow(cells)
    return f"{header}\r\n".encode() + out.getvalue().encode()


class _Bare(float):
    """What the csv module writes without quotes, as it is."""

    def __new__(cls, text: str) -> "_Bare":
        made = super().__new__(cls, 0.0)
        made.text = text
        return made

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


def write_edition(folder: Path, tables, year: int) -> Path:
    """A delivery as those of that year."""
    folder.mkdir()
    in_capitals, ending = year == 2018, "txt" if year == 2018 else "csv"
    granted = {"Y": "1", "N": "0"} if year == 2018 else {"Y": "Y", "N": "N"}
    inner = {}
    for table, rows in tables.items():
        columns = COLUMNS[table] if year > 2020 else [COLUMNS[table][0], *reversed(COLUMNS[table][1:])]
        for part in range(PARTS[table]):
            name = f"{table}_part{part + 1:02}" if year < 2025 else f"{NAMES[table]}_part{part + 1:02}"
            packed = content(table, rows[part :: PARTS[table]], columns, in_capitals, granted)
            inner[f"{name}.zip"] = zip_bytes({f"{name}.{ending}": packed})
    counts = "\r\n".join(f"{NAMES[table]} {'C' if year < 2022 else 'c'}ount: {len(tables[table])}" for table in tables)
    documentation = {f"Documentation_Scripts/RowCount_{year}.txt": b"\xef\xbb\xbf" + counts.encode()}
    (folder / f"index_documentation_scripts_PATSTAT_Global_{year}_Spring.zip").write_bytes(zip_bytes(documentation))
    if year >= 2025:
        for name, packed in inner.items():
            (folder / name).write_bytes(packed)
    else:
        names = sorted(inner)
        for number, some in enumerate((names[::2], names[1::2]), start=1):
            path = folder / f"data_PATSTAT_Global_{year}_Spring_{number:02}.zip"
            path.write_bytes(zip_bytes({name: inner[name] for name in some}))
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = write_delivery(tmp_path_factory.mktemp("expected"), random_tables(11))
    return build(open_patstat(folder, titles=True), TREE, OPTIONS, 1)


@pytest.mark.parametrize("year", range(2018, 2027))
def test_an_edition_makes_the_same_corpus(tmp_path, expected, year):
    folder = write_edition(tmp_path / "delivery", random_tables(11), year)
    source = open_patstat(folder, titles=True)
    assert [len(source.parts(what)) for what in ("applications", "title", "abstract", "symbols")] == [3, 1, 10, 2]
    corpus, funnel = build(source, TREE, OPTIONS, 1)
    assert_frame_equal(corpus, expected[0])
    assert funnel == expected[1] and all(table["checked"] for table in funnel["tables"].values())
    assert corpus.height > 40


def test_parts_of_nested_zips_are_read_side_by_side(tmp_path, expected, monkeypatch):
    monkeypatch.setattr("ipcascade.corpus.reading.SMALL_BYTES", 0)
    folder = write_edition(tmp_path / "delivery", random_tables(11), 2023)
    corpus, funnel = build_by_processes(partial(open_patstat, folder, titles=True), TREE, OPTIONS, 1)
    assert_frame_equal(corpus, expected[0])
    assert funnel == expected[1]
