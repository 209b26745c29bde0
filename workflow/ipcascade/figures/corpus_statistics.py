"""Figure 1: what the corpus holds: documents a section, documents a class, words an abstract.

Labels are ordered by their number of documents, so that the length of the tail shows. The class counts span four
orders of magnitude and are points, not bars: a bar on a log scale has no meaningful foot.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..config import FigureOptions
from ..errors import UserError
from . import style

_MOST_BARS = 12  # more labels than this do not fit under the bars of panel (a)
_NAMED = 3  # classes named at the head of the ranking in panel (b)
_MOST_BINS = 50


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
        for axes, level, ranked in ((by_section, "section", sections), (by_class, "class", classes)):
            _draw_mean(axes, level, list(ranked.values()), options)
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
    axes.set_yscale("log")
    axes.set_ylim(0.7 * min(counts), 8 * max(counts))
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(1 - 0.03 * len(codes), 1.03 * len(codes))
    axes.set_xticks(_round_ticks(len(codes)))
    axes.set_xlabel(f"Rank among {len(codes)} {'classes' if len(codes) > 1 else 'class'}")
    head = axes.annotate(
        ", ".join(codes[:_NAMED]), (1, counts[0]), xytext=(-2, 4), textcoords="offset points", va="bottom"
    )
    head.set_fontsize("small")
    if len(codes) > _NAMED:
        tail = axes.annotate(
            codes[-1], (ranks[-1], counts[-1]), xytext=(-4, 0), textcoords="offset points", ha="right", va="center"
        )
        tail.set_fontsize("small")


def _draw_mean(axes: Axes, level: str, counts: list[int], options: FigureOptions) -> None:
    mean = float(np.mean(counts))
    above = sum(count > mean for count in counts) / len(counts)
    plural = "classes" if level == "class" else "sections"
    line = axes.axhline(mean, color=options.colours.neutral, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.legend([line], [f"mean {mean:,.0f}\n{above:.0%} of {plural} above"], loc="upper right")


def _draw_words(axes: Axes, words: np.ndarray, options: FigureOptions) -> None:
    """Log counts, so that a tail of a few documents in 100,000 is seen; extreme lengths are counted, not drawn."""
    longest, usual = int(words.max()), float(np.quantile(words, 0.999))
    end = min(longest, 2 * usual)
    step = _round_step(end / _MOST_BINS)
    edges = np.arange(0, end + 1.01 * step, step)
    axes.hist(words, bins=edges, color=options.colours.accent, histtype="stepfilled")
    axes.set_yscale("log")
    beyond = int((words >= edges[-1]).sum())
    median, low, high = np.quantile(words, [0.5, 0.05, 0.95])
    line = axes.axvline(median, color=options.colours.neutral, linewidth=0.8, linestyle=(0, (4, 2)))
    lines = [f"median {median:.0f} words", f"90% from {low:.0f} to {high:.0f}"]
    if beyond:
        lines.append(f"{beyond:,} longer, up to {longest:,}")
    axes.legend([line], ["\n".join(lines)], loc="upper right")
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0.7, 30 * axes.dataLim.y1)
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("Words an abstract")
    axes.set_ylabel(f"Documents a bin of {step} (log scale)" if step > 1 else "Documents (log scale)")


def _thousands(value: float, _: object) -> str:
    return f"{value:,.0f}"


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    scale = 1
    while True:
        for factor in (1, 2, 5):
            if factor * scale >= least:
                return factor * scale
        scale *= 10


def _round_ticks(count: int) -> list[int]:
    """The first rank and about six round ones up to `count`."""
    step = _round_step(count / 7)
    return sorted({1, *range(step, count + 1, step)})
