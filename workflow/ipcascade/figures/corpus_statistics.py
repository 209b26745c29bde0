"""Figure 1: what the corpus holds: documents a section, documents a class, words an abstract.

Labels are ordered by their number of documents, so that the length of the tail shows. The class counts span four
orders of magnitude and are points, not bars: a bar on a log scale has no meaningful foot.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ..config import FigureOptions
from ..errors import UserError
from . import style

_MOST_BARS = 12  # more labels than this do not fit under the bars of panel (a)
_NAMED = 3  # classes named at the head of the ranking in panel (b)
_MOST_BINS = 50
_HEADROOM = 0.28  # share of a log axis that is left to the legend


def draw(
    section_counts: Mapping[str, int], class_counts: Mapping[str, int], words: np.ndarray, options: FigureOptions
) -> Figure:
    """Draw the figure.

    section_counts, class_counts: documents a label; labels without a document are left out, of the means too.
    words: int [documents], whitespace-separated words of each text.
    Raises UserError where there is nothing to draw.
    """
    sections, classes = _ranked(section_counts), _ranked(class_counts)
    if not sections or not classes or not len(words):
        raise UserError("figure 1: the corpus has no labelled document to draw; check the corpus filters")
    with style.applied(options):
        figure, (by_section, by_class, by_words) = style.panel_row(options, 2.2, (1.0, 1.35, 1.2))
        if len(sections) <= _MOST_BARS:
            _draw_bars(by_section, sections, options)
        else:
            _draw_points(by_section, sections, options.colours.section)
        _draw_points(by_class, classes, options.colours.class_)
        for axes, ranked in ((by_section, sections), (by_class, classes)):
            _draw_mean(axes, list(ranked.values()), options)
        by_section.set_ylabel("Documents")
        by_class.set_ylabel("Documents (log scale)")
        _draw_words(by_words, np.asarray(words), options)
        return figure


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Labels with documents, most frequent first, equals by code."""
    return dict(sorted(((code, n) for code, n in counts.items() if n > 0), key=lambda item: (-item[1], item[0])))


def _draw_bars(axes: Axes, ranked: dict[str, int], options: FigureOptions) -> None:
    positions = range(len(ranked))
    axes.bar(positions, list(ranked.values()), width=0.72, color=options.colours.section)
    axes.set_xticks(positions, list(ranked), rotation=90 if max(map(len, ranked)) > 1 else 0)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("Section, by rank")
    axes.set_ylim(0, 1.3 * max(ranked.values()))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))


def _draw_points(axes: Axes, ranked: dict[str, int], colour: str) -> None:
    codes, counts = list(ranked), list(ranked.values())
    ranks = np.arange(1, len(codes) + 1)
    axes.plot(ranks, counts, linestyle="none", marker="o", markersize=2.2, markeredgewidth=0, color=colour)
    _log_counts(axes, counts[-1], counts[0], below=0.16)
    axes.set_xlim(1 - 0.03 * len(codes), 1.03 * len(codes))
    axes.set_xticks(style.round_ticks(len(codes)))
    axes.set_xlabel(f"Rank among {len(codes)} {'classes' if len(codes) > 1 else 'class'}")
    head = ", ".join(codes[:_NAMED]) + (", …" if len(codes) > _NAMED else "")
    axes.annotate(head, (1, counts[0]), xytext=(-2, 4), textcoords="offset points", fontsize="small")
    if len(codes) > _NAMED:
        axes.annotate(
            codes[-1], (len(codes), counts[-1]), xytext=(2, -4), textcoords="offset points", ha="right", va="top",
            fontsize="small",
        )  # fmt: skip


def _draw_mean(axes: Axes, counts: list[int], options: FigureOptions) -> None:
    mean = float(np.mean(counts))
    above = sum(count > mean for count in counts) / len(counts)
    line = axes.axhline(mean, color=options.colours.neutral, linewidth=0.8, linestyle=(0, (4, 2)))
    _legend(axes, line, [f"mean {mean:,.0f}", f"{above:.0%} above"])


def _draw_words(axes: Axes, words: np.ndarray, options: FigureOptions) -> None:
    """Log counts, so that a tail of a few documents in 100,000 is seen; extreme lengths are counted, not drawn."""
    longest = int(words.max())
    end = float(words[words <= 2 * np.quantile(words, 0.999)].max())
    step = style.round_step(end / _MOST_BINS)
    edges = np.arange(0, end + 1.01 * step, step).tolist()
    colour = options.colours.accent
    documents, _, _ = axes.hist(
        words, bins=edges, histtype="stepfilled", facecolor=style.tint(colour, 0.35), edgecolor=colour
    )
    _log_counts(axes, 1, int(np.max(documents)), below=0.05)
    beyond = int((words >= edges[-1]).sum())
    median, low, high = np.quantile(words, [0.5, 0.05, 0.95])
    line = axes.axvline(median, ymax=1 - _HEADROOM, color=options.colours.neutral, linewidth=0.8, linestyle=(0, (4, 2)))
    lines = [f"median {median:.0f} words", f"90% from {low:.0f} to {high:.0f}"]
    if beyond:
        lines.append(f"{beyond:,} longer, up to {longest:,}")
    _legend(axes, line, lines)
    axes.set_xlim(0, edges[-1])
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel(f"Words (bins of {step})")
    axes.set_ylabel("Documents (log scale)")


def _log_counts(axes: Axes, least: int, most: int, below: float) -> None:
    """A log axis over the counts, with room above them for the legend and `below` them for a name.

    The room is a share of the axis, whatever it spans, and the axis spans a decade at least.
    """
    bottom, top = np.log10(least), np.log10(max(most, 10 * least))
    span = (top - bottom) / (1 - below - _HEADROOM)
    axes.set_yscale("log")
    axes.set_yticks([10.0**power for power in range(int(bottom), int(top) + 1)])
    axes.set_ylim(10 ** (bottom - below * span), 10 ** (top + _HEADROOM * span))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_minor_locator(NullLocator())


def _legend(axes: Axes, line: Line2D, lines: list[str]) -> None:
    """What a guide line says, in the room above the data; the layout need not make more room for it."""
    axes.legend([line], ["\n".join(lines)], loc="upper right").set_in_layout(False)


def _thousands(value: float, _: object) -> str:
    return f"{value:,.0f}"
