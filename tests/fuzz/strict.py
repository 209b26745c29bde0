"""What a strict reader makes of a user's CSV: Python's csv module in strict mode, and rules of one line each."""

import csv
import datetime
import io
import re

WANTED = {
    "tls201": [
        "appln_id", "appln_auth", "appln_kind", "appln_filing_date", "appln_filing_year", "ipr_type", "docdb_family_id",
    ],
    "tls203": ["appln_id", "appln_abstract_lg", "appln_abstract"],
    "tls209": ["appln_id", "ipc_class_symbol"],
}  # fmt: skip
LARGEST = 2**31 - 1


class Refused(Exception):
    """The input must be refused."""


def rows_of(content: bytes, wanted: list[str], any_case: bool) -> list[dict[str, str]]:
    """The wanted columns of a CSV. Raises Refused where a strict reader refuses it."""
    if b"\0" in content:
        raise Refused("NUL")
    text = content.decode("utf-8-sig", errors="surrogateescape")
    _refuse_loose(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if reader.line_num > 1 or not any(header):
            raise Refused("header")
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise Refused(str(error)) from None
    if any(len(row) != len(header) for row in rows):
        raise Refused("columns")
    if text.partition("\n")[2].startswith("\ufeff") or _has_surrogate("".join(header)):
        raise Refused("encoding")
    names = [name.casefold() for name in header] if any_case else header
    if any(names.count(name) != 1 for name in wanted):
        raise Refused("header")
    found = [{name: row[names.index(name)] for name in wanted} for row in rows]
    if any(_has_surrogate(value) for row in found for value in row.values()):
        raise Refused("encoding")
    return found


def _refuse_loose(text: str) -> None:
    """Raise Refused where csv itself is not strict: quotes in values without quotes, carriage returns as line ends."""
    inside, start, before = False, True, ""
    for place, letter in enumerate(text):
        if inside:
            inside = letter != '"'
        elif letter == '"':
            if not start and before != '"':
                raise Refused("quote")
            inside = True
        elif letter == "\r" and text[place + 1 : place + 2] not in ("\n", ""):
            raise Refused("carriage return")
        start, before = letter in ",\n", letter


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def check_values(table: str, rows: list[dict[str, str]]) -> None:
    """Raise Refused for values of a delivery that are out of range."""
    for row in rows:
        for name, text in row.items():
            value = text.strip()
            if name == "appln_id" and not value:
                raise Refused("no id")
            if not value:
                continue
            if name in ("appln_id", "docdb_family_id", "appln_filing_year"):
                if not re.fullmatch("[0-9]+", value) or int(value) > LARGEST:
                    raise Refused(name)
                if name == "appln_filing_year" and int(value) != 0 and not 1000 <= int(value) <= 9999:
                    raise Refused(name)
            if name == "appln_filing_date":
                if not re.fullmatch("[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}", value):
                    raise Refused(name)
                try:
                    datetime.date.fromisoformat(value)
                except ValueError:
                    raise Refused(name) from None
    ids = [int(row["appln_id"]) for row in rows]
    if table != "tls209" and len(set(ids)) < len(ids):
        raise Refused("double")


def delivery_rows(parts: dict[str, list[bytes]], counts: dict[str, int]) -> dict[str, list[dict[str, str]]]:
    """The rows of all tables of a delivery, from the CSVs of their parts. Raises Refused."""
    found = {}
    for table, wanted in WANTED.items():
        read = [rows_of(content, wanted, any_case=True) for content in parts[table]]
        filled = [content for content, rows in zip(parts[table], read, strict=True) if rows]
        if len(set(filled)) < len(filled):
            raise Refused("part twice")
        found[table] = [row for rows in read for row in rows]
        check_values(table, found[table])
        if counts.get(table, len(found[table])) != len(found[table]):
            raise Refused("row count")
    return found
