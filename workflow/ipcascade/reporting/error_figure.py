"""Figure 5: where the errors on test are: by frequency of the label, by pair of labels, by group of documents.

One panel shows F1 of each label against its training documents. Then, for each level, come the pairs of labels that are
most often confused, and last F1 micro by number of labels, by text length and, where the corpus has it, by filing year.
"""

import math
import re
from itertools import cycle

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ipcascade.core.errors import UserError
from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import level_name

_MOST_PANELS_IN_ROW = 3
_ROW_HEIGHT = 2.4  # inches
_MOST_PAIRS = 8
_BAR = 0.35  # height of the bar of a pair, as a share of its row; its name is above it
_FEWEST_DOCUMENTS = 10  # smaller groups are not drawn
_FEWEST_LABELS = 5  # for a mean over labels
_BANDS_PER_DECADE = 2  # of training documents, for these means
_GROUPINGS = {"labels": "True labels per document", "words": "Words per abstract"}
_YEARS = "filing_year"
_UNKNOWN = "unknown"


def draw(by_frequency: pl.DataFrame, confusion: pl.DataFrame, by_group: pl.DataFrame, options: FigureOptions) -> Figure:
    """Draw the figure from the tables of these names of an analysis.

    Levels are those of the table `by_frequency`, in its order. Raises UserError where it has none.
    """
    levels = by_frequency["level"].unique(maintain_order=True).to_list()
    if not levels:
        raise UserError("figure 5: the analysis has no labels; make it again")
    by_group = by_group.filter(pl.col("documents") >= _FEWEST_DOCUMENTS)
    groupings = [name for name in _GROUPINGS if len(by_group.filter(grouping=name))]
    years = _years(by_group)
    with style.applied(options):
        in_rows = style.rows_of(1 + len(levels) + len(groupings) + (len(years) > 0), _MOST_PANELS_IN_ROW)
        figure, panels = style.panels(options, _ROW_HEIGHT, in_rows)
        free = iter(panels)
        _draw_frequency(next(free), by_frequency, levels, options)
        for depth, level in enumerate(levels):
            _draw_pairs(next(free), confusion.filter(level=level), level, style.level_colour(options, depth))
        for grouping in groupings:
            _draw_groups(next(free), by_group.filter(grouping=grouping), levels, options)
        if len(years):
            _draw_years(next(free), years, levels, options)
        return figure


def _draw_frequency(axes: Axes, labels: pl.DataFrame, levels: list[str], options: FigureOptions) -> None:
    shown = labels.filter(pl.col("support") > 0, pl.col("train_documents") > 0)
    for depth, (level, marker) in enumerate(zip(levels, cycle(style.MARKERS), strict=False)):
        of_level = shown.filter(level=level)
        axes.plot(
            of_level["train_documents"].to_list(), of_level["f1"].to_list(), linestyle="none", marker=marker,
            markeredgewidth=0, color=style.level_colour(options, depth), label=level_name(level), clip_on=False,
            zorder=3 + depth / 100,
        )  # fmt: skip
    axes.plot(*_means(shown), color="black", label="mean", zorder=4)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.short_count(value)))
    axes.set_xlabel("Training documents (log)")
    _finish_f1(axes, "F1 of the label")


def _means(labels: pl.DataFrame) -> tuple[list[float], list[float]]:
    """Training documents, and the mean F1 of the labels of all levels that have about as many."""
    by_band: dict[int, list[float]] = {}
    for documents, f1 in labels.select("train_documents", "f1").iter_rows():
        by_band.setdefault(math.floor(_BANDS_PER_DECADE * math.log10(documents)), []).append(f1)
    bands = sorted(band for band, of_band in by_band.items() if len(of_band) >= _FEWEST_LABELS)
    middles = [10 ** ((band + 0.5) / _BANDS_PER_DECADE) for band in bands]
    return middles, [math.fsum(by_band[band]) / len(by_band[band]) for band in bands]


def _draw_pairs(axes: Axes, pairs: pl.DataFrame, level: str, colour: str) -> None:
    shown = pairs.head(_MOST_PAIRS)
    # At the top level there are no parents, and all bars are of the full colour.
    colours = [style.tint(colour, 0.4) if same is False else colour for same in shown["same_parent"].to_list()]
    axes.barh(range(len(shown)), shown["weight"].to_list(), height=_BAR, align="edge", color=colours)
    for position, (true, predicted) in enumerate(shown.select("true", "predicted").iter_rows()):
        name = f"{style.shortened(true)} → {style.shortened(predicted)}"
        text = axes.annotate(
            name, (0, position), xytext=(1.5, 1), textcoords="offset points", va="bottom", fontsize="small"
        )  # fmt: skip
        text.set_in_layout(False)  # long codes make no panel narrower
    axes.set_ylim(_MOST_PAIRS - 1 + 1.3 * _BAR, _BAR - 1.1)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel(f"Documents, {level_name(level)} pairs")
    axes.set_ylabel("Missed → predicted")
    if not len(shown):
        axes.text(0.5, 0.5, "no pairs", ha="center", va="center", transform=axes.transAxes)
        axes.set_xlim(0, 1)
    elif shown["same_parent"].null_count() < len(shown):
        handles = [Patch(color=colour, label="same parent"), Patch(color=style.tint(colour, 0.4), label="other parent")]
        axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), handlelength=0.8)


def _draw_groups(axes: Axes, groups: pl.DataFrame, levels: list[str], options: FigureOptions) -> None:
    names = _in_order(groups)
    for depth, (level, marker) in enumerate(zip(levels, cycle(style.MARKERS), strict=False)):
        of_level = groups.filter(level=level)
        axes.plot(
            [names.index(name) for name in of_level["group"].to_list()], of_level["f1"].to_list(), marker=marker,
            color=style.level_colour(options, depth), label=level_name(level), clip_on=False, zorder=3,
        )  # fmt: skip
    shown = [_short(name) for name in names]
    axes.set_xticks(range(len(names)), shown, rotation=90 if max(map(len, shown)) > 2 else 0)
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_xlabel(_GROUPINGS[groups["grouping"][0]])
    _finish_f1(axes, "F1 micro")


def _draw_years(axes: Axes, years: pl.DataFrame, levels: list[str], options: FigureOptions) -> None:
    for depth, (level, marker) in enumerate(zip(levels, cycle(style.MARKERS), strict=False)):
        of_level = years.filter(level=level)
        axes.plot(
            of_level["year"].to_list(), of_level["f1"].to_list(), marker=marker,
            color=style.level_colour(options, depth), label=level_name(level), clip_on=False, zorder=3,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Filing year")
    _finish_f1(axes, "F1 micro")


def _finish_f1(axes: Axes, label: str) -> None:
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_ylabel(label)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _years(by_group: pl.DataFrame) -> pl.DataFrame:
    """The groups by filing year, with the year as a number."""
    years = by_group.filter((pl.col("grouping") == _YEARS) & (pl.col("group") != _UNKNOWN))
    return years.with_columns(year=pl.col("group").cast(pl.Int64, strict=False)).drop_nulls("year")


def _in_order(groups: pl.DataFrame) -> list[str]:
    """The groups of all levels in ascending order, which is that of the numbers that their names begin with.

    Raises UserError for a group that does not begin with one.
    """
    names = groups["group"].unique().sort().to_list()
    for name in names:
        if not re.match(r"[0-9]{1,9}( |$)", name):
            raise UserError(
                f"figure 5: the group {name!r} of {groups['grouping'][0]!r} is none; make the analysis again"
            )
    return sorted(names, key=lambda name: int(name.split()[0]))


def _short(name: str) -> str:
    """A band as it fits below an axis: "50–99" for 50 to 99, "≥300" for 300 or more."""
    return f"≥{name.removesuffix(' or more')}" if name.endswith(" or more") else name.replace(" to ", "–")
