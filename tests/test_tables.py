"""Tables against cases worked by hand, and what each format promises its readers."""

import csv
import io

import polars as pl
import pytest

from ipcascade.errors import UserError
from ipcascade.tables import escape_latex, table1, table2, write_table

SPLITS = pl.DataFrame({"document_id": ["a", "b", "c", "d"], "split": ["train", "train", "val", "test"]})
CORPUS = pl.DataFrame(
    {
        "document_id": ["d", "c", "b", "a"],
        "sections": [["A"], ["A", "H"], ["A", "B"], ["B"]],
        "classes": [["A01", "A21"], ["A01", "H01", "H02"], ["A01", "B02"], ["B02"]],
    }
)
METRICS = {
    "measures": {
        "section": {"f1_micro": 0.82421, "f1_macro": 0.8061, "precision_micro": 0.8396, "recall_micro": 0.8094},
        "class": {"f1_micro": 0.5434, "f1_macro": 0.1626, "precision_micro": 0.6063, "recall_micro": 1 / 3},
    },
    "intervals": {"section.f1_micro": [0.81, 0.83], "class.recall_micro": [0.3, 0.4], "union.hf": [0.1, 0.2]},
}


def test_table1_counts_labels_by_hand():
    rows = {row[0]: row[1:] for row in table1(SPLITS, CORPUS).iter_rows()}
    # documents, sections present, classes present, sections a patent, classes a patent
    assert rows["train"] == (2, 2, 2, 1.5, 1.5)
    assert rows["val"] == (1, 2, 3, 2.0, 3.0)
    assert rows["test"] == (1, 1, 2, 1.0, 2.0)
    assert rows["all"] == (4, 3, 5, 1.5, 2.0)


def test_table1_does_not_depend_on_row_order():
    assert table1(SPLITS.reverse(), CORPUS.reverse()).equals(table1(SPLITS, CORPUS))


def test_table1_of_an_empty_split_has_no_averages():
    some = SPLITS.filter(pl.col("split") != "val")
    rows = {row[0]: row[1:] for row in table1(some, CORPUS.filter(pl.col("document_id") != "c")).iter_rows()}
    assert rows["val"] == (0, 0, 0, None, None)


def test_table1_refuses_tables_of_different_documents():
    with pytest.raises(UserError, match="'a' is in the splits table and not in the corpus table"):
        table1(SPLITS, CORPUS.head(3))
    with pytest.raises(UserError, match="'d' is in the corpus table and not in the splits table"):
        table1(SPLITS.head(3), CORPUS)


def test_table2_reads_the_measures_and_their_intervals():
    section, class_ = table2(METRICS).iter_rows(named=True)
    assert (section["level"], class_["level"]) == ("Section", "Class")
    assert class_["precision_micro"] == 0.6063
    assert (section["f1_micro"], section["f1_micro_low"], section["f1_micro_high"]) == (0.82421, 0.81, 0.83)
    assert (class_["f1_micro_low"], class_["recall_micro_high"]) == (None, 0.4)
    assert "f1_macro_low" not in section


def test_csv_keeps_every_digit_and_the_bounds_apart(tmp_path):
    write_table(table2(METRICS), tmp_path / "table2", "Caption.")
    section, class_ = csv.DictReader(io.StringIO((tmp_path / "table2.csv").read_text()))
    assert float(class_["recall_micro"]) == 1 / 3
    assert (section["f1_micro_low"], section["f1_micro_high"], class_["f1_micro_low"]) == ("0.81", "0.83", "")


def test_markdown_shows_rounded_values_with_their_interval(tmp_path):
    write_table(table2(METRICS), tmp_path / "table2", "Test split.")
    lines = (tmp_path / "table2.md").read_text().splitlines()
    assert lines[0] == "Test split."
    assert lines[2] == "| Level | F1 micro | F1 macro | Precision micro | Recall micro |"
    assert lines[4] == "| Section | 0.8242 [0.8100, 0.8300] | 0.8061 | 0.8396 | 0.8094 |"
    assert lines[5] == "| Class | 0.5434 | 0.1626 | 0.6063 | 0.3333 [0.3000, 0.4000] |"


def test_no_interval_is_shown_where_the_metrics_have_none(tmp_path):
    write_table(table2({**METRICS, "intervals": {}}), tmp_path / "table2", "Test split.")
    assert "[0" not in (tmp_path / "table2.md").read_text()
    assert "footnotesize" not in (tmp_path / "table2.tex").read_text()


def test_latex_is_a_booktabs_table_with_equal_rows(tmp_path):
    write_table(table2(METRICS), tmp_path / "table2", "F1 & 95% of section_a")
    text = (tmp_path / "table2.tex").read_text()
    assert r"\caption{F1 \& 95\% of section\_a}" in text
    assert r"\label{tab:table2}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [row.count("&") for row in rows] == [4] * 5  # header, and for each level its values and its intervals
    assert r"{[}0.8100, 0.8300{]}" in rows[2]


def test_latex_specials_are_escaped():
    assert escape_latex("50% of {A_1} & #2 $ ~ ^ \\ [x]") == (
        r"50\% of \{A\_1\} \& \#2 \$ \textasciitilde{} \textasciicircum{} \textbackslash{} {[}x{]}"
    )


def test_pipes_do_not_break_markdown_rows(tmp_path):
    write_table(pl.DataFrame({"name": ["a|b"]}), tmp_path / "odd.v2", "Odd.")
    assert r"| a\|b |" in (tmp_path / "odd.v2.md").read_text()


def test_tables_are_byte_identical_when_written_twice(tmp_path):
    for name in ("one", "two"):
        write_table(table1(SPLITS, CORPUS), tmp_path / name / "table1", "Labels.")
    for ending in ("csv", "md", "tex"):
        assert (tmp_path / f"one/table1.{ending}").read_bytes() == (tmp_path / f"two/table1.{ending}").read_bytes()
