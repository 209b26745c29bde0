"""The paper's tables: as frames, and from frames to CSV, Markdown and LaTeX.

The CSV is for machines: every number in full, interval bounds in columns of their own. The other two are for people:
rounded, and with the columns `x_low` and `x_high` shown as the interval of `x`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from .doors import written_whole
from .errors import UserError

SPLITS = ("train", "val", "test")
HEADINGS = {
    "split": "Split",
    "documents": "Documents",
    "section_labels": "Sections present",
    "class_labels": "Classes present",
    "sections_per_patent": "Average sections a patent",
    "classes_per_patent": "Average classes a patent",
    "level": "Level",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "precision_micro": "Precision micro",
    "recall_micro": "Recall micro",
}
_HEADLINE = ("f1_micro", "f1_macro", "precision_micro", "recall_micro")
_DECIMALS = {"sections_per_patent": 2, "classes_per_patent": 2}  # 4 elsewhere
_NOTHING = "–"
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}", "–": "--",
}  # fmt: skip


def table1(splits: pl.DataFrame, corpus: pl.DataFrame) -> pl.DataFrame:
    """Documents, labels present and average labels a patent, by level, for each split and for all together.

    splits: document_id, split; corpus: document_id, sections (list of codes), classes (list of codes).
    A split without documents has zeros and no averages. Raises UserError where the two tables hold different documents.
    """
    stray = splits.join(corpus, on="document_id", how="anti"), corpus.join(splits, on="document_id", how="anti")
    for documents, present, absent in zip(stray, ("splits", "corpus"), ("corpus", "splits"), strict=True):
        if len(documents):
            raise UserError(
                f"document {documents['document_id'].min()!r} is in the {present} table and not in the {absent} table; "
                "make the splits again from this corpus"
            )
    joined = splits.join(corpus, on="document_id")
    parts = [(split, joined.filter(pl.col("split") == split)) for split in SPLITS]
    return pl.DataFrame([_labels_of(name, part) for name, part in [*parts, ("all", joined)]], infer_schema_length=None)


def table2(metrics: Mapping[str, Any]) -> pl.DataFrame:
    """The headline measures of both levels from a metrics file, each with its interval where the file holds intervals.

    metrics: "measures" maps a level to its measures, "intervals" maps "section.f1_micro" and the like to [low, high].
    """
    rows = []
    for level in ("section", "class"):
        row: dict[str, str | float] = {"level": level.capitalize()}
        for measure in _HEADLINE:
            row[measure] = metrics["measures"][level][measure]
            bounds = metrics["intervals"].get(f"{level}.{measure}")
            if bounds is not None:
                row[f"{measure}_low"], row[f"{measure}_high"] = bounds
        rows.append(row)
    return pl.DataFrame(rows)


def write_table(frame: pl.DataFrame, stem: Path, caption: str) -> None:
    """Write `stem`.csv, `stem`.md and `stem`.tex, each whole or not at all."""
    contents = {
        "csv": frame.write_csv(),
        "md": _markdown(frame, caption),
        "tex": _latex(frame, caption, label=f"tab:{stem.name}"),
    }
    for ending, content in contents.items():
        with written_whole(stem.with_name(f"{stem.name}.{ending}")) as temporary:
            temporary.write_bytes(content.encode())


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands; brackets are wrapped, so that none is read as an option of a row's end."""
    return "".join(_LATEX.get(character, character) for character in text)


def _labels_of(name: str, documents: pl.DataFrame) -> dict[str, str | int | float | None]:
    row: dict[str, str | int | float | None] = {"split": name, "documents": len(documents)}
    for column, count in (("sections", "section_labels"), ("classes", "class_labels")):
        row[count] = documents[column].explode().drop_nulls().n_unique()
    for column in ("sections", "classes"):
        labels = int(documents[column].list.len().sum())
        row[f"{column}_per_patent"] = labels / len(documents) if len(documents) else None
    return row


def _columns(frame: pl.DataFrame) -> list[str]:
    """The columns that people see: all but the bounds of intervals."""
    return [name for name in frame.columns if re.sub("_(low|high)$", "", name) not in set(frame.columns) - {name}]


def _value(column: str, value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, float):
        return f"{value:.{_DECIMALS.get(column, 4)}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _interval(column: str, row: Mapping[str, Any]) -> str:
    """The interval in brackets; empty where the row has none."""
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return "" if low is None or high is None else f"[{_value(column, low)}, {_value(column, high)}]"


def _is_text(frame: pl.DataFrame, column: str) -> bool:
    return frame[column].dtype == pl.String


def _markdown(frame: pl.DataFrame, caption: str) -> str:
    columns = _columns(frame)

    def row_of(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

    lines = [
        caption,
        "",
        row_of([HEADINGS.get(name, name) for name in columns]),
        "| " + " | ".join(":---" if _is_text(frame, name) else "---:" for name in columns) + " |",
    ]
    for row in frame.iter_rows(named=True):
        lines.append(row_of([f"{_value(name, row[name])} {_interval(name, row)}".rstrip() for name in columns]))
    return "\n".join(lines) + "\n"


def _latex(frame: pl.DataFrame, caption: str, label: str) -> str:
    """A booktabs table; intervals stand in a row of their own below the values, to keep the columns narrow."""
    columns = _columns(frame)

    def row_of(cells: list[str]) -> str:
        return "  " + " & ".join(cells) + r" \\"

    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[htbp]",
        r"  \centering",
        f"  \\caption{{{escape_latex(caption)}}}",
        f"  \\label{{{label}}}",
        r"  \begin{tabular}{" + "".join("l" if _is_text(frame, name) else "r" for name in columns) + "}",
        r"  \toprule",
        row_of([escape_latex(HEADINGS.get(name, name)) for name in columns]),
        r"  \midrule",
    ]
    for row in frame.iter_rows(named=True):
        lines.append(row_of([escape_latex(_value(name, row[name])) for name in columns]))
        intervals = [escape_latex(_interval(name, row)) for name in columns]
        if any(intervals):
            lines.append(row_of([rf"\footnotesize {interval}" if interval else "" for interval in intervals]))
    return "\n".join([*lines, r"  \bottomrule", r"  \end{tabular}", r"\end{table}"]) + "\n"
