"""The figure of a matrix: which technologies each row has, which there are most of, and, over years, how they change.

Panel (a) is a heat map: the shares of technologies within each row, of the rows with the largest weight and the
technologies with the largest counts, both in the order of the table (which is that of the label tree, and of years).
Panel (b) has the counts of the largest technologies over all rows. Where a column that names the rows holds years,
panel (c) shows the shares of the largest technologies by year, of years with `FEWEST_UNITS` units or more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from ipcascade.core.errors import UserError
from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import capitalised, plural, sentence_case

MOST_ROWS = 24
MOST_TECHNOLOGIES = 24
MOST_BARS = 12
MOST_CURVES = 5
LONGEST_NAME = 44  # characters of the name of a row
LONGEST_TITLE = 40
FEWEST_YEARS = 3
FEWEST_UNITS = 10  # of a year; shares of fewer are noise
_ROW_INCHES = 0.16


@dataclass(frozen=True)
class Matrix:
    """values: float64 [rows, technologies], counts; names, weights [rows]; codes, titles [technologies].

    rows, columns: the positions of those that are shown, ascending.
    """

    names: list[str]
    weights: np.ndarray
    values: np.ndarray
    codes: list[str]
    titles: list[str]
    rows: np.ndarray
    columns: np.ndarray


def draw(table: pl.DataFrame, rows: Sequence[str], measure: str, level: str, options: FigureOptions) -> Figure:
    """Draw the figure from the long table of a matrix.

    rows: the columns that name its rows; measure: the column of counts that is shown; level: what technologies are
    called. Raises UserError where the table has no rows, and as `style.applied` does.
    """
    if not len(table):
        raise UserError("the matrix has no counts: no text has a label; there is nothing to draw")
    matrix = largest(table, rows, measure)
    years = _years(table, rows, measure)
    with style.applied(options):
        shown = min(len(matrix.names), MOST_ROWS)
        height = 1.1 + _ROW_INCHES * max(shown, 4)
        below = 0.6 + _ROW_INCHES * MOST_BARS
        figure = style.new_figure(options, height + below)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
        grid = figure.add_gridspec(2, 2 if years is not None else 1, height_ratios=[height, below])
        heat, bars = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, 0])
        _draw_shares(heat, matrix, figure, options)
        _draw_largest(bars, matrix, level, options)
        drawn = [heat, bars]
        if years is not None:
            drawn.append(figure.add_subplot(grid[1, 1]))
            _draw_years(drawn[-1], years, options)
        for letter, axes in zip("abc", drawn, strict=False):
            axes.annotate(
                f"({letter})", (0, 1), xycoords="axes fraction", xytext=(-28, 5), textcoords="offset points",
                fontweight="bold", fontsize=options.font_size + 1,
            )  # fmt: skip
        return figure


def largest(table: pl.DataFrame, rows: Sequence[str], measure: str) -> Matrix:
    """A matrix from its long table, with the positions of the rows of largest weight and the largest technologies."""
    names = table.select([*rows, "weight"]).unique(rows, keep="first", maintain_order=True)
    technologies = table.select("technology", "title").unique("technology", keep="first").sort("technology")
    row_of = table.select(rows).join(
        names.with_row_index("_row"), on=list(rows), how="left", nulls_equal=True, maintain_order="left"
    )["_row"]
    column_of = table.select("technology").join(
        technologies.with_row_index("_column"), on="technology", how="left", maintain_order="left"
    )["_column"]
    values = np.zeros((len(names), len(technologies)))
    values[row_of.to_numpy(), column_of.to_numpy()] = table[measure].to_numpy()
    weights = names["weight"].to_numpy()
    return Matrix(
        [", ".join(_named(value) for value in row[:-1]) for row in names.iter_rows()],
        weights,
        values,
        technologies["technology"].to_list(),
        technologies["title"].to_list(),
        _largest(weights, MOST_ROWS),
        _largest(values.sum(axis=0), MOST_TECHNOLOGIES),
    )


def _largest(amounts: np.ndarray, most: int) -> np.ndarray:
    """The positions of the largest amounts, ascending."""
    return np.sort(np.argsort(-amounts, kind="stable")[:most])


def _draw_shares(axes: Axes, matrix: Matrix, figure: Figure, options: FigureOptions) -> None:
    rows, columns = matrix.rows, matrix.columns
    totals = matrix.values.sum(axis=1, keepdims=True)
    shares = 100 * (matrix.values / np.where(totals > 0, totals, 1))[np.ix_(rows, columns)]
    colours = LinearSegmentedColormap.from_list("shares", ["white", options.colours.levels[0]])
    image = axes.imshow(shares, cmap=colours, vmin=0, vmax=max(shares.max(), 1e-9), aspect="auto")
    axes.set_xticks(range(len(columns)), [style.shortened(matrix.codes[column]) for column in columns], rotation=90)
    axes.set_yticks(range(len(rows)), [_cut(matrix.names[row], LONGEST_NAME) for row in rows])
    axes.tick_params(length=0)
    for side in ("left", "bottom", "top", "right"):
        axes.spines[side].set_visible(True)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
    bar.set_label("% of the row")
    bar.outline.set_linewidth(style.HAIRLINE)
    if len(rows) < len(matrix.names):
        axes.set_title(
            f"{len(rows)} of {len(matrix.names):,} rows, those of the largest weight",
            loc="right",
            fontsize=options.font_size - 1,
        )


def _draw_largest(axes: Axes, matrix: Matrix, level: str, options: FigureOptions) -> None:
    totals = matrix.values.sum(axis=0)
    order = np.argsort(-totals, kind="stable")[:MOST_BARS]
    places = np.arange(len(order))
    axes.barh(places, totals[order], height=0.8, color=style.tint(options.colours.levels[1], 0.45))
    for place, column in zip(places, order, strict=True):
        name = f"{style.shortened(matrix.codes[column])} {sentence_case(matrix.titles[column])}"
        axes.annotate(
            _cut(name, LONGEST_TITLE), (0, place), xytext=(2, 0), textcoords="offset points", va="center",
            fontsize=options.font_size - 1,
        )  # fmt: skip
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel(f"{capitalised(plural(level))} by count, all rows")


def _years(table: pl.DataFrame, rows: Sequence[str], measure: str) -> pl.DataFrame | None:
    """Counts by year (int) and technology, where a column that names rows holds years."""
    for name in rows:
        years = table[name].cast(pl.String).cast(pl.Int64, strict=False)
        known = years.drop_nulls()
        units = table.with_columns(_year=years).unique([*rows], keep="first", maintain_order=True)
        is_year = len(known) and known.is_between(1500, 2200).all() and years.null_count() == _empty(table[name])
        enough = units.group_by("_year").agg(pl.col("units").sum()).filter(pl.col("units") >= FEWEST_UNITS)["_year"]
        if is_year and enough.drop_nulls().len() >= FEWEST_YEARS:
            counts = table.with_columns(_year=years).filter(pl.col("_year").is_in(enough.drop_nulls().implode()))
            return counts.group_by("_year", "technology", maintain_order=True).agg(pl.col(measure).sum().alias("count"))
    return None


def _empty(values: pl.Series) -> int:
    return int((values.is_null() | (values.cast(pl.String) == "")).fill_null(True).sum())


def _draw_years(axes: Axes, counts: pl.DataFrame, options: FigureOptions) -> None:
    years = counts["_year"].unique().sort().to_list()
    totals = dict(counts.group_by("_year", maintain_order=True).agg(pl.col("count").sum()).iter_rows())
    sums = counts.group_by("technology", maintain_order=True).agg(pl.col("count").sum())
    largest = sums.sort("count", "technology", descending=[True, False])["technology"][:MOST_CURVES]
    for place, (technology, marker) in enumerate(zip(largest, cycle(style.MARKERS), strict=False)):
        of = dict(counts.filter(technology=technology).select("_year", "count").iter_rows())
        shares = [100 * of.get(year, 0.0) / totals[year] if totals[year] > 0 else 0.0 for year in years]
        axes.plot(
            years, shares, color=style.level_colour(options, place), marker=marker, linewidth=style.CURVE,
            markersize=3, label=style.shortened(technology), clip_on=False,
        )  # fmt: skip
    axes.set_ylim(0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("Year")
    axes.set_ylabel("% of the year")
    axes.legend(ncols=MOST_CURVES, loc="lower center", bbox_to_anchor=(0.5, 1), handlelength=1.2, columnspacing=0.8)


def _named(value: object) -> str:
    return "–" if value is None or value == "" else str(value)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
