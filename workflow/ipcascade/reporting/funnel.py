"""The funnel of the corpus as a table (table 3) and as a figure (figure 7): what each step removed, and what it left.

In the figure a bar is what a step left, on it in a light colour what it removed. Where little is left of much, bars are
on a logarithmic scale.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import capitalised

SYMBOLS = "symbols"
_OF_SYMBOLS = {
    "of_other_applications": ("of applications that were kept", None),
    "dropped_by_ipc_value": ("value", "corpus.ipc_values"),
    "dropped_outside_label_tree": ("in the label tree", "corpus.label_tree"),
    "dropped_by_weight": ("weight of the label", "corpus.least_weight"),
}
"""What the funnel says was dropped of the symbols: the step's name, and its key."""
_FILTERS_OF_SYMBOLS = ("corpus.ipc_values", "corpus.least_weight")
_HEIGHT_OF_STEP, _HEIGHT_BESIDE_STEPS = 0.19, 0.75  # inches
_LARGEST_RATIO = 100  # of the first bar to the last one that is seen
_LONGEST_NAME = 34  # characters of a step's name that are shown
_COLUMNS = (7.0, 11.8)  # right ends of the numbers, in font sizes right of the panel


def funnel_table(funnel: Mapping[str, Any]) -> pl.DataFrame:
    """A row per step, first those of documents, then those of symbols, from a funnel (schemas.FunnelFacts).

    Columns: step, key (of the config, that decides it; null for none), removed, removed_share (of what the step before
    left; null for the first), left, unit. Filters of symbols that removed nothing are mostly not asked for, and left
    out.
    """
    steps = list(funnel["steps"])
    symbols = funnel["symbols"]
    left = symbols["read"]
    steps.append({"step": SYMBOLS, "key": None, "removed": 0, "left": left, "unit": SYMBOLS})
    for name, (step, key) in _OF_SYMBOLS.items():
        left -= symbols[name]
        if key in _FILTERS_OF_SYMBOLS and not symbols[name]:
            continue
        steps.append({"step": step, "key": key, "removed": symbols[name], "left": left, "unit": SYMBOLS})
    firsts = {0, len(funnel["steps"])}
    for number, step in enumerate(steps):
        before = step["removed"] + step["left"]
        steps[number] = step | {"removed_share": None if number in firsts else step["removed"] / max(1, before)}
    schema = {
        "step": pl.String, "key": pl.String, "removed": pl.Int64, "removed_share": pl.Float64, "left": pl.Int64,
        "unit": pl.String,
    }  # fmt: skip
    return pl.DataFrame(steps, schema=schema)


def draw(funnel: Mapping[str, Any], options: FigureOptions) -> Figure:
    """Draw the figure from a funnel (schemas.FunnelFacts)."""
    table = funnel_table(funnel)
    units = table["unit"].unique(maintain_order=True).to_list()
    in_turn = style.level_colour(options, 0), options.colours.accent, style.level_colour(options, 1)
    colours = dict(zip(units, in_turn, strict=False))
    places = [row + units.index(unit) * 0.5 for row, unit in enumerate(table["unit"])]
    with style.applied(options):
        figure = style.new_figure(options, _HEIGHT_OF_STEP * (places[-1] + 1) + _HEIGHT_BESIDE_STEPS)
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.04)
        axes = figure.add_subplot()
        for place, row in zip(places, table.iter_rows(named=True), strict=True):
            _draw_step(axes, place, row, colours[row["unit"]])
        _finish(axes, places, table)
        figure.legend(
            handles=[Patch(color=colours[unit], label=unit) for unit in units],
            loc="outside upper left",
            ncols=len(units),
        )
        return figure


def _draw_step(axes: Axes, place: float, row: Mapping[str, Any], colour: str) -> None:
    axes.barh(place, row["removed"] + row["left"], height=0.7, color=style.tint(colour, 0.25))
    axes.barh(place, row["left"], height=0.7, color=colour)
    for text, offset in zip((f"{row['left']:,}", _removed(row)), _COLUMNS, strict=True):
        axes.annotate(
            text, (1, place), xycoords=("axes fraction", "data"), xytext=(offset, 0), textcoords="offset fontsize",
            ha="right", va="center", annotation_clip=False,
        )  # fmt: skip


def _removed(row: Mapping[str, Any]) -> str:
    """The share that a step removed, as it stands beside its bar."""
    share = 100 * row["removed_share"] if row["removed"] else 0.0
    if not share:
        return ""
    return f"−{share:.1f}%" if share >= 0.05 else "< 0.1%"


def _finish(axes: Axes, places: list[float], table: pl.DataFrame) -> None:
    """The scale, and the names of the steps."""
    most, least = table["left"].max(), table["left"].min()
    assert isinstance(most, int) and isinstance(least, int)
    if least and most > _LARGEST_RATIO * least:
        axes.set_xscale("log")
        axes.set_xlim(left=least / 2)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.set_yticks(places, [_name(row) for row in table.iter_rows(named=True)])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("Left after the step (on a log scale)" if axes.get_xscale() == "log" else "Left after the step")


def _name(row: Mapping[str, Any]) -> str:
    # The first step is called like a table.
    name = row["step"] if "_" in row["step"] else capitalised(row["step"])
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
