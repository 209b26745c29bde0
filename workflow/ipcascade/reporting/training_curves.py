"""Figure 3: how training went, by epoch: loss, F1 of each level, and the published hierarchical measure.

The legends are above the panels, where no curve can reach them; in panel (c) they name the thresholds. The reference
H-F1 of a perfect prediction is about one half, so panel (c) shows that ceiling beside the curves; a history of one
level has no such measure, and its figure no panel (c).
"""

import re
from itertools import cycle

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ipcascade.core.errors import UserError
from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import level_name

FIXED_H_F1 = "fixed.reference.h_f1"
OPTIMISED_H_F1 = "reference.reference.h_f1"
CEILING = "reference.reference.h_f1_ceiling"
_LEVEL_F1 = re.compile(r"global\.(?!hierarchical\.)(.+)\.f1_micro")  # hierarchical: over all levels together
_ALWAYS = ("epoch", "train_loss", "val_loss", "selected")
_REFERENCE = (FIXED_H_F1, OPTIMISED_H_F1, CEILING)


def draw(history: pl.DataFrame, options: FigureOptions) -> Figure:
    """Draw the figure from one row per epoch; the measures are those of the validation split.

    Needs the columns epoch (int, from 1), train_loss, val_loss, selected (bool; true for the epoch that became the
    model) and `global.LEVEL.f1_micro` of each level, from the top down; the three columns of the reference H-F1 all or
    none. Raises UserError for a missing column or an empty history.
    """
    levels = [match[1] for match in map(_LEVEL_F1.fullmatch, history.columns) if match]
    has_reference = any(name in history.columns for name in _REFERENCE)
    _check(history, levels, (*_ALWAYS, *(_REFERENCE if has_reference else ())))
    history = history.sort("epoch")
    with style.applied(options):
        widths = (1.0, 1.0, 1.12) if has_reference else (1.0, 1.0)
        figure, panels = style.panels(options, 2.35, [len(widths)], widths)
        _draw_loss(panels[0], history, options)
        _draw_levels(panels[1], history, levels, options)
        if has_reference:
            _draw_reference(panels[2], history, options)
        for axes in panels:
            _finish(axes, history)
        return figure


def _check(history: pl.DataFrame, levels: list[str], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in history.columns]
    if not levels:
        missing.append("global.LEVEL.f1_micro")
    if missing:
        raise UserError(f"figure 3: the training history lacks the column {missing[0]!r}; make it again")
    if history.is_empty():
        raise UserError("figure 3: the training history has no epochs; train for at least one")


def _draw_loss(axes: Axes, history: pl.DataFrame, options: FigureOptions) -> None:
    _curve(axes, history, "train_loss", "training", options.colours.neutral, "o")
    _curve(axes, history, "val_loss", "validation", options.colours.accent, "s")
    axes.set_ylabel("Loss")


def _draw_levels(axes: Axes, history: pl.DataFrame, levels: list[str], options: FigureOptions) -> None:
    for depth, (level, marker) in enumerate(zip(levels, cycle(style.MARKERS), strict=False)):
        colour = style.level_colour(options, depth)
        _curve(axes, history, f"global.{level}.f1_micro", level_name(level), colour, marker)
    axes.set_ylabel("F1 micro, validation")


def _draw_reference(axes: Axes, history: pl.DataFrame, options: FigureOptions) -> None:
    _curve(axes, history, FIXED_H_F1, "fixed", options.colours.neutral, "o")
    _curve(axes, history, OPTIMISED_H_F1, "optimised", options.colours.accent, "s")
    ceiling = history[CEILING].to_list()[-1]
    axes.axhline(ceiling, color="black", linewidth=0.7, linestyle=(0, (4, 2)), label="ceiling")
    axes.set_ylabel("Reference H-F1, validation")


def _curve(axes: Axes, history: pl.DataFrame, column: str, label: str, colour: str, marker: str) -> None:
    axes.plot(history["epoch"].to_list(), history[column].to_list(), color=colour, marker=marker, label=label)


def _finish(axes: Axes, history: pl.DataFrame) -> None:
    last = history["epoch"].to_list()[-1]
    for epoch in history.filter("selected")["epoch"].to_list():
        axes.axvline(epoch, color="black", linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=0, label="selected")
    axes.set_xlim(0.5, last + 0.5)
    axes.set_xticks(style.round_ticks(last))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.margins(y=0.1)
    axes.set_xlabel("Epoch")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
