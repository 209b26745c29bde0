"""Figure 1: what the corpus holds: documents per label, one panel per level of the label tree, and words per text.

Labels are ordered by their number of documents, so that the length of the tail shows. Where there are few labels they
are bars. Where there are many, the counts span orders of magnitude and are points on a log scale, since a bar on a log
scale has no meaningful foot.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ipcascade.core.errors import UserError
from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import capitalised, level_name, plural

_MOST_BARS = 12  # more labels than this do not fit below the bars of a panel
_LEAST_BARS = 4  # with fewer labels there is space for as many, so that bars are no wider
_MOST_PANELS_IN_ROW = 3
_WIDTH_OF_BARS, _WIDTH_OF_POINTS, _WIDTH_OF_WORDS = 1.0, 1.35, 1.2  # of panels, relative to each other
_ROW_HEIGHT = 2.2  # inches
_NAMED = 3  # labels named at the head of the ranking
_MOST_BINS = 50
_MOST_TICKS = 7
_HEADROOM = 0.28  # share of a log axis that is left to the legend


def draw(counts: Mapping[str, Mapping[str, int]], words: np.ndarray, options: FigureOptions) -> Figure:
    """Draw the figure.

    counts: for each level, from the top down, the number of documents per label; labels without a document are left
    out, of the means too, and so are levels without a label.
    words: int [documents], whitespace-separated words of each text.
    Raises UserError where there is nothing to draw.
    """
    levels = {level: _ranked(of_level) for level, of_level in counts.items()}
    present = [level for level, ranked in levels.items() if ranked]
    if not present or not len(words):
        raise UserError("figure 1: the corpus has no labelled document to draw; check the corpus filters")
    with style.applied(options):
        figure, panels = _panels(options, [len(levels[level]) for level in present])
        for level, axes in zip(present, panels[:-1], strict=True):
            colour = style.level_colour(options, list(levels).index(level))
            _draw_level(axes, level_name(level), levels[level], colour)
            _draw_mean(axes, list(levels[level].values()), options)
        _draw_words(panels[-1], np.asarray(words), options)
        return figure


def _panels(options: FigureOptions, sizes: Sequence[int]) -> tuple[Figure, list[Axes]]:
    """Panels for levels of these sizes, and for the words; those of several rows are equally wide."""
    in_rows = style.rows_of(len(sizes) + 1, _MOST_PANELS_IN_ROW)
    widths = [*(_WIDTH_OF_BARS if size <= _MOST_BARS else _WIDTH_OF_POINTS for size in sizes), _WIDTH_OF_WORDS]
    return style.panels(options, _ROW_HEIGHT, in_rows, widths if len(in_rows) == 1 else None)


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Labels with documents, most frequent first, equals by code."""
    return dict(sorted(((code, n) for code, n in counts.items() if n > 0), key=lambda item: (-item[1], item[0])))


def _draw_level(axes: Axes, level: str, ranked: dict[str, int], colour: str) -> None:
    codes = [style.shortened(code) for code in ranked]
    draw = _draw_bars if len(ranked) <= _MOST_BARS else _draw_points
    draw(axes, level, codes, list(ranked.values()), colour)


def _draw_bars(axes: Axes, level: str, codes: list[str], counts: list[int], colour: str) -> None:
    positions = range(len(codes))
    axes.bar(positions, counts, width=0.72, color=colour)
    axes.set_xticks(positions, codes, rotation=90 if max(map(len, codes)) > 1 else 0)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel(f"{capitalised(level)}, by rank")
    if len(codes) < _LEAST_BARS:
        axes.set_xlim(-0.75, _LEAST_BARS - 0.25)
    axes.set_ylim(0, 1.3 * max(counts))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.set_ylabel("Documents")


def _draw_points(axes: Axes, level: str, codes: list[str], counts: list[int], colour: str) -> None:
    ranks = np.arange(1, len(codes) + 1)
    axes.plot(ranks, counts, linestyle="none", marker="o", markersize=2.2, markeredgewidth=0, color=colour)
    _log_counts(axes, counts[-1], counts[0], below=0.16)
    axes.set_xlim(1 - 0.03 * len(codes), 1.03 * len(codes))
    _set_rank_ticks(axes, len(codes))
    axes.set_xlabel(f"Rank among {len(codes):,} {plural(level)}")
    axes.set_ylabel("Documents (log scale)")
    head = _head(codes, _characters_across(axes, rcParams["font.size"]))
    axes.annotate(head, (1, counts[0]), xytext=(-2, 4), textcoords="offset points", fontsize="small")
    axes.annotate(
        codes[-1], (len(codes), counts[-1]), xytext=(2, -4), textcoords="offset points", ha="right", va="top",
        fontsize="small",
    )  # fmt: skip


def _set_rank_ticks(axes: Axes, last: int) -> None:
    most = _characters_across(axes, rcParams["xtick.labelsize"]) / (len(f"{last:,}") + 1.5)
    ticks = style.round_ticks(last, max(1, min(_MOST_TICKS, int(most))))
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])


def _head(codes: list[str], characters: int) -> str:
    """The first codes, as many as fit into a number of characters, but one at least."""
    heads = [", ".join([*codes[:named], "…"]) for named in range(1, _NAMED + 1)]
    return max((head for head in heads if len(head) <= characters), key=len, default=heads[0])


def _characters_across(axes: Axes, font_size: float) -> int:
    """Characters that fit across a panel, by the width of a digit."""
    return int(72 * axes.get_window_extent().width / rcParams["figure.dpi"] / (0.6 * font_size))


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
    """A log axis over the counts, with space above them for the legend and `below` them for a name.

    The space is a share of the axis, whatever it spans, and the axis spans a decade at least.
    """
    bottom, top = np.log10(least), np.log10(max(most, 10 * least))
    span = (top - bottom) / (1 - below - _HEADROOM)
    axes.set_yscale("log")
    axes.set_yticks([10.0**power for power in range(int(bottom), int(top) + 1)])
    axes.set_ylim(10 ** (bottom - below * span), 10 ** (top + _HEADROOM * span))
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_minor_locator(NullLocator())


def _legend(axes: Axes, line: Line2D, lines: list[str]) -> None:
    """What a guide line means, in the space above the data; the layout need not make more space for it."""
    axes.legend([line], ["\n".join(lines)], loc="upper right").set_in_layout(False)


def _thousands(value: float, _: object) -> str:
    return f"{value:,.0f}"
