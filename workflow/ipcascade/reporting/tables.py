"""The paper's tables: as frames, and from frames to CSV, Markdown and LaTeX.

The CSV is for machines: every number in full, bounds of confidence intervals in columns of their own. The other two are
for people: rounded, with the columns `x_low` and `x_high` shown as the confidence interval of `x`, `x_deviation` behind
a ±, and with columns and rows exchanged where there are more columns than fit on a page and this makes them fewer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import written_whole
from ipcascade.core.names import SPLITS
from ipcascade.reporting.words import capitalised, level_name, plural

HEADLINE = ("f1_micro", "f1_macro", "precision_micro", "recall_micro")
MOST_COLUMNS = 6
"""Columns of a table that fit on a page; a table with more has its columns as rows."""

_PRESENT = "_labels"  # ending of the columns with the number of labels present, by level
_AVERAGE = "_per_patent"  # ending of the columns with the average number of labels, by plural of the level
_DIFFERENCE = "_difference"  # ending of the columns with differences, which are shown with their sign
_BOUNDS_AND_DEVIATION = re.compile("_(low|high|deviation)$")
_LATEX_HEADING = 12
"""Characters of a heading's line at least, where what is below is narrower."""
_LATEX_SMALL, _LATEX_SCALED = 66, 74
"""Characters of a row above which type is smaller, and above which the table is scaled to the width of the text."""
_LATEX_INTERVAL = 0.8  # size of the type of intervals
_COSTS = {"seconds": "Seconds", "memory_mib": "Memory (MiB)", "gpu_memory_mib": "GPU memory (MiB)"}
_NOTHING = "–"
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "[": "{[}", "]": "{]}", "–": "--",
    "±": r"\textpm{}", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}", "`": r"\textasciigrave{}",
}  # fmt: skip
# Several of these in a row are one sign to LaTeX: two hyphens are a dash.
_TO_LATEX = re.compile(r"-(?=-)|'(?=')|,(?=,)|[" + re.escape("".join(_LATEX)) + "]")


def table1(splits: pl.DataFrame, corpus: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """Documents, labels present and average labels per patent, by level, for each split and for all together.

    splits: document_id, split; corpus: document_id and, named after each level, the list of codes.
    Columns: split, documents, then for each level `section_labels`, then for each level `sections_per_patent`.
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
    rows = [_labels_of(name, part, levels) for name, part in [*parts, ("all", joined)]]
    return pl.DataFrame(rows, infer_schema_length=None)


def table2(metrics: Mapping[str, Any]) -> pl.DataFrame:
    """The headline measures of each level from a metrics file, with their confidence intervals where it holds them.

    metrics: "levels" are the levels from the top down, "measures" maps a level to its measures, "confidence_intervals"
    maps "section.f1_micro" and the like to [low, high].
    """
    rows = []
    for level in metrics["levels"]:
        row: dict[str, str | float] = {"level": capitalised(level_name(level))}
        for measure in HEADLINE:
            row[measure] = metrics["measures"][level][measure]
            bounds = metrics["confidence_intervals"].get(f"{level}.{measure}")
            if bounds is not None:
                row[f"{measure}_low"], row[f"{measure}_high"] = bounds
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def comparison_measures(levels: Sequence[str]) -> dict[str, str]:
    """What a comparison of runs shows, of a tree with these levels: {dotted name of the measure: heading}."""
    lowest = levels[-1]
    names = [
        *(f"{level}.f1_micro" for level in levels),
        f"{lowest}.f1_macro_supported",
        "hierarchical.f1_micro",
        f"{lowest}.average_precision_micro",
    ]
    return {name: _measure_heading(name) for name in names}


def comparison_table(comparison: Mapping[str, Any]) -> pl.DataFrame:
    """A row per run, or group of replicates, from a comparison (schemas.Comparison).

    Columns: run, then for each measure of `comparison_measures` its value, the bounds of its confidence interval and
    its deviation over replicates; then for each the difference to the reference with its bounds; then what it
    took. Columns without any value are left out.
    """
    names = list(comparison_measures(comparison["levels"]))
    rows = []
    for of_run in comparison["rows"]:
        row: dict[str, str | float | None] = {"run": of_run["name"]}
        for name in names:
            row |= _with_bounds(name, name, of_run["measures"], of_run["confidence_intervals"])
            row[f"{name}_deviation"] = of_run["deviations"].get(name)
        for name in names:
            row |= _with_bounds(name, name + _DIFFERENCE, of_run["differences"], of_run["difference_intervals"])
        rows.append(row | {cost: of_run[cost] for cost in _COSTS})
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.select(column.name for column in table if column.null_count() < len(table))


def comparison_parts(table: pl.DataFrame, captions: Sequence[str]) -> list[tuple[str, pl.DataFrame]]:
    """The measures, the differences and the costs of a `comparison_table`, each with its caption, as it has them."""
    of_part: list[list[str]] = [[], [], []]
    for name in table.columns[1:]:
        measure = _BOUNDS_AND_DEVIATION.sub("", name)
        of_part[2 if name in _COSTS else 1 if measure.endswith(_DIFFERENCE) else 0].append(name)
    return [
        (caption, table.select("run", *columns)) for caption, columns in zip(captions, of_part, strict=True) if columns
    ]


def write_table(frame: pl.DataFrame, stem: Path, caption: str) -> None:
    """Write `stem`.csv, `stem`.md and `stem`.tex, each whole or not at all."""
    write_tables(frame, stem, [(caption, frame)])


def write_tables(frame: pl.DataFrame, stem: Path, parts: Sequence[tuple[str, pl.DataFrame]]) -> None:
    """As `write_table`, with the CSV of one frame, and the others of parts of it, each below its caption."""
    shown = [(caption, _cells(part)) for caption, part in parts]
    labels = [f"tab:{stem.name}", *(f"tab:{stem.name}-{number}" for number in range(2, len(parts) + 1))]
    contents = {
        "csv": frame.write_csv(),
        "md": "\n".join(_markdown(cells, caption) for caption, cells in shown),
        "tex": "\n".join(_latex(cells, caption, label) for (caption, cells), label in zip(shown, labels, strict=True)),
    }
    for ending, content in contents.items():
        with written_whole(stem.with_name(f"{stem.name}.{ending}")) as temporary:
            temporary.write_bytes(content.encode())


def heading(column: str) -> str:
    """A column as readers see it: "Sections present", "Average classes per patent", "F1 micro"."""
    if column.endswith(_PRESENT):
        return capitalised(f"{plural(level_name(column.removesuffix(_PRESENT)))} present")
    if column.endswith(_AVERAGE):
        return f"Average {level_name(column.removesuffix(_AVERAGE))} per patent"
    if column in _COSTS:
        return _COSTS[column]
    if "." in column:
        return _measure_heading(column.removesuffix(_DIFFERENCE))
    return capitalised(column.replace("_", " "))


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is; brackets are wrapped, so that none is read as an option of a row's end."""
    return _TO_LATEX.sub(lambda found: _LATEX.get(found[0], found[0] + "{}"), text)


def _measure_heading(name: str) -> str:
    """A dotted name as readers see it: "Class F1 micro" for class.f1_micro."""
    level, _, measure = name.rpartition(".")
    words = measure.replace("f1", "F1").replace("macro_supported", "macro").replace("_", " ")
    return capitalised(f"{level_name(level)} {words}")


def _with_bounds(
    name: str, column: str, values: Mapping[str, float], intervals: Mapping[str, Sequence[float]]
) -> dict[str, float | None]:
    low, high = intervals.get(name, (None, None))
    return {column: values.get(name), f"{column}_low": low, f"{column}_high": high}


def _labels_of(name: str, documents: pl.DataFrame, levels: Sequence[str]) -> dict[str, str | int | float | None]:
    row: dict[str, str | int | float | None] = {"split": name, "documents": len(documents)}
    for level in levels:
        row[level + _PRESENT] = documents[level].explode().drop_nulls().n_unique()
    for level in levels:
        labels = int(documents[level].list.len().sum())
        row[plural(level) + _AVERAGE] = labels / len(documents) if len(documents) else None
    return row


@dataclass(frozen=True)
class _Cell:
    """What people see of a value: its text, and its confidence interval in brackets, empty where it has none."""

    text: str
    interval: str = ""


_Cells = list[list[_Cell]]  # rows, the header first; the first column names the rows


def _cells(frame: pl.DataFrame) -> _Cells:
    columns = [name for name in frame.columns if _BOUNDS_AND_DEVIATION.sub("", name) not in set(frame.columns) - {name}]
    cells = [[_Cell(heading(name)) for name in columns]]
    for row in frame.iter_rows(named=True):
        cells.append([_Cell(_value(name, row[name]) + _deviation(name, row), _interval(name, row)) for name in columns])
    if len(columns) <= MOST_COLUMNS or len(columns) <= len(cells):
        return cells
    return [list(column) for column in zip(*cells, strict=True)]


def _value(column: str, value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, float):
        if column in _COSTS:
            return f"{value:,.0f}"
        if column.endswith(_DIFFERENCE):
            return f"{value:+.4f}"
        return f"{value:.2f}" if column.endswith(_AVERAGE) else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _interval(column: str, row: Mapping[str, Any]) -> str:
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return "" if low is None or high is None else f"[{_value(column, low)}, {_value(column, high)}]"


def _deviation(column: str, row: Mapping[str, Any]) -> str:
    deviation = row.get(f"{column}_deviation")
    return "" if deviation is None else f" ± {_value(column, deviation)}"


def _markdown(cells: _Cells, caption: str) -> str:
    def row_of(texts: list[str]) -> str:
        return "| " + " | ".join(texts) + " |"

    header, *rows = [
        [f"{cell.text} {cell.interval}".rstrip().replace("\\", r"\\").replace("|", r"\|") for cell in row]
        for row in cells
    ]
    rule = [":---", *["---:"] * (len(header) - 1)]
    return "\n".join([caption, "", *map(row_of, [header, rule, *rows])]) + "\n"


def _latex(cells: _Cells, caption: str, label: str) -> str:
    """A booktabs table that fits the width of a page.

    Confidence intervals are in a row of their own below the values, long headings in several lines, and what is still
    too wide is scaled to the width of the text.
    """
    header, *rows = cells
    columns = [list(column) for column in zip(*rows, strict=True)]
    widths = [
        max(max(len(cell.text), round(_LATEX_INTERVAL * len(cell.interval))) for cell in column) for column in columns
    ]
    headings = [wrap(cell.text, max(width, _LATEX_HEADING)) or [""] for cell, width in zip(header, widths, strict=True)]
    wide = sum(max(width, *map(len, lines)) for width, lines in zip(widths, headings, strict=True)) + 2 * len(header)
    sides = "l" + "".join("r" if any(map(_is_number, column)) else "l" for column in columns[1:])
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}[htbp]",
        r"  \centering",
        f"  \\caption{{{escape_latex(caption)}}}",
        f"  \\label{{{label}}}",
        *([r"  \small"] if _LATEX_SMALL < wide <= _LATEX_SCALED else []),
        *([r"  \resizebox{\textwidth}{!}{%"] if wide > _LATEX_SCALED else []),
        f"  \\begin{{tabular}}{{{sides}}}",
        r"  \toprule",
        _latex_row([_stacked(lines, side) for lines, side in zip(headings, sides, strict=True)]),
        r"  \midrule",
    ]
    for row in rows:
        lines.append(_latex_row([escape_latex(cell.text) for cell in row]))
        if any(cell.interval for cell in row):
            intervals = [rf"\footnotesize {escape_latex(cell.interval)}" if cell.interval else "" for cell in row]
            lines.append(_latex_row(intervals))
    lines += [r"  \bottomrule", r"  \end{tabular}" + ("}" if wide > _LATEX_SCALED else ""), r"\end{table}"]
    return "\n".join(lines) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return "  " + " & ".join(cells) + r" \\"


def _stacked(lines: Sequence[str], side: str) -> str:
    """A heading in lines below each other."""
    text = r" \\ ".join(escape_latex(line) for line in lines)
    return text if len(lines) == 1 else rf"\shortstack[{side}]{{{text}}}"


def _is_number(cell: _Cell) -> bool:
    return bool(re.match(r"[+-]?[0-9]", cell.text))
