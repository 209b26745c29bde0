"""What may be in the folder of a delivery: clutter, other zips, damaged zips, row counts in many forms."""

import time
import tracemalloc
import zipfile

import polars as pl
import pytest

from built import rows_of
from deliveries import abstract, application, symbol, write_delivery, zip_bytes
from ipcascade.core.errors import UserError
from ipcascade.sources.patstat.delivery import delivery_files, find
from ipcascade.sources.patstat.row_counts import LARGEST_BYTES, parse_row_counts
from ipcascade.sources.patstat.tables import Delivery

TABLES = ("tls201", "tls203", "tls209")
ABSTRACTS = "tls203_appln_abstr_part01.zip"


def rows():
    ids = range(1, 7)
    return {
        "tls201": [application(i) for i in ids],
        "tls203": [abstract(i, f"text {i}") for i in ids],
        "tls209": [symbol(i, "A01B  33/00") for i in ids],
    }


def texts(folder):
    return sorted(pl.concat(list(rows_of(Delivery(folder), "tls203", ("appln_abstract",))))["appln_abstract"])


TEXTS = [f"text {i}" for i in range(1, 7)]


def refused(folder, *parts):
    with pytest.raises(UserError) as error:
        for table in TABLES:
            list(rows_of(Delivery(folder), table, ("appln_id",)))
    for part in parts:
        assert part in str(error.value), str(error.value)
    assert "\n" not in str(error.value)


def edited(path, edit):
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)


@pytest.mark.parametrize("layout", ["flat", "nested", "nested_deflated", "plain"])
def test_files_of_macos_are_ignored(tmp_path, layout):
    folder = write_delivery(tmp_path, rows(), layout)
    for path in list(folder.iterdir()):
        (folder / f"._{path.name}").write_bytes(b"\0\5\26\7" + b"\0" * 100)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "a") as archive:
                for name in archive.namelist():
                    archive.writestr(f"__MACOSX/._{name}", b"\0\5\26\7")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / ABSTRACTS).write_bytes(b"nothing")
    assert texts(folder) == TEXTS
    assert not any(path.name.startswith("._") for path in delivery_files(folder))


@pytest.mark.parametrize("prefix", [b"#!/bin/sh\nexec unzip\n", b"\0" * 5000, b"PK00"])
@pytest.mark.parametrize("layout", ["flat", "nested"])
def test_zips_with_bytes_before_their_first_member(tmp_path, layout, prefix):
    folder = write_delivery(tmp_path, rows(), layout)
    for path in folder.glob("*.zip"):
        path.write_bytes(prefix + path.read_bytes())
    assert texts(folder) == TEXTS


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip",
        b"",
        zip_bytes({"thesis.tex": b"x" * 99})[:-30],
        zip_bytes({"a.csv": b"1", "b.csv": b"2"}),
        b"#!/bin/sh\n" + zip_bytes({"a.txt": b""}),
    ],
    # Zips hold the time: without names, workers that start in different seconds would have different tests.
    ids=["no zip", "empty", "cut off", "several tables", "a script"],
)
def test_other_zips_do_not_matter(tmp_path, content):
    folder = write_delivery(tmp_path, rows())
    (folder / "thesis.zip").write_bytes(content)
    assert texts(folder) == TEXTS
    assert folder / "thesis.zip" not in delivery_files(folder)


def test_a_broken_zip_that_may_hold_what_is_missing_is_named(tmp_path):
    folder = write_delivery(tmp_path, rows())
    (folder / ABSTRACTS).unlink()
    (folder / "download.zip").write_bytes(b"broken")
    refused(folder, "lacks the table tls203", "it may be in what cannot be read: download.zip")
    write_delivery(folder, {"tls203": rows()["tls203"]}, counts=None)
    assert find(folder, TABLES).notes == ("download.zip cannot be read and was not taken for a part of the delivery",)


@pytest.mark.parametrize("name", ["data_PATSTAT_Global_2023_Autumn_03.zip", "download.zip"])
def test_a_broken_zip_of_the_delivery_is_refused(tmp_path, name):
    """The last part of a table is in it, so nothing else would be missing."""
    folder = write_delivery(tmp_path, rows())
    (folder / name).write_bytes(zip_bytes({"tls203_part02.zip": b"x" * 999}, zipfile.ZIP_STORED)[:-40])
    refused(folder, name, "cut off or damaged")


@pytest.mark.parametrize("place", ["directory", "member"])
@pytest.mark.parametrize("damage", [0x01, 0x20, 0x80])
def test_a_damaged_name_in_a_zip_of_zips_is_noticed(tmp_path, place, damage):
    folder = write_delivery(tmp_path, rows(), "nested", parts=2, counts=None)
    path = max(folder.glob("*.zip"))
    assert b"tls209_part02.zip" in path.read_bytes()

    def edit(content):
        name = b"tls209_part02.zip"
        found = content.rfind(name) if place == "directory" else content.find(name)
        content[found + 2] ^= damage

    edited(path, edit)
    refused(folder, path.name, "cut off or damaged")


@pytest.mark.parametrize("number", ["90000000", "999999999"])
def test_a_part_with_a_large_number_takes_no_memory(tmp_path, number):
    folder = write_delivery(tmp_path, rows())
    (folder / f"tls203_appln_abstr_part{number}.zip").write_bytes(b"")
    tracemalloc.start()
    refused(folder, f"lacks part 2 of tls203, though part {number} is there")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_a_link_to_nowhere_is_named(tmp_path):
    folder = write_delivery(tmp_path, rows())
    (folder / "tls203_appln_abstr_part02.zip").symlink_to(tmp_path / "gone.zip")
    refused(folder, "tls203_appln_abstr_part02.zip is a link to a file that does not exist")


@pytest.mark.parametrize("layout", ["flat", "plain"])
def test_a_folder_per_table(tmp_path, layout):
    folder = write_delivery(tmp_path / "delivery [1] {x} *?", rows(), layout, parts=2)
    for path in list(folder.iterdir()):
        inner = folder / path.name[:6]
        inner.mkdir(exist_ok=True)
        path.rename(inner / path.name)
    assert texts(folder) == TEXTS
    assert len(delivery_files(folder)) == 7
    assert Delivery(folder).contents.row_counts["tls203"] == 6


@pytest.mark.parametrize("layout", ["flat", "nested", "nested_deflated", "plain"])
@pytest.mark.parametrize("table", TABLES)
def test_a_part_that_is_a_copy_of_another(tmp_path, layout, table):
    content = rows()
    one, two = (write_delivery(tmp_path / name, content, layout, counts=None) for name in ("one", "two"))
    assert texts(one) == TEXTS
    write_delivery(two, {table: content[table] * 2}, layout, parts=2, counts=None)
    if "nested" in layout:
        for path in two.glob("*.zip"):
            path.unlink()
        doubled = {name: part * (1 + (name == table)) for name, part in content.items()}
        write_delivery(two, doubled, layout, parts=2, counts=None)
    refused(two, f"{table}", "has the same content as", f"{table} part 2")


def test_parts_without_rows_are_no_copies(tmp_path):
    folder = write_delivery(tmp_path, {name: part[:1] for name, part in rows().items()}, parts=3)
    assert texts(folder) == TEXTS[:1]


@pytest.mark.parametrize("layout", ["flat", "nested"])
@pytest.mark.parametrize(
    ("name", "offsets", "value", "words"),
    [
        ("encrypted", (6, 8), 1, "encrypted or packed in a way that cannot be read in place"),
        ("patched", (6, 8), 32, "encrypted or packed in a way that cannot be read in place"),
        ("method", (8, 10), 97, "encrypted or packed in a way that cannot be read in place"),
        ("lzma", (8, 10), 14, "cut off or damaged"),
        ("bzip2", (8, 10), 12, "cut off or damaged"),
        ("version", (4, 6), 99, "encrypted or packed in a way that cannot be read in place"),
    ],
)
def test_zips_that_cannot_be_unpacked(tmp_path, layout, name, offsets, value, words):
    folder = write_delivery(tmp_path, rows(), layout)
    path = (
        folder / ABSTRACTS
        if layout == "flat"
        else next(path for path in sorted(folder.glob("*.zip")) if b"tls203_part01.zip" in path.read_bytes())
    )
    member = b"tls203_appln_abstr_part01.csv" if layout == "flat" else b"tls203_part01.zip"

    def edit(content):
        content[content.find(member) - 30 + offsets[0]] = value
        content[content.rfind(member) - 46 + offsets[1]] = value

    edited(path, edit)
    refused(folder, path.name, words)


def test_a_name_that_is_not_the_encoding_it_claims(tmp_path):
    folder = write_delivery(tmp_path, rows(), "nested")
    path = min(folder.glob("*.zip"))

    def edit(content):
        name = content.rfind(b"tls2")
        content[name] = 0xFF
        content[name - 46 + 9] |= 0x08  # names are in UTF-8

    edited(path, edit)
    refused(folder, path.name, "cut off or damaged")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("tls203_appln_abstr rows: 96,536,721", 96_536_721),
        ("Tabelle tls203_appln_abstr hat 96.536.721 Zeilen", 96_536_721),
        ("tls203_appln_abstr : 96 536 721 lignes", 96_536_721),
        ("tls203_appln_abstr;999", 999),
        ('"tls203_appln_abstr","999"', 999),
        ("tls203_appln_abstr,999", 999),
        ("TLS203\t999", 999),
        ("999 tls203_appln_abstr", 999),
        ("tls201: 5, tls203: 999", 999),
        ("tls203_part01.csv 999", 999),
        ("tls203_appln_abstr Count: 999 (3 parts)", 999),
        ("tls203_appln_abstr: 999 in 3 parts", None),
        ("tls203_part01 5\ntls203_part02 6", None),
        ("tls203_appln_abstr count: " + "1" * 4301, None),
        ("tls203_appln_abstr", None),
        ("tls203_appln_abstr: many", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_row_counts_in_other_words(text, count, encoding):
    found = parse_row_counts(f"Counts\r\n{text}\r\n\r\n".encode(encoding))
    assert found.get("tls203") == count


@pytest.mark.parametrize(
    "text", ["tls201 count" * 120_000, "tls201 " + "1 111 " * 200_000, "1" * (1 << 20), "tls201 1.1," * 90_000]
)
def test_row_counts_take_no_time(text):
    started = time.monotonic()
    parse_row_counts(text.encode()[:LARGEST_BYTES])
    assert time.monotonic() - started < 5


def test_little_of_a_row_count_file_is_read(tmp_path):
    folder = write_delivery(tmp_path, rows(), counts=None)
    content = b"tls203 count: 5\n" + b" " * (64 << 20)
    (folder / "doc.zip").write_bytes(zip_bytes({"RowCount.txt": content}))
    tracemalloc.start()
    assert find(folder, TABLES).row_counts == {}
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        (None, "", "the delivery has no RowCount file, so the row counts of tls201, tls203, tls209 could not be"),
        ("RowCount.csv", "tls201: 5 6", "no row count was understood in RowCount.csv, so the row counts of tls201, "),
        ("RowCount", "tls201: 6\ntls209: 6", "in RowCount, so the row counts of tls203 could not be checked"),
        ("RowCount.txt", "tls201: 6\ntls209: 6\ntls203: 6", None),
    ],
)
def test_what_could_not_be_checked_is_noted(tmp_path, name, text, note):
    folder = write_delivery(tmp_path, rows(), counts=None)
    if name:
        (folder / name).write_text(text)
    notes = find(folder, TABLES).notes
    assert len(notes) == (note is not None)
    assert all(note in found for found in notes)


def test_an_encrypted_row_count_file_is_one_sentence(tmp_path):
    folder = write_delivery(tmp_path, rows(), counts="zipped")
    path = next(folder.glob("index*.zip"))

    def edit(content):
        content[content.find(b"Documentation/RowCount.txt") - 30 + 6] |= 1
        content[content.rfind(b"Documentation/RowCount.txt") - 46 + 8] |= 1

    edited(path, edit)
    refused(folder, path.name, "RowCount.txt: the zip is encrypted or packed")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("appln_id", "+5", "a whole number from 0 to 2,147,483,647"),
        ("appln_id", "-5", "a whole number"),
        ("appln_id", " 5e3", "a whole number"),
        ("appln_id", "5.0", "a whole number"),
        ("appln_id", "2147483648", "a whole number"),
        ("docdb_family_id", "-1", "a whole number"),
        ("docdb_family_id", "+1", "a whole number"),
        ("docdb_family_id", "-0", "a whole number"),
        ("appln_filing_year", "20010203", "a year from 1000 to 9999, or 0"),
        ("appln_filing_year", "40000", "a year"),
        ("appln_filing_year", "999", "a year"),
        ("appln_filing_year", "-1", "a year"),
        ("appln_filing_year", "+2001", "a year"),
        ("appln_filing_date", "+2001-02-03", "a date like 2001-12-31"),
        ("appln_filing_date", "2001-2-3", "a date"),
        ("appln_filing_date", "0999-01-01", "a date"),
        ("appln_filing_date", "-2001-02-03", "a date"),
        ("appln_filing_date", "2001-02-29", "a date"),
    ],
)
def test_values_out_of_range_are_refused_with_their_line(tmp_path, column, value, words):
    tables = rows()
    tables["tls201"][3][column] = value
    folder = write_delivery(tmp_path, tables)
    with pytest.raises(UserError) as error:
        list(rows_of(Delivery(folder), "tls201", (column,)))
    sentence = f"tls201_appln_part01.zip, line 5: {column} is {value.strip()!r}, not {words}"
    assert sentence in str(error.value)


@pytest.mark.parametrize("value", ["1000", "9998", "0"])
def test_years_at_the_edges(tmp_path, value):
    folder = write_delivery(tmp_path, rows() | {"tls201": [application(1, appln_filing_year=value)]})
    (found,) = rows_of(Delivery(folder), "tls201", ("appln_filing_year",))
    assert found.item() == (int(value) or None)
