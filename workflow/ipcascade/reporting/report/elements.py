"""What a page of the report is made of: sections of text, notes, lists of facts, tables and figures.

These hold what is shown; how it looks is decided by page.html.j2 and page.css.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.reporting.words import level_name, sentence_case

NOTHING = "–"
BELOW_ALL = -1e99  # by which a missing number is sorted


@dataclass(frozen=True)
class Cell:
    """A value as it is shown; `order` is what a column is sorted by where that is not the text.

    note: in smaller letters behind it, such as an interval; share: 0 to 1, how strong the cell's background is.
    """

    text: str
    order: float | str | None = None
    note: str = ""
    share: float | None = None


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers are set flush right, titles in a wide column. explained: shown on pointing at it."""

    heading: str
    is_number: bool = False
    explained: str = ""
    is_wide: bool = False

    @property
    def style(self) -> str:
        """Its class in the style sheet, which may be none."""
        return "number" if self.is_number else "wide" if self.is_wide else ""


@dataclass(frozen=True)
class Table:
    """A table that sorts by its columns and can be searched.

    choose: the columns of which a reader can choose one value, as the level.
    """

    key: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    choose: tuple[int, ...] = ()
    is_heat_map: bool = False
    kind = "table"

    def choices(self, column: int) -> list[str]:
        """The values of a column, in the order of the rows."""
        return list(dict.fromkeys(row[column].text for row in self.rows))


@dataclass(frozen=True)
class Figure:
    """A picture with its caption; source: its SVG as a data URL; files: paths to the same in other formats."""

    title: str
    caption: str
    source: str
    files: Mapping[str, str]
    kind = "figure"


@dataclass(frozen=True)
class Facts:
    """Terms with their values."""

    items: Sequence[tuple[str, str]]
    kind = "facts"


@dataclass(frozen=True)
class Text:
    """A paragraph; of a warning `warns` is true."""

    text: str
    warns: bool = False
    kind = "text"


@dataclass(frozen=True)
class Code:
    """Text as it is in a file, below a heading that opens it."""

    title: str
    text: str
    kind = "code"


Part = Table | Figure | Facts | Text | Code


@dataclass(frozen=True)
class Section:
    """A part of the page with an entry in its table of contents."""

    key: str
    title: str
    parts: list[Part] = field(default_factory=list)


def read_figure(title: str, caption: str, stem: Path, root: Path) -> Figure:
    """A figure from its files `stem`.svg, .pdf and .png; root: the folder that the page's links start from.

    Raises UserError where the SVG cannot be read.
    """
    path = stem.with_name(f"{stem.name}.svg")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    source = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
    links = {kind: f"../{stem.relative_to(root).as_posix()}.{kind}" for kind in ("pdf", "png", "svg")}
    return Figure(title, caption, source, links)


def text(value: Any) -> Cell:
    """As it is; a dash for what is missing or empty."""
    return Cell(NOTHING if value is None or value == "" else str(value))


def level(value: str) -> Cell:
    """A level of the label tree."""
    return text(level_name(value))


def words(value: str) -> Cell:
    """A name with blanks for underscores."""
    return text(value.replace("_", " "))


def title(value: str | None) -> Cell:
    """The title of a label."""
    return text(value and sentence_case(value))


def whole(value: int | None) -> Cell:
    """A whole number: 1,234."""
    return _number(value, "{:,}")


def measure(value: float | None) -> Cell:
    """A measure in four decimals, as in the paper's tables."""
    return _number(value, "{:.4f}")


def amount(value: float | None) -> Cell:
    """A number of things that need not be whole: 1,234.5."""
    return _number(value, "{:,.1f}")


def percent(value: float | None) -> Cell:
    """A share as a percentage: 12.3%."""
    return _number(value, "{:.1%}")


def flag(value: bool | None) -> Cell:
    """yes or no."""
    return text(None if value is None else "yes" if value else "no")


def _number(value: float | None, pattern: str) -> Cell:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Cell(NOTHING, BELOW_ALL)
    return Cell(pattern.format(value), value)


def signed(value: float | None, interval: Sequence[float] | None) -> Cell:
    """A difference of measures with its sign and its interval."""
    if value is None:
        return Cell(NOTHING, BELOW_ALL)
    return Cell(f"{value:+.4f}", value, f"[{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval else "")


def known(value: float | None, shown: Callable[[float], str]) -> Cell:
    """An amount in words, such as a duration; a dash where it is not known."""
    return Cell(NOTHING, BELOW_ALL) if value is None else Cell(shown(value), value)


def with_interval(value: float | None, interval: Sequence[float] | None) -> Cell:
    """A measure with its interval."""
    cell = measure(value)
    return Cell(cell.text, cell.order, f"[{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


Format = Callable[[Any], Cell]
Columns = Mapping[str, tuple[str, Format]]
"""Columns of a frame with their headings and how their values are shown."""
_NUMBERS = (whole, measure, amount, percent)
_WIDE = (title,)


def table_of(key: str, caption: str, frame: pl.DataFrame, columns: Columns, choose: Sequence[str] = ()) -> Table:
    """A table of columns of a frame: their headings and how their values are shown."""
    headings = [Column(heading, shown in _NUMBERS, is_wide=shown in _WIDE) for heading, shown in columns.values()]
    formats = [shown for _, shown in columns.values()]
    rows = [
        [shown(value) for shown, value in zip(formats, row, strict=True)]
        for row in frame.select(list(columns)).iter_rows()
    ]
    return Table(key, caption, headings, rows, tuple(list(columns).index(name) for name in choose))
