"""Tables against cases worked by hand, and what each format promises its readers."""

import csv
import io

import polars as pl
import pytest

from ipcascade.core.errors import UserError
from ipcascade.reporting.tables import escape_latex, heading, table1, table2, write_table

LEVELS = ("section", "class")
SPLITS = pl.DataFrame({"document_id": ["a", "b", "c", "d"], "split": ["train", "train", "val", "test"]})
CORPUS = pl.DataFrame(
    {
        "document_id": ["d", "c", "b", "a"],
        "section": [["A"], ["A", "H"], ["A", "B"], ["B"]],
        "class": [["A01", "A21"], ["A01", "H01", "H02"], ["A01", "B02"], ["B02"]],
    }
)
METRICS = {
    "levels": ["section", "class"],
    "measures": {
        "section": {"f1_micro": 0.82421, "f1_macro": 0.8061, "precision_micro": 0.8396, "recall_micro": 0.8094},
        "class": {"f1_micro": 0.5434, "f1_macro": 0.1626, "precision_micro": 0.6063, "recall_micro": 1 / 3},
    },
    "confidence_intervals": {
        "section.f1_micro": [0.81, 0.83],
        "class.recall_micro": [0.3, 0.4],
        "hierarchical.f1_micro": [0.1, 0.2],
    },
}


def test_table1_counts_labels_by_hand():
    rows = {row[0]: row[1:] for row in table1(SPLITS, CORPUS, LEVELS).iter_rows()}
    # documents, sections present, classes present, sections per patent, classes per patent
    assert rows["train"] == (2, 2, 2, 1.5, 1.5)
    assert rows["val"] == (1, 2, 3, 2.0, 3.0)
    assert rows["test"] == (1, 1, 2, 1.0, 2.0)
    assert rows["all"] == (4, 3, 5, 1.5, 2.0)


def test_table1_has_the_columns_of_each_level():
    assert table1(SPLITS, CORPUS, LEVELS).columns == [
        "split", "documents", "section_labels", "class_labels", "sections_per_patent", "classes_per_patent",
    ]  # fmt: skip
    corpus = CORPUS.rename({"section": "category"}).with_columns(
        pl.Series("subclass", [["A01B"], ["A01B", "H01L"], [], ["B02C"]])
    )
    table = table1(SPLITS, corpus, ("category", "class", "subclass"))
    assert table.columns[2:] == [
        "category_labels", "class_labels", "subclass_labels",
        "categories_per_patent", "classes_per_patent", "subclasses_per_patent",
    ]  # fmt: skip
    rows = {row["split"]: row for row in table.iter_rows(named=True)}
    # b has no subclass: its labels end early
    assert (rows["train"]["subclass_labels"], rows["train"]["subclasses_per_patent"]) == (1, 0.5)
    assert (rows["all"]["subclass_labels"], rows["all"]["subclasses_per_patent"]) == (3, 1.0)
    assert table1(SPLITS, CORPUS, ("section",)).columns == [
        "split",
        "documents",
        "section_labels",
        "sections_per_patent",
    ]


def test_headings_are_plain_words():
    headings = {name: heading(name) for name in table1(SPLITS, CORPUS, LEVELS).columns}
    assert headings == {
        "split": "Split", "documents": "Documents", "section_labels": "Sections present",
        "class_labels": "Classes present", "sections_per_patent": "Average sections per patent",
        "classes_per_patent": "Average classes per patent",
    }  # fmt: skip
    assert heading("main_group_labels") == "Main groups present"
    assert heading("f1_micro") == "F1 micro"


def test_a_table_with_many_columns_has_them_as_rows(tmp_path):
    corpus = CORPUS.with_columns(subclass=pl.col("class").list.eval(pl.element() + "A"))
    write_table(table1(SPLITS, corpus, (*LEVELS, "subclass")), tmp_path / "table1", "Labels.")
    lines = (tmp_path / "table1.md").read_text().splitlines()
    assert lines[2] == "| Split | train | val | test | all |"
    assert lines[4] == "| Documents | 2 | 1 | 1 | 4 |"
    assert lines[-1] == "| Average subclasses per patent | 1.50 | 3.00 | 2.00 | 2.00 |"
    latex = (tmp_path / "table1.tex").read_text()
    assert r"\begin{tabular}{lrrrr}" in latex and r"Subclasses present & 2 & 3 & 2 & 5 \\" in latex
    header, *rows = csv.reader(io.StringIO((tmp_path / "table1.csv").read_text()))
    assert (len(header), len(rows)) == (8, 4)


def test_table1_does_not_depend_on_row_order():
    assert table1(SPLITS.reverse(), CORPUS.reverse(), LEVELS).equals(table1(SPLITS, CORPUS, LEVELS))


def test_table1_of_an_empty_split_has_no_averages():
    some = SPLITS.filter(pl.col("split") != "val")
    rows = {row[0]: row[1:] for row in table1(some, CORPUS.filter(pl.col("document_id") != "c"), LEVELS).iter_rows()}
    assert rows["val"] == (0, 0, 0, None, None)


def test_table1_refuses_tables_of_different_documents():
    with pytest.raises(UserError, match="'a' is in the splits table and not in the corpus table"):
        table1(SPLITS, CORPUS.head(3), LEVELS)
    with pytest.raises(UserError, match="'d' is in the corpus table and not in the splits table"):
        table1(SPLITS.head(3), CORPUS, LEVELS)


def test_table2_reads_the_measures_and_their_confidence_intervals():
    section, class_ = table2(METRICS).iter_rows(named=True)
    assert (section["level"], class_["level"]) == ("Section", "Class")
    assert class_["precision_micro"] == 0.6063
    assert (section["f1_micro"], section["f1_micro_low"], section["f1_micro_high"]) == (0.82421, 0.81, 0.83)
    assert (class_["f1_micro_low"], class_["recall_micro_high"]) == (None, 0.4)
    assert "f1_macro_low" not in section


def test_table2_has_a_row_per_level():
    measures = {level: METRICS["measures"]["class"] for level in ("section", "class", "main_group")}
    metrics = {
        "levels": list(measures),
        "measures": measures,
        "confidence_intervals": {"main_group.f1_macro": [0.1, 0.2]},
    }
    rows = table2(metrics).to_dicts()
    assert [row["level"] for row in rows] == ["Section", "Class", "Main group"]
    assert [row["f1_macro_low"] for row in rows] == [None, None, 0.1]


def test_csv_keeps_every_digit_and_the_bounds_apart(tmp_path):
    write_table(table2(METRICS), tmp_path / "table2", "Caption.")
    section, class_ = csv.DictReader(io.StringIO((tmp_path / "table2.csv").read_text()))
    assert float(class_["recall_micro"]) == 1 / 3
    assert (section["f1_micro_low"], section["f1_micro_high"], class_["f1_micro_low"]) == ("0.81", "0.83", "")


def test_markdown_shows_rounded_values_with_their_confidence_interval(tmp_path):
    write_table(table2(METRICS), tmp_path / "table2", "Test split.")
    lines = (tmp_path / "table2.md").read_text().splitlines()
    assert lines[0] == "Test split."
    assert lines[2] == "| Level | F1 micro | F1 macro | Precision micro | Recall micro |"
    assert lines[4] == "| Section | 0.8242 [0.8100, 0.8300] | 0.8061 | 0.8396 | 0.8094 |"
    assert lines[5] == "| Class | 0.5434 | 0.1626 | 0.6063 | 0.3333 [0.3000, 0.4000] |"


def test_no_confidence_interval_is_shown_where_the_metrics_have_none(tmp_path):
    write_table(table2({**METRICS, "confidence_intervals": {}}), tmp_path / "table2", "Test split.")
    assert "[0" not in (tmp_path / "table2.md").read_text()
    assert "footnotesize" not in (tmp_path / "table2.tex").read_text()


def test_latex_is_a_booktabs_table_with_equal_rows(tmp_path):
    write_table(table2(METRICS), tmp_path / "table2", "F1 & 95% of section_a")
    text = (tmp_path / "table2.tex").read_text()
    assert r"\caption{F1 \& 95\% of section\_a}" in text
    assert r"\label{tab:table2}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [row.count("&") for row in rows] == [
        4
    ] * 5  # header, and for each level its values and its confidence intervals
    assert r"{[}0.8100, 0.8300{]}" in rows[2]


def test_latex_specials_are_escaped():
    assert escape_latex("a|b <c>") == r"a\textbar{}b \textless{}c\textgreater{}"
    assert escape_latex("50% of {A_1} & #2 $ ~ ^ \\ [x]") == (
        r"50\% of \{A\_1\} \& \#2 \$ \textasciitilde{} \textasciicircum{} \textbackslash{} {[}x{]}"
    )


def test_pipes_do_not_break_markdown_rows(tmp_path):
    write_table(pl.DataFrame({"name": ["a|b", "c\\|d"]}), tmp_path / "odd.v2", "Odd.")
    assert r"| a\|b |" in (tmp_path / "odd.v2.md").read_text()
    assert r"| c\\\|d |" in (tmp_path / "odd.v2.md").read_text(), "a backslash, then a pipe, both of the text"


def test_tables_are_byte_identical_when_written_twice(tmp_path):
    for name in ("one", "two"):
        write_table(table1(SPLITS, CORPUS, LEVELS), tmp_path / name / "table1", "Labels.")
    for ending in ("csv", "md", "tex"):
        assert (tmp_path / f"one/table1.{ending}").read_bytes() == (tmp_path / f"two/table1.{ending}").read_bytes()
