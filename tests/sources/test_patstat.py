import io
import subprocess
import sys
import zipfile

import numpy as np
import polars as pl
import pytest

from built import rows_of
from deliveries import abstract, application, csv_bytes, symbol, title, write_delivery, zip_bytes
from ipcascade.core import archives
from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import BLOCK_BYTES
from ipcascade.sources.base import TableCount
from ipcascade.sources.patstat.delivery import delivery_files
from ipcascade.sources.patstat.tables import Delivery
from support import REPOSITORY

PATENTS_US = REPOSITORY / "../shared/patents_us"
HARD_TEXTS = [
    'a "quoted" word, a comma,\r\na line break and a "closing quote"',
    'backslash \\ before a quote \\", and a tab\t inside',
    "µ-channel — 5 °C, 水素, ﬁne",
    '"',
    "NULL",
]
LAYOUTS = ["flat", "nested", "nested_deflated", "plain"]


def tables():
    ids = range(1, len(HARD_TEXTS) + 1)
    return {
        "tls201": [application(i) for i in ids],
        "tls202": [title(i, f"Title {i}") for i in ids],
        "tls203": [abstract(i, text) for i, text in zip(ids, HARD_TEXTS, strict=True)],
        "tls209": [symbol(i, "A01B  33/00") for i in ids] + [symbol(i, "H04L   1/00") for i in ids],
    }


def read(folder, table, *columns, block_bytes=BLOCK_BYTES):
    return pl.concat(list(rows_of(Delivery(folder, block_bytes=block_bytes), table, columns)))


def flat_part(folder, table, content, part="part01"):
    """Replace a table of a flat delivery by the given bytes of CSV."""
    name = next(path for path in folder.iterdir() if path.name.startswith(table)).name.replace("part01", part)
    (folder / name).write_bytes(zip_bytes({name.replace(".zip", ".csv"): content}))


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("counts", ["loose", "zipped", None])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_the_same(tmp_path, layout, counts, upper):
    folder = write_delivery(tmp_path, tables(), layout, parts=2, upper=upper, bom=upper, counts=counts)
    delivery = Delivery(folder, titles=True)
    counted = {}
    found = pl.concat(list(rows_of(delivery, "tls203", ("appln_abstract", "appln_id"), counted)))
    assert found.columns == ["appln_abstract", "appln_id"]
    assert dict(zip(found["appln_id"], found["appln_abstract"], strict=True)) == dict(enumerate(HARD_TEXTS, start=1))
    symbols = pl.concat(list(rows_of(delivery, "tls209", ("appln_id", "ipc_class_symbol"), counted)))
    assert sorted(symbols["ipc_class_symbol"]) == ["A01B  33/00"] * 5 + ["H04L   1/00"] * 5
    assert counted == {
        "tls203": TableCount(5, 5 if counts else None),
        "tls209": TableCount(10, 10 if counts else None),
    }


def test_types_and_missing_values(tmp_path):
    rows = [
        application(7, appln_auth="W ", appln_kind="  "),
        application(8, appln_filing_date="9999-12-31", appln_filing_year=9999, docdb_family_id=0),
    ]
    folder = write_delivery(tmp_path, tables() | {"tls201": rows, "tls209": [symbol(7, "A01   ", "")]})
    columns = (
        "appln_id", "appln_auth", "appln_kind", "appln_filing_date", "appln_filing_year", "docdb_family_id",
    )  # fmt: skip
    found = read(folder, "tls201", *columns)
    assert [str(found.schema[name]) for name in columns] == ["Int32", "String", "String", "Date", "Int32", "Int32"]
    assert [str(value) for value in found.row(0)] == ["7", "W", "None", "2001-02-03", "2001", "7"]
    assert found.row(1) == (8, "EP", "A", None, None, None)
    assert read(folder, "tls209", "ipc_class_symbol", "ipc_value").row(0) == ("A01", None)


def test_symbols_keep_leading_blanks(tmp_path):
    folder = write_delivery(tmp_path, tables() | {"tls209": [symbol(1, " A01  ")]})
    assert read(folder, "tls209", "ipc_class_symbol").item() == " A01"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_are_those_of_the_tables(tmp_path, layout):
    folder = write_delivery(tmp_path, tables(), layout)
    (folder / "tls211_pat_publn_part01.zip").write_bytes(b"not a zip, and never opened")
    (folder / "notes.txt").write_text("mine")
    names = [path.name for path in delivery_files(folder, titles=True)]
    assert names == sorted(names)
    assert {"notes.txt", "tls211_pat_publn_part01.zip"}.isdisjoint(names)
    assert "RowCount.txt" in names
    assert len(names) == (3 if "nested" in layout else 5)
    assert ("tls202_appln_title_part01.zip" in map(str, delivery_files(folder))) is False


def test_finding_files_needs_only_the_standard_library(tmp_path):
    folder = write_delivery(tmp_path, tables())
    program = (
        "import sys; from pathlib import Path; from ipcascade.sources.patstat.delivery import delivery_files;"
        f"from ipcascade.sources.demo import files; print(len(delivery_files(Path({str(folder)!r})))); "
        "print({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'ipcascade'})"
    )
    # -S: without it, site-packages may import modules of their own at start.
    environment = {"PYTHONPATH": str(REPOSITORY / "workflow")}
    answer = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, env=environment)
    assert answer.stdout.split("\n")[0] == "4", answer.stderr
    assert answer.stdout.split("\n")[1] in ("set()", "{'__main__'}")


def test_small_blocks_give_the_same_rows(tmp_path):
    rows = [abstract(i, HARD_TEXTS[i % 5] + f" {i}") for i in range(1, 400)]
    folder = write_delivery(tmp_path, tables() | {"tls203": rows})
    batches = list(rows_of(Delivery(folder, block_bytes=512), "tls203", ("appln_id", "appln_abstract")))
    assert len(batches) > 10
    assert pl.concat(batches)["appln_abstract"].to_list() == [row["appln_abstract"] for row in rows]


def test_a_deflated_nested_zip_larger_than_the_end_that_is_kept(tmp_path):
    random = np.random.default_rng(0)
    rows = [abstract(i, random.bytes(400).hex()) for i in range(1, 9000)]
    folder = write_delivery(tmp_path, tables() | {"tls203": rows}, "nested_deflated")
    inner = max(
        member.file_size
        for path in folder.glob("*.zip")
        for member in zipfile.ZipFile(path).infolist()
        if member.filename.endswith(".zip")
    )
    assert inner > 3 * archives._TAIL
    assert read(folder, "tls203", "appln_abstract")["appln_abstract"].to_list() == [r["appln_abstract"] for r in rows]


@pytest.mark.parametrize(
    "text",
    [
        b"tls203_appln_abstr Count: 5",
        b"\xef\xbb\xbftls203_appln_abstr count: 5\r\n",
        b"-----\r\n-tls203_appln_abstr   Count:   5-\r\n-----",
        "tls203_appln_abstr Count: 5\r\n".encode("utf-16"),
    ],
)
def test_row_count_files_of_all_kinds(tmp_path, text):
    folder = write_delivery(tmp_path, tables(), counts=None)
    (folder / "RowCount.txt").write_bytes(text)
    assert Delivery(folder).contents.row_counts == {"tls203": 5}


def test_checksum_follows_content_not_place(tmp_path):
    first, moved = (write_delivery(tmp_path / name, tables()) for name in ("a", "b"))
    changed = write_delivery(tmp_path / "c", tables() | {"tls203": [abstract(1, "another text")]})
    plain, plain_changed = (
        write_delivery(tmp_path / name, content, "plain")
        for name, content in (("d", tables()), ("e", tables() | {"tls203": [abstract(1, "another text")]}))
    )
    sums = [Delivery(folder).checksum() for folder in (first, moved, changed, plain, plain_changed)]
    assert sums[0] == sums[1]
    assert len(set(sums)) == 4


class TestErrors:
    def test_absent_folder(self, tmp_path):
        with pytest.raises(UserError, match=r"nowhere.* is not a folder"):
            delivery_files(tmp_path / "nowhere")

    def test_no_delivery(self, tmp_path):
        (tmp_path / "thesis.pdf").write_bytes(b"")
        with pytest.raises(UserError, match="holds no PATSTAT delivery"):
            delivery_files(tmp_path)

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_missing_table(self, tmp_path, layout):
        content = tables()
        del content["tls209"]
        folder = write_delivery(tmp_path, content, layout)
        with pytest.raises(UserError, match=r"lacks the table tls209 \(IPC symbols\)") as error:
            delivery_files(folder)
        assert str(folder) in str(error.value)

    def test_titles_are_needed_only_when_asked_for(self, tmp_path):
        content = tables()
        del content["tls202"]
        folder = write_delivery(tmp_path, content)
        Delivery(folder)
        with pytest.raises(UserError, match="lacks the table tls202"):
            Delivery(folder, titles=True)

    def test_missing_part(self, tmp_path):
        folder = write_delivery(tmp_path, tables(), parts=3)
        (folder / "tls203_appln_abstr_part02.zip").unlink()
        with pytest.raises(UserError, match="lacks part 2 of tls203"):
            delivery_files(folder)

    def test_part_twice(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        write_delivery(folder, {"tls203": tables()["tls203"]}, "plain", counts=None)
        with pytest.raises(UserError, match="tls203 part 1 is there twice"):
            delivery_files(folder)

    def test_row_count_files_that_disagree(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        (folder / "RowCount_old.txt").write_text("tls203_appln_abstr count: 4")
        with pytest.raises(UserError, match="disagree about tls203"):
            delivery_files(folder)

    @pytest.mark.parametrize("layout", ["flat", "nested", "nested_deflated"])
    def test_cut_off_zip(self, tmp_path, layout):
        folder = write_delivery(tmp_path, tables(), layout)
        for path in folder.glob("*.zip"):
            path.write_bytes(path.read_bytes()[:-60])
        with pytest.raises(UserError, match=r"\.zip.* the zip is cut off or damaged .*fetch it again"):
            read(folder, "tls203", "appln_id")

    def test_cut_off_zip_inside_a_whole_one(self, tmp_path):
        folder = write_delivery(tmp_path, tables(), "flat", counts=None)
        members = {path.name: path.read_bytes() for path in folder.iterdir()}
        for path in folder.iterdir():
            path.unlink()
        members["tls203_appln_abstr_part01.zip"] = members["tls203_appln_abstr_part01.zip"][:-60]
        (folder / "data.zip").write_bytes(zip_bytes(members, zipfile.ZIP_STORED))
        with pytest.raises(UserError, match=r"data.zip/tls203_appln_abstr_part01.zip: the zip is cut off or damaged"):
            read(folder, "tls203", "appln_id")

    @pytest.mark.parametrize("place", [0.3, 0.6, 0.97])
    def test_damaged_data(self, tmp_path, place):
        rows = [abstract(i, f"{i * 7919 % 104729} {i * 104723 % 7919}") for i in range(1, 5000)]
        folder = write_delivery(tmp_path, tables() | {"tls203": rows})
        path = folder / "tls203_appln_abstr_part01.zip"
        content = bytearray(path.read_bytes())
        content[int(len(content) * place)] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"tls203_appln_abstr_part01.zip, (after )?line \d+: .*fetch .* again"):
            read(folder, "tls203", "appln_id", "appln_abstract", block_bytes=4096)

    def test_wrong_crc(self, tmp_path):
        """A swapped digit in stored data: only the checksum can tell."""
        folder = write_delivery(tmp_path, tables())
        path = folder / "tls203_appln_abstr_part01.zip"
        content = zip_bytes(
            {"a.csv": csv_bytes(["appln_id", "appln_abstract"], tables()["tls203"])}, zipfile.ZIP_STORED
        )
        path.write_bytes(content.replace(b"5 \xc2\xb0C", b"6 \xc2\xb0C"))
        with pytest.raises(UserError, match=r"line \d+: the zip is cut off or damaged \(Bad CRC-32"):
            read(folder, "tls203", "appln_id")

    def test_encrypted_zip(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        path = folder / "tls203_appln_abstr_part01.zip"
        content = bytearray(path.read_bytes())
        content[6] |= 1
        content[content.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(content)
        with pytest.raises(UserError, match="encrypted or packed in a way that cannot be read in place"):
            read(folder, "tls203", "appln_id")

    def test_zip_without_a_csv(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        (folder / "tls203_appln_abstr_part01.zip").write_bytes(zip_bytes({"readme.pdf": b""}))
        with pytest.raises(UserError, match="holds 0 CSV files, not one"):
            read(folder, "tls203", "appln_id")

    def test_missing_column(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        flat_part(folder, "tls203", b"appln_id,abstract\r\n1,x\r\n")
        with pytest.raises(UserError, match=r"no column 'appln_abstract'; its header has 'appln_id, abstract'"):
            read(folder, "tls203", "appln_id", "appln_abstract")

    def test_double_column(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        flat_part(folder, "tls203", b"appln_id,APPLN_ID\r\n1,1\r\n")
        with pytest.raises(UserError, match="line 1: the header has the column 'appln_id' 2 times"):
            read(folder, "tls203", "appln_id")

    @pytest.mark.parametrize("content", [b"", b"\r\n", b"\xef\xbb\xbf"])
    def test_no_header(self, tmp_path, content):
        folder = write_delivery(tmp_path, tables())
        flat_part(folder, "tls203", content)
        with pytest.raises(UserError, match="is empty or has no header row"):
            read(folder, "tls203", "appln_id")

    def test_header_alone_is_a_table_without_rows(self, tmp_path):
        folder = write_delivery(tmp_path, tables(), counts=None)
        flat_part(folder, "tls203", b"appln_id\r\n")
        assert read(folder, "tls203", "appln_id").schema == {"appln_id": pl.Int32}

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            (b'3,"en"', "line 6: 2 columns where the header has 3"),
            (b'3,"en","a","b"', "line 6: 4 columns where the header has 3"),
            (b'3,"en","he said "no, never" twice"', "line 6: 'no, never"),
            (b'3,"en","caf\xe9"', "line 6: appln_abstract is not valid UTF-8"),
            (b'3x,"en","a"', "line 6: appln_id is '3x', not a whole number"),
            (b'99999999999,"en","a"', "line 6: appln_id is '99999999999', not a whole number"),
            (b'1.5,"en","a"', "line 6: appln_id is '1.5', not a whole number"),
            (b',"en","a"', "line 6: appln_id is empty"),
        ],
    )
    @pytest.mark.parametrize("block", [64, 1 << 20])
    def test_bad_row(self, tmp_path, line, sentence, block):
        folder = write_delivery(tmp_path, tables())
        good = b'1,"en","a ""word"",\r\nand another"\r\n'
        header = b"appln_id,appln_abstract_lg,appln_abstract\r\n"
        flat_part(folder, "tls203", header + good + good + line + b"\r\n" + good * 5)
        with pytest.raises(UserError) as error:
            read(folder, "tls203", "appln_id", "appln_abstract", block_bytes=block)
        assert sentence in str(error.value)
        assert "tls203_appln_abstr_part01.zip" in str(error.value)
        assert "\n" not in str(error.value)

    def test_bad_date(self, tmp_path):
        folder = write_delivery(tmp_path, tables() | {"tls201": [application(1, appln_filing_date="2001-02-30")]})
        with pytest.raises(UserError, match="line 2: appln_filing_date is '2001-02-30', not a date"):
            read(folder, "tls201", "appln_filing_date")

    def test_quote_that_never_closes(self, tmp_path):
        folder = write_delivery(tmp_path, tables())
        rows = b'1,"en","a"\r\n' * 50 + b'1,"en","a\r\n' + b"1,en,a\r\n" * 1000
        flat_part(folder, "tls203", b"appln_id,appln_abstract_lg,appln_abstract\r\n" + rows)
        with pytest.raises(UserError, match=r"line 52: .*(longer than 1024 bytes|never closed)"):
            read(folder, "tls203", "appln_id", block_bytes=1 << 10)

    @pytest.mark.parametrize("expected", [4, 6])
    def test_row_counts_that_differ(self, tmp_path, expected):
        folder = write_delivery(tmp_path, tables(), counts=None)
        (folder / "RowCount.txt").write_text(f"tls203_appln_abstr count: {expected}")
        delivery, counted = Delivery(folder), {}
        with pytest.raises(UserError, match=rf"tls203 has 5 rows where .*RowCount.txt has {expected} .*part01.zip"):
            list(rows_of(delivery, "tls203", ("appln_id",), counted))
        assert counted == {}


def test_closing_early_closes_the_files(tmp_path):
    folder = write_delivery(tmp_path, tables(), "nested")
    batches = rows_of(Delivery(folder), "tls203", ("appln_id",))
    next(batches)
    batches.close()
    for path in folder.iterdir():
        path.unlink()


def test_window_behaves_like_a_file():
    content = bytes(range(200))
    window = archives._Window(io.BytesIO(b"before" + content + b"after"), 6, 200)
    assert window.read(3) == content[:3]
    assert window.seek(-5, io.SEEK_END) == 195
    assert window.read() == content[195:]
    assert window.read(1) == b""
    assert window.seek(10) == 10
    assert window.seek(5, io.SEEK_CUR) == window.tell() == 15
    with pytest.raises(OSError, match="before the beginning"):
        window.seek(-1)


@pytest.mark.skipif(not PATENTS_US.is_dir(), reason="the sample of real patents is not there")
def test_real_patents():
    delivery, counted = Delivery(PATENTS_US, titles=True), {}
    for table, column in (
        ("tls201", "docdb_family_id"), ("tls202", "appln_title"), ("tls203", "appln_abstract"),
        ("tls209", "ipc_class_symbol"),
    ):  # fmt: skip
        assert all(batch[column].null_count() == 0 for batch in rows_of(delivery, table, ("appln_id", column), counted))
    assert {table: (count.rows, count.expected) for table, count in counted.items()} == {
        "tls201": (9418, 9418), "tls202": (9418, 9418), "tls203": (9418, 9418), "tls209": (36466, 36466),
    }  # fmt: skip
