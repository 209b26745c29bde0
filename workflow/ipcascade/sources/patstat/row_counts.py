"""The RowCount file of a delivery: how many rows each table has.

Its layout and its words vary: dashes, a byte-order mark, UTF-16, a CSV, other languages. So no words are needed, only
a table's name and one number on a line. Nothing is guessed: where a line has several numbers, none follows "count".
"""

import re

# No RowCount file is longer; nor has a table so many rows.
LARGEST_BYTES = 1 << 20
_MOST_DIGITS = 15
_TABLE = re.compile(r"tls[0-9]{3}", re.IGNORECASE)
# Digits, maybe in groups of three; not part of a word, as in "part01".
_NUMBER = re.compile(r"(?<!\w)[0-9]+(?:[.,'’ \u00a0\u202f][0-9]{3})*(?!\w)")


def is_row_count_file(name: str) -> bool:
    """Whether a file is a RowCount file by its name."""
    stem, dot, ending = name.rpartition(".")
    is_text = not dot or ending.lower() in ("txt", "csv", "tsv", "log", "lst", "dat")
    return is_text and re.search("row[ _.-]*count", stem if dot else name, re.IGNORECASE) is not None


def parse_row_counts(content: bytes) -> dict[str, int]:
    """Rows by table ("tls201"), of the tables whose number of rows is beyond doubt."""
    found: dict[str, set[int | None]] = {}
    if len(content) <= LARGEST_BYTES:
        for line in _decoded(content).splitlines():
            names = list(_TABLE.finditer(line))
            for place, name in enumerate(names):
                before = line[: name.start()] if len(names) == 1 else ""
                end = names[place + 1].start() if place + 1 < len(names) else len(line)
                found.setdefault(name[0].lower(), set()).add(_rows(before, line[name.end() : end]))
    return {table: rows for table, (rows, *others) in found.items() if rows is not None and not others}


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    if 0 in content:  # UTF-16 without a mark: the high bytes of Latin letters and digits are 0
        encoding = "utf-16-le" if content[1::2].count(0) >= content[::2].count(0) else "utf-16-be"
        return content.decode(encoding, errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def _rows(before: str, after: str) -> int | None:
    """The rows of a table from what a line has before and after its name; None where they are not beyond doubt."""
    start = after.lower().find("count")
    numbers = _NUMBER.findall(after[max(start, 0) :])
    if start >= 0:
        numbers = numbers[:1]
    numbers = numbers or _NUMBER.findall(before)
    digits = re.sub("[^0-9]", "", numbers[0]) if len(numbers) == 1 else ""
    return int(digits) if 0 < len(digits) <= _MOST_DIGITS else None
