"""Miniature PATSTAT deliveries for tests: rows in, files on disk out, in every layout the EPO has shipped."""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "tls201": "tls201_appln",
    "tls202": "tls202_appln_title",
    "tls203": "tls203_appln_abstr",
    "tls209": "tls209_appln_ipc",
    "tls224": "tls224_appln_cpc",
    "tls229": "tls229_appln_nace2",
    "tls230": "tls230_appln_techn_field",
}
HEADERS = {
    "tls201": [
        "appln_id", "appln_auth", "appln_nr", "appln_kind", "appln_filing_date", "appln_filing_year", "ipr_type",
        "granted", "docdb_family_id", "inpadoc_family_id",
    ],
    "tls202": ["appln_id", "appln_title_lg", "appln_title"],
    "tls203": ["appln_id", "appln_abstract_lg", "appln_abstract"],
    "tls209": ["appln_id", "ipc_class_symbol", "ipc_class_level", "ipc_version", "ipc_value", "ipc_position"],
    "tls224": ["appln_id", "cpc_class_symbol"],
    "tls229": ["appln_id", "nace2_code", "weight"],
    "tls230": ["appln_id", "techn_field_nr", "weight"],
}  # fmt: skip
BARE = {
    "appln_id", "appln_filing_date", "appln_filing_year", "docdb_family_id", "inpadoc_family_id", "ipc_version",
    "techn_field_nr", "weight",
}  # fmt: skip
LONG = "one two three four five six seven eight nine ten"
Row = dict[str, Any]
Tables = dict[str, list[Row]]


def application(appln_id: int, **values: Any) -> Row:
    row = {
        "appln_id": appln_id, "appln_auth": "EP", "appln_nr": str(appln_id), "appln_kind": "A ",
        "appln_filing_date": "2001-02-03", "appln_filing_year": 2001, "ipr_type": "PI", "granted": "Y",
        "docdb_family_id": appln_id, "inpadoc_family_id": appln_id,
    }  # fmt: skip
    return row | values


def abstract(appln_id: int, text: str, language: str = "en") -> Row:
    return {"appln_id": appln_id, "appln_abstract_lg": language, "appln_abstract": text}


def title(appln_id: int, text: str, language: str = "en") -> Row:
    return {"appln_id": appln_id, "appln_title_lg": language, "appln_title": text}


def symbol(appln_id: int, code: str, value: str = "I") -> Row:
    return {
        "appln_id": appln_id, "ipc_class_symbol": code, "ipc_class_level": "A", "ipc_version": "2006-01-01",
        "ipc_value": value, "ipc_position": "F",
    }  # fmt: skip


def csv_bytes(header: Sequence[str], rows: Sequence[Row], upper: bool = False, bom: bool = False) -> bytes:
    lines = [",".join(name.upper() if upper else name for name in header)]
    for row in rows:
        quoted = '"{}"'
        lines.append(
            ",".join(
                str(row[name]) if name in BARE else quoted.format(str(row[name]).replace('"', '""')) for name in header
            )
        )
    return (b"\xef\xbb\xbf" if bom else b"") + "".join(f"{line}\r\n" for line in lines).encode()


def csv_rows(tables: Tables) -> dict[str, list[dict[str, str]]]:
    """The rows of each table as Python's csv module reads them from what `write_delivery` writes."""
    return {
        table: list(csv.DictReader(io.StringIO(csv_bytes(HEADERS[table], rows).decode(), newline="")))
        for table, rows in tables.items()
    }


def zip_bytes(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def row_counts(counts: Mapping[str, int], dashes: bool = False, bom: bool = False) -> bytes:
    lines = [f"{NAMES[table]} {'C' if dashes else 'c'}ount: {rows}" for table, rows in counts.items()]
    if dashes:
        lines = ["-" * 40, *(f"- {line} -" for line in lines), "-" * 40]
    return (b"\xef\xbb\xbf" if bom else b"") + "\r\n".join(lines).encode()


def write_delivery(
    folder: Path,
    tables: Tables,
    layout: str = "flat",
    parts: int = 1,
    upper: bool = False,
    bom: bool = False,
    counts: str | None = "loose",
    shuffle: int | None = None,
) -> Path:
    """Layouts: flat (2025 on), nested and nested_deflated (2018-2024), plain. `shuffle` seeds an order of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    outer: dict[str, bytes] = {}
    for table, rows in tables.items():
        order = np.arange(len(rows)) if shuffle is None else np.random.default_rng(shuffle).permutation(len(rows))
        for part, places in enumerate(np.array_split(order, parts), start=1):
            content = csv_bytes(HEADERS[table], [rows[place] for place in places], upper, bom)
            name = f"{NAMES[table]}_part{part:02}"
            if layout == "plain":
                (folder / f"{name}.csv").write_bytes(content)
            elif layout == "flat":
                (folder / f"{name}.zip").write_bytes(zip_bytes({f"{name}.csv": content}))
            else:
                outer[f"{table}_part{part:02}.zip"] = zip_bytes({f"{table}_part{part:02}.csv": content})
    method = zipfile.ZIP_STORED if layout == "nested" else zipfile.ZIP_DEFLATED
    for number, names in enumerate(np.array_split(sorted(outer), 2), start=1):
        if names.size:
            path = folder / f"data_PATSTAT_Global_2023_Autumn_{number:02}.zip"
            path.write_bytes(zip_bytes({str(name): outer[str(name)] for name in names}, method))
    content = row_counts({table: len(rows) for table, rows in tables.items()}, dashes=upper, bom=bom)
    if counts == "loose":
        (folder / "RowCount.txt").write_bytes(content)
    elif counts == "zipped":
        documentation = zip_bytes({"Documentation/RowCount.txt": content, "Documentation/DataCatalog.pdf": b"%PDF"})
        (folder / "index_documentation_scripts_PATSTAT_Global_2023_Autumn.zip").write_bytes(documentation)
    return folder


def random_tables(seed, applications=400):
    """A delivery in which every filter, family rule and duplicate rule has something to do."""
    rng = np.random.default_rng(seed)

    def pick(*values):
        return values[int(rng.integers(len(values)))]

    ids = [0, *rng.choice(np.arange(1, 5000), applications, replace=False).tolist(), 900_000_001, 950_000_000]
    codes = [
        "A01B  33/00",
        "A61K",
        "C07D 101/00",
        "G06F   9/00",
        "G06N   3/08",
        "H04L",
        "H04W  4/00",
        "H99Z",
        "A02B   1/00",
        "Z99",
        "A01",
        "A",
        "F24J   2/00",
    ]
    texts = [f"{LONG} {number}" for number in range(applications // 2)]
    tables = {"tls201": [], "tls202": [], "tls203": [], "tls209": []}
    for i in ids:
        known = rng.random() < 0.9
        year = int(rng.integers(1990, 2020))
        tables["tls201"].append(
            application(
                i,
                appln_auth=pick("EP", "US", "WO", "DE", "JP", "CN"),
                appln_kind=pick("A ", "A ", "A ", "W ", "D ", "D2", "Q "),
                ipr_type=pick("PI", "PI", "PI", "PI", "UM", "DP"),
                appln_filing_year=year if known else 9999,
                appln_filing_date=f"{year}-{pick('01', '06')}-{pick('01', '15')}" if known else "9999-12-31",
                docdb_family_id=int(rng.integers(1, applications // 2)) if rng.random() < 0.9 else 0,
            )
        )
        if rng.random() < 0.9:
            text = pick(*texts) if rng.random() < 0.9 else pick("", "too short")
            text = pick(text, text.upper(), text.replace(" ", ", "), text.replace("five", "ﬁve"), f" {text} ")
            tables["tls203"].append(abstract(i, text, pick("en", "en", "de")))
        if rng.random() < 0.8:
            tables["tls202"].append(title(i, f"Title of {i}", pick("en", "en", "de")))
        for code in rng.permutation(codes)[: rng.integers(0, 4)].tolist():
            tables["tls209"].append(symbol(i, code, pick("I", "I", "N", " ")))
    return tables
