"""Figure 3: how training went, by epoch: loss, F1 of both levels, and the published hierarchical measure.

The legends stand above the panels, where no curve can reach them; in panel (c) they name the thresholds. The
reference H-F1 of a perfect prediction is about one half, so panel (c) shows that ceiling beside the curves.
"""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..config import FigureOptions
from ..errors import UserError
from . import style

SECTION_F1 = "global.section.f1_micro"
CLASS_F1 = "global.class.f1_micro"
FIXED_H_F1 = "fixed.reference.h_f1"
OPTIMISED_H_F1 = "reference.reference.h_f1"
CEILING = "reference.reference.h_f1_ceiling"
_COLUMNS = ("epoch", "train_loss", "val_loss", "selected", SECTION_F1, CLASS_F1, FIXED_H_F1, OPTIMISED_H_F1, CEILING)


def draw(history: pl.DataFrame, options: FigureOptions) -> Figure:
    """Draw the figure from one row an epoch; the measures are those of the validation split.

    Needs the columns epoch (int, from 1), train_loss, val_loss, selected (bool; true for the epoch that became the
    model) and the measures named above. Raises UserError for a missing column or an empty history.
    """
    missing = [name for name in _COLUMNS if name not in history.columns]
    if missing:
        raise UserError(f"figure 3: the training history lacks the column {missing[0]!r}; train again to write it")
    if history.is_empty():
        raise UserError("figure 3: the training history holds no epoch; train for at least one")
    history = history.sort("epoch")
    colours = options.colours
    with style.applied(options):
        figure, (loss, flat, hierarchical) = style.panel_row(options, 2.35, (1.0, 1.0, 1.12))
        _curve(loss, history, "train_loss", "training", colours.neutral, "o")
        _curve(loss, history, "val_loss", "validation", colours.accent, "s")
        loss.set_ylabel("Loss")
        _curve(flat, history, SECTION_F1, "section", colours.section, "o")
        _curve(flat, history, CLASS_F1, "class", colours.class_, "s")
        flat.set_ylabel("F1 micro, validation")
        _curve(hierarchical, history, FIXED_H_F1, "fixed", colours.neutral, "o")
        _curve(hierarchical, history, OPTIMISED_H_F1, "optimised", colours.accent, "s")
        hierarchical.axhline(
            history[CEILING].to_list()[-1], color="black", linewidth=0.7, linestyle=(0, (4, 2)), label="ceiling"
        )
        hierarchical.set_ylabel("Reference H-F1, validation")
        for axes in (loss, flat, hierarchical):
            _finish(axes, history)
        return figure


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
