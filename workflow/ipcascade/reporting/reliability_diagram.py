"""Figure 4: whether the probabilities can be believed: a reliability diagram per level, and a risk-coverage panel.

In a reliability diagram the share of labels that is true is shown against their mean probability, by band of
probability; on the diagonal, probabilities are calibrated. Where the network is a source, its own probabilities are
shown in grey, as they were before they were combined. The strip above has the number of document-label pairs per
band, on a log scale. The last panel shows the precision of predicted labels against the share of documents that is left
to the machine, those with the highest confidence first.
"""

from itertools import cycle

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ipcascade.core.analysis_files import COMBINED, NETWORK
from ipcascade.core.errors import UserError
from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import level_name

_MOST_PANELS_IN_ROW = 3
_ROW_HEIGHT = 2.5  # inches
_STRIP = (0, 1.05, 1, 0.24)  # left, bottom, width and height of the strip, as shares of its panel
_SHARES = (0, 0.25, 0.5, 0.75, 1)  # ticks
_FEWEST_DOCUMENTS = 20  # with fewer, precision is noise
_BEFORE, _BEFORE_IN_WORDS = 0.4, 0.75  # strength of the grey of the network's curve, and of its number


def draw(
    bands: pl.DataFrame, errors: pl.DataFrame, curves: pl.DataFrame, levels: pl.DataFrame, options: FigureOptions
) -> Figure:
    """Draw the figure from the tables reliability, calibration, risk_coverage and levels of an analysis.

    Levels are those of the table `levels`, in its order. Raises UserError where it has none, or where the bands of one
    or its calibration error are missing.
    """
    names = levels["level"].to_list()
    if not names:
        raise UserError("figure 4: the analysis has no levels; make it again")
    errors = errors.filter(split="test")
    for name in names:
        if not len(bands.filter(level=name, probabilities=COMBINED).drop_nulls()):
            raise UserError(f"figure 4: the analysis has no bands of the level {name!r}; make it again")
        if not len(errors.filter(level=name, probabilities=COMBINED)):
            raise UserError(f"figure 4: the analysis has no calibration error of the level {name!r}; make it again")
    with style.applied(options):
        in_rows = style.rows_of(len(names) + 1, _MOST_PANELS_IN_ROW)
        figure, panels = style.panels(options, _ROW_HEIGHT, in_rows)
        for depth, (row, axes) in enumerate(zip(levels.iter_rows(named=True), panels[:-1], strict=True)):
            colour = style.level_colour(options, depth)
            of_level = bands.filter(level=row["level"])
            _draw_bands(axes, of_level, colour, options)
            _draw_strip(axes, of_level.filter(probabilities=COMBINED), colour)
            _write_errors(axes, errors.filter(level=row["level"]), options)
            axes.set_xlabel(f"Probability, {level_name(row['level'])}")
        _draw_coverage(panels[-1], curves, levels, options)
        return figure


def _draw_bands(axes: Axes, bands: pl.DataFrame, colour: str, options: FigureOptions) -> None:
    axes.plot([0, 1], [0, 1], color=options.colours.neutral, linewidth=style.GUIDE, linestyle=(0, (4, 2)), zorder=1)
    for whose, of_curve in ((NETWORK, style.tint(options.colours.neutral, _BEFORE)), (COMBINED, colour)):
        filled = bands.filter(probabilities=whose).drop_nulls()
        if len(filled):
            axes.plot(filled["mean_probability"].to_list(), filled["share_true"].to_list(), color=of_curve, marker="o")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(_SHARES, [f"{share:g}" for share in _SHARES])
    axes.set_yticks(_SHARES, [f"{share:g}" for share in _SHARES])
    axes.set_ylabel("Share that is true")


def _write_errors(axes: Axes, errors: pl.DataFrame, options: FigureOptions) -> None:
    """The calibration error in the lower right corner, above it in grey that of the network."""
    of = dict(errors.select("probabilities", "calibration_error").iter_rows())
    axes.text(0.97, 0.03, f"ECE {of[COMBINED]:.3f}", ha="right", va="bottom")
    if NETWORK in of:
        axes.annotate(
            f"network {of[NETWORK]:.3f}", (0.97, 0.03), xytext=(0, 1.4), textcoords="offset fontsize", ha="right",
            va="bottom", color=style.tint(options.colours.neutral, _BEFORE_IN_WORDS),
        )  # fmt: skip


def _draw_strip(axes: Axes, bands: pl.DataFrame, colour: str) -> None:
    """Pairs per band; the axis spans a decade at least, and its one tick is the highest power of ten."""
    strip = axes.inset_axes(_STRIP)
    low, high, pairs = (bands[name].to_numpy() for name in ("low", "high", "pairs"))
    foot = 0.5  # below one pair
    strip.bar(
        low, np.maximum(pairs, foot) - foot, width=high - low, bottom=foot, align="edge",
        color=style.tint(colour, 0.45), edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    most = max(10, int(pairs.max()))
    strip.set_yscale("log")
    strip.set_ylim(foot, 1.5 * most)
    strip.set_xlim(axes.get_xlim())
    strip.set_xticks([])
    strip.set_yticks([10 ** int(np.log10(most))])
    strip.yaxis.set_major_formatter(FuncFormatter(lambda count, _: style.short_count(count)))
    strip.yaxis.set_minor_locator(NullLocator())
    strip.text(0.5, 0.97, "pairs (log scale)", ha="center", va="top", fontsize="small", transform=strip.transAxes)


def _draw_coverage(axes: Axes, curves: pl.DataFrame, levels: pl.DataFrame, options: FigureOptions) -> None:
    wanted = levels["wanted_precision"].to_list()[0]
    axes.axhline(
        wanted, color=options.colours.neutral, linewidth=style.GUIDE, linestyle=(0, (4, 2)), label=f"wanted {wanted:g}"
    )
    enough = pl.col("documents") >= _FEWEST_DOCUMENTS
    lowest, marked = [wanted], False
    for depth, (row, marker) in enumerate(zip(levels.iter_rows(named=True), cycle(style.MARKERS), strict=False)):
        curve = curves.filter(enough, level=row["level"])
        colour = style.level_colour(options, depth)
        axes.plot(
            curve["coverage"].to_list(), curve["precision"].to_list(), color=colour, label=level_name(row["level"])
        )
        if row["test_precision"] is not None:
            axes.plot(
                [row["test_coverage"]], [row["test_precision"]], color=colour, marker=marker, markersize=4.5,
                markeredgecolor="black", markeredgewidth=0.6, linestyle="none", zorder=3,
            )  # fmt: skip
            lowest.append(row["test_precision"])
            marked = True
        lowest += curve["precision"].to_list()
    if marked:
        axes.plot(
            [], [], color="white", marker="o", markersize=4.5, markeredgecolor="black", markeredgewidth=0.6,
            linestyle="none", label="bound of val",
        )  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks(_SHARES, [f"{share:g}" for share in _SHARES])
    axes.set_ylim(max(0, min(lowest) - 0.04), 1.01)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Share left to the machine")
    axes.set_ylabel("Precision micro")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
