"""Malformed rows: few are left out and listed, each with its file and line; more end the run with the first one."""

import numpy as np
import polars as pl
import pytest

from built import build
from deliveries import LONG, abstract, application, symbol, write_delivery
from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patentsview.source import open_patentsview
from ipcascade.sources.patstat.source import open_patstat
from patentsview_tables import small, write_tables
from support import config_file

TREE = LabelTree.read(IPC).select(["section", "class"])
EVERYTHING = CorpusOptions(documents=None)
IDS = range(1, 101)
TABLES = {
    "tls201": [application(i) for i in IDS],
    "tls202": [],
    "tls203": [abstract(i, f"{LONG} {i}\nsecond line") for i in IDS],
    "tls209": [symbol(i, "A01B  33/00") for i in IDS],
}


def damaged(folder, **layout):
    """Of a hundred rows in the applications three are wrong, in the abstracts two, in the symbols one."""
    write_delivery(folder, TABLES, "plain", **layout)
    changes = {
        "tls201_appln": [(b",7,", b",x7,"), (b"2001-02-03,2001", b"yesterday,2001"), (b",2001,", b",20011,")],
        "tls203_appln_abstr": [
            (b'"one two three four five six seven eight nine ten 50', b'"\xff\xfe'),
            (b"\n60,", b'\n"",'),
        ],
        "tls209_appln_ipc": [(b"\n70,", b"\n7 0,")],
    }
    for name, wrong in changes.items():
        (path,) = folder.glob(f"{name}_part01.csv")
        content = path.read_bytes()
        if name == "tls201_appln":  # the rows of the applications 7, 20 and 30
            lines = content.split(b"\r\n")
            for number, (old, new) in zip((7, 20, 30), wrong, strict=True):
                before = lines[number]
                lines[number] = before.replace(old, new, 1) if old != b",7," else b"x" + before
                assert lines[number] != before
            content = b"\r\n".join(lines)
        else:
            for old, new in wrong:
                assert content.count(old) == 1
                content = content.replace(old, new)
        path.write_bytes(content)
    return folder


def test_few_malformed_rows_are_left_out_and_listed(tmp_path):
    source = open_patstat(damaged(tmp_path / "delivery"), malformed_share=0.03)
    corpus, funnel = build(source, TREE, EVERYTHING, 1)
    assert set(corpus["document_id"]) == {str(i) for i in IDS} - {"7", "20", "30", "50", "60", "70"}
    listed = {(table, line): reason for table, file, line, reason in source.quarantine.lines()}
    assert listed == {
        ("tls201", 8): "appln_id is 'x7', not a whole number from 0 to 2,147,483,647",
        ("tls201", 21): "appln_filing_date is 'yesterday', not a date like 2001-12-31",
        ("tls201", 31): "appln_filing_year is '20011', not a year from 1000 to 9999, or 0",
        ("tls203", 100): "appln_abstract is not valid UTF-8",  # every text has two lines
        ("tls203", 120): "appln_id is empty",
        ("tls209", 71): "appln_id is '7 0', not a whole number from 0 to 2,147,483,647",
    }
    # Every row is accounted for.
    tables = funnel["tables"]
    assert {name: (table["rows"], table["quarantined"]) for name, table in tables.items()} == {
        "tls201": (100, 3), "tls203": (100, 2), "tls209": (100, 1),
    }  # fmt: skip
    assert funnel["steps"][0]["left"] == 97 and funnel["symbols"]["read"] == 99


@pytest.mark.parametrize("share", [0.0, 0.0299, 0.02])
def test_more_end_the_run_with_the_first_one(tmp_path, share):
    source = open_patstat(damaged(tmp_path / "delivery"), malformed_share=share)
    words = r"tls201_appln_part01.csv, line 8: appln_id is 'x7', not a whole number from 0 to 2,147,483,647"
    counted = "" if share == 0 else rf" \(3 of 100 rows are so; source.malformed_share allows {share}\)"
    with pytest.raises(UserError, match=rf"{words}{counted}; repair the row"):
        build(source, TREE, EVERYTHING, 1)


def test_what_is_left_out_does_not_depend_on_parts(tmp_path):
    """Lines do, since a part has its own; of the rows and reasons nothing changes."""
    whole = open_patstat(damaged(tmp_path / "a"), malformed_share=0.5, block_bytes=1 << 20)
    blocks = open_patstat(damaged(tmp_path / "b"), malformed_share=0.5, block_bytes=700)
    corpora = [build(source, TREE, EVERYTHING, 1)[0] for source in (whole, blocks)]
    assert corpora[0].equals(corpora[1])
    listed = [[(t, line, reason) for t, _, line, reason in source.quarantine.lines()] for source in (whole, blocks)]
    assert listed[0] == listed[1] and len(listed[0]) == 6


def test_the_command_writes_them_and_the_default_allows_one_of_ten_thousand(tmp_path, capsys):
    ids = range(1, 10_001)
    tables = {
        "tls201": [application(i) for i in ids],
        "tls203": [abstract(i, f"{LONG} {i}") for i in ids],
        "tls209": [symbol(i, "A01B") for i in ids],
    }
    delivery = write_delivery(tmp_path / "delivery", tables, "plain")
    path = delivery / "tls209_appln_ipc_part01.csv"
    path.write_bytes(path.read_bytes().replace(b"\n777,", b"\n777x,"))
    words = ["corpus", "--source", delivery, "--corpus", tmp_path / "c.parquet", "--funnel", tmp_path / "funnel.json"]
    words += ["--config", config_file(tmp_path)]
    assert main([str(word) for word in words]) == 0
    assert pl.read_csv(tmp_path / "quarantine.csv").rows() == [
        ("tls209", str(path), 778, "appln_id is '777x', not a whole number from 0 to 2,147,483,647")
    ]
    assert "1 malformed rows were left out" in capsys.readouterr().err
    assert read_json(tmp_path / "funnel.json")["tables"]["tls209"]["quarantined"] == 1
    assert not pl.read_parquet(tmp_path / "c.parquet")["document_id"].eq("777").any()
    path.write_bytes(path.read_bytes().replace(b"\n778,", b"\n778x,"))
    assert main([str(word) for word in words]) == 1
    assert "(2 of 10,000 rows are so; source.malformed_share allows 0.0001)" in capsys.readouterr().err


def test_of_patentsview_too(tmp_path):
    ids = [str(10_000_000 + n) for n in range(50)]
    folder = write_tables(tmp_path, small(*ids), zipped=False)
    path = folder / "g_patent_abstract.tsv"
    path.write_bytes(path.read_bytes().replace(b'"10000007"', b'"?"').replace(b"ten 10000009", b"ten \xe9"))
    source = open_patentsview(folder, ["abstract"], "ipc", malformed_share=0.04)
    corpus, funnel = build(source, TREE, EVERYTHING, 1)
    assert set(ids) - set(corpus["document_id"]) == {"10000007", "10000009"}
    assert [(table, line, reason) for table, _, line, reason in source.quarantine.lines()] == [
        ("g_patent_abstract", 9, "patent_id is '?', not a number of a US patent"),
        ("g_patent_abstract", 11, "patent_abstract is not valid UTF-8"),
    ]
    assert funnel["tables"]["g_patent_abstract"]["quarantined"] == 2
    with pytest.raises(UserError, match=r"line 9: patent_id is '\?'.* \(2 of 50 rows are so"):
        build(open_patentsview(folder, ["abstract"], "ipc", 0.039), TREE, EVERYTHING, 1)


def test_a_row_stays_on_the_list_when_the_table_is_read_again_with_other_columns(tmp_path):
    ids = [str(10_000_000 + n) for n in range(30)]
    folder = write_tables(tmp_path, small(*ids), zipped=False)
    path = folder / "g_patent.tsv"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"B2"', b'"\xe9"', 1))
    options = CorpusOptions(documents=None, text=["title", "abstract"])
    source = open_patentsview(folder, options.text, "ipc", malformed_share=0.04)
    corpus, funnel = build(source, TREE, options, 1)
    assert corpus.height == 29 and funnel["tables"]["g_patent"]["quarantined"] == 1
    assert [(table, line) for table, _, line, _ in source.quarantine.lines()] == [("g_patent", 2)]


def test_more_than_a_fixed_number_is_never_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("ipcascade.sources.quarantine.MOST_ROWS", 2)
    source = open_patstat(damaged(tmp_path / "delivery"), malformed_share=0.5)
    with pytest.raises(UserError, match=r"line 8: .* \(and there are more than 2 such rows\)"):
        build(source, TREE, EVERYTHING, 1)


def test_lines_of_many_rows_are_those_of_each(tmp_path):
    from io import BytesIO

    from ipcascade.core.strict_csv import line_of_record, lines_of_records

    rng = np.random.default_rng(1)
    rows = ["\n" * int(rng.integers(2)) + '"' + "x\n" * int(rng.integers(3)) + '",1' for _ in range(500)]
    content = ("a,b\n" + "\n".join(rows)).encode()
    records = sorted({int(n) for n in rng.integers(1, 501, 60)})
    assert lines_of_records(BytesIO(content), records) == [line_of_record(BytesIO(content), r) for r in records]
