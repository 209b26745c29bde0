"""Figure 6: runs compared: one panel per measure, the runs from top to bottom, each as a point and its interval.

Whether two runs differ is not seen from whether their intervals overlap: these are of each run alone, and runs are
measured on the same documents. So the marker says what the interval of the difference to the reference does: filled
where it is without 0, open where 0 is in it, a diamond where there is none. Replicates are small points below their
mean, on a bar of one standard deviation to each side. Beside the panels stands what each run takes, where it is known.
"""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ipcascade.core.errors import UserError
from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.tables import comparison_measures
from ipcascade.reporting.words import duration, gibibytes

_MOST_PANELS_IN_ROW = 3
_LONGEST_NAME = 20  # characters of a run's name that are shown
_LONGEST_LINE = 24  # characters of a measure's name, which is broken there
_HEIGHT_OF_RUN, _LEAST_HEIGHT, _HEIGHT_BESIDE_RUNS = 0.22, 0.5, 0.55  # inches
_HEIGHT_OF_LEGEND = 0.5
_BELOW = 0.28  # of the distance of two runs: how far replicates are below their mean
_LEAST_SPAN = 0.02  # of an axis, so that its ticks have few digits
_COST_COLUMNS = (3.8, 8.8)  # right ends of time and memory, in font sizes right of the panel
_DEVIATION = 3.0  # points: the bar of a standard deviation
_FILLED, _OPEN, _NONE = "filled", "open", "none"


def draw(comparison: Mapping[str, Any], options: FigureOptions) -> Figure:
    """Draw the figure from a comparison (schemas.Comparison), whose rows all have the same measures.

    Measures are those of `comparison_measures` that the rows have. Raises UserError where they have none of them.
    """
    rows = comparison["rows"]
    shown = {
        name: heading
        for name, heading in comparison_measures(comparison["levels"]).items()
        if name in rows[0]["measures"]
    }
    if not shown:
        raise UserError("figure 6: the comparison has no measure to draw; make it again")
    in_rows = style.rows_of(len(shown), _MOST_PANELS_IN_ROW)
    height = max(_LEAST_HEIGHT, _HEIGHT_OF_RUN * len(rows)) + _HEIGHT_BESIDE_RUNS + _HEIGHT_OF_LEGEND / len(in_rows)
    with style.applied(options):
        figure, panels = style.panels(options, height, in_rows)
        first = {sum(in_rows[:row]) for row in range(len(in_rows))}
        last = {sum(in_rows[: row + 1]) - 1 for row in range(len(in_rows))}
        for number, (axes, (name, heading)) in enumerate(zip(panels, shown.items(), strict=True)):
            colour = _colour(name, comparison["levels"], options)
            _draw_measure(axes, name, comparison, colour, options)
            axes.set_xlabel(_in_lines(heading))
            axes.set_yticks(range(len(rows)), [_cut(row["name"]) for row in rows] if number in first else [])
            if number in last:
                _write_costs(axes, rows)
        kinds = {_marker(row, name) for row in rows for name in shown}
        handles = _legend(comparison, kinds, options)
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
        return figure


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _in_lines(heading: str) -> str:
    return "\n".join(fill(line, _LONGEST_LINE) for line in heading.replace(" average", "\naverage").splitlines())


def _colour(name: str, levels: Sequence[str], options: FigureOptions) -> str:
    level = name.rpartition(".")[0]
    return style.level_colour(options, levels.index(level)) if level in levels else options.colours.accent


def _marker(row: Mapping[str, Any], name: str) -> str:
    if name not in row["difference_intervals"]:
        return _NONE
    low, high = row["difference_intervals"][name]
    return _OPEN if low <= 0 <= high else _FILLED


def _of_marker(kind: str, colour: str) -> dict[str, Any]:
    shape, size = ("D", 2.8) if kind == _NONE else ("o", 4)
    return {
        "linestyle": "none", "marker": shape, "markersize": size, "color": colour,
        "markerfacecolor": "white" if kind == _OPEN else colour, "markeredgewidth": 1.0,
    }  # fmt: skip


def _draw_measure(axes: Axes, name: str, comparison: Mapping[str, Any], colour: str, options: FigureOptions) -> None:
    rows = comparison["rows"]
    reference = next(row["measures"][name] for row in rows if row["name"] == comparison["reference"])
    axes.axvline(reference, color=options.colours.neutral, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=0)
    for place, row in enumerate(rows):
        if name in row["confidence_intervals"]:
            axes.plot(row["confidence_intervals"][name], [place, place], color=colour)
        value = row["measures"][name]
        if row["replicates"]:
            deviation, below = row["deviations"].get(name, 0.0), place + _BELOW
            axes.plot(
                [value - deviation, value + deviation], [below, below],
                color=style.tint(colour, 0.3), linewidth=_DEVIATION, solid_capstyle="butt",
            )  # fmt: skip
            replicates = [values[name] for values in row["replicates"].values()]
            axes.plot(replicates, [below] * len(replicates), **_of_replicate(colour))
        axes.plot(value, place, **_of_marker(_marker(row, name), colour))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    low, high = axes.get_xlim()
    if high - low < _LEAST_SPAN:
        middle = (low + high) / 2
        axes.set_xlim(middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(axis="x", useOffset=False)


def _write_costs(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Right of a panel, in line with the runs: their time and peak memory."""
    if all(row["seconds"] is None for row in rows):
        return
    shown = [("time", "memory"), *((_amount(row, "seconds"), _amount(row, "memory_mib")) for row in rows)]
    for place, columns in enumerate(shown, start=-1):
        for text, offset in zip(columns, _COST_COLUMNS, strict=True):
            axes.annotate(
                text, (1, place), xycoords=("axes fraction", "data"), xytext=(offset, 0), textcoords="offset fontsize",
                ha="right", va="center", fontsize="small", annotation_clip=False,
            )  # fmt: skip


def _amount(row: Mapping[str, Any], name: str) -> str:
    in_words = {"seconds": duration, "memory_mib": gibibytes}[name]
    return "–" if row[name] is None else in_words(row[name])


def _of_replicate(colour: str) -> dict[str, Any]:
    return {"linestyle": "none", "marker": "o", "markersize": 2.2, "markeredgewidth": 0, "color": colour}


def _legend(comparison: Mapping[str, Any], kinds: set[str], options: FigureOptions) -> list[Line2D]:
    """What the markers mean, of those that the figure has."""
    neutral, name = options.colours.neutral, _cut(comparison["reference"])
    meanings = {
        _FILLED: f"interval of the difference to {name} without 0",
        _OPEN: f"interval of the difference to {name} with 0",
        _NONE: "no interval of a difference",
    }
    handles = [
        Line2D([], [], label=meaning, **_of_marker(kind, neutral))
        for kind, meaning in meanings.items()
        if kind in kinds
    ]
    if comparison["bootstrap_samples"]:
        share = f"{100 * comparison['confidence']:.3g}%"
        handles.append(Line2D([], [], color=neutral, label=f"{share} confidence interval"))
    if any(row["replicates"] for row in comparison["rows"]):
        replicate = {**_of_replicate(neutral), "linestyle": "solid", "linewidth": _DEVIATION}
        handles.append(
            Line2D(
                [], [], label="replicates, mean ± standard deviation",
                **{**replicate, "color": style.tint(neutral, 0.3), "markerfacecolor": neutral},
            )
        )  # fmt: skip
    return handles
