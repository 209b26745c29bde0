"""The concordance to NACE of a PATSTAT delivery: read as it is delivered, shared out by hand."""

import csv
import zipfile
from pathlib import Path

import pytest

from ipcascade.core.errors import UserError
from ipcascade.sources.patstat.nace import nace_files, read_nace
from support import REPOSITORY

REAL = REPOSITORY / "../shared/design/taxonomies/nace2.tsv"
HEADER = "ipc,not_with_ipc,unless_with_ipc,nace2_code,nace2_weight,nace2_descr\n"
ROWS = """\
"A01B    ","","","28.3",1,"Machinery, of farms"
"A61K   6","","","21",1,"Drugs"
"A61K   8","","","20.42",1,"Perfumes"
"A61K   9","","","21",1,"Drugs"
"C07B","A61K   6","A61K   8","20.1",1,"Chemicals"
"C07B","A61K   9","A61K   8","20.1",1,"Chemicals"
"C07B","","","21",3,"Drugs"
"G21J","","","",0,""
"""
NAME = "tls902_ipc_nace2_part01"


def delivered(folder, text=HEADER + ROWS, layout="csv"):
    folder.mkdir(exist_ok=True)
    if layout == "csv":
        (folder / f"{NAME}.csv").write_bytes(text.encode())
        return folder
    inner = folder / f"{NAME}.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(f"{NAME}.csv", "\ufeff" + text)
    if layout == "nested":
        with zipfile.ZipFile(folder / "data_PATSTAT_Global_2023_Spring_03.zip", "w") as archive:
            archive.write(inner, inner.name)
        inner.unlink()
    return folder


@pytest.mark.parametrize("layout", ["csv", "zip", "nested"])
def test_weights_are_shared_by_symbols_and_conditions_do_not_count(tmp_path, layout):
    table, conditions = read_nace(delivered(tmp_path / "d", layout=layout))
    assert table == {
        "A01B": {"28.3": (1.0, "Machinery, of farms")},
        "A61K": {"21": (pytest.approx(2 / 3), "Drugs"), "20.42": (pytest.approx(1 / 3), "Perfumes")},
        "C07B": {"20.1": (0.25, "Chemicals"), "21": (0.75, "Drugs")},
    }
    assert conditions == 2 and len(nace_files(tmp_path / "d")) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER + '"A01B","","","28.3",x,"M"\n', "line 2: 'A01B' with the weight 'x' is no row of tls902"),
        (HEADER + '"A01","","","28.3",1,"M"\n', "line 2: 'A01' with the weight '1' is no row of tls902"),
        (HEADER + '"A01B","","","28.3",1\n', "line 2: the row has not as many values as the header"),
        (HEADER.replace("nace2_code", "code"), "lacks the column 'nace2_code'"),
        (HEADER + '"A01B","","","28.3",1,"M" x\n', "could not be read"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_line(tmp_path, text, sentence):
    with pytest.raises(UserError, match="tls902_ipc_nace2_part01") as caught:
        read_nace(delivered(tmp_path / "d", text))
    assert sentence in str(caught.value)


def test_a_table_without_industries_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="tls902 has no row with an industry"):
        read_nace(delivered(tmp_path / "d", HEADER + '"G21J","","","",0,""\n'))


def test_a_delivery_without_the_table_is_named(tmp_path):
    (tmp_path / "tls201_appln_part01.csv").touch()
    with pytest.raises(UserError, match=r"lacks the table tls902 \(IPC and NACE\)"):
        read_nace(tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason="the real table is not here")
def test_the_real_table_has_industries_for_most_subclasses(tmp_path):
    with REAL.open(newline="") as content:
        rows = list(csv.reader(content, delimiter="\t"))
    folder = tmp_path / "d"
    folder.mkdir()
    with Path(folder / f"{NAME}.csv").open("w", newline="") as content:
        csv.writer(content).writerows(rows)
    table, conditions = read_nace(folder)
    assert conditions == sum(bool(row[1].strip()) for row in rows[1:]) > 100
    assert len(table) > 600 and all(sum(w for w, _ in of.values()) == pytest.approx(1) for of in table.values())
    # Of A61K, 20.4 (perfumes, soaps) has the main group 8 alone; the subclass itself is a symbol, too.
    groups = {row[0] for row in rows[1:] if row[0].startswith("A61K")}
    assert table["A61K"]["20.4"][0] == pytest.approx(1 / len(groups))
