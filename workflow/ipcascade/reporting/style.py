"""How every figure looks and how it becomes a file.

Figures are made without pyplot and without its global state, from matplotlib's own defaults whatever `matplotlibrc` a
machine has, so that the same inputs give the same bytes on any machine with the same versions. In the SVG, text is
drawn as outlines: a reader's machine rarely has the font, and a substitute of another width would run out of the boxes
it was measured for. The PDF embeds the font as TrueType, so its text can be searched and edited.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont

from ipcascade.core.errors import UserError
from ipcascade.core.files import written_whole
from ipcascade.reporting.options import FigureOptions

HAIRLINE = 0.6  # points: spines, ticks and guide lines
CURVE = 1.0  # points: lines that carry data
GUIDE = 0.8  # points: lines to compare data with
MARKERS = "os^Dv"
"""Of the levels of the label tree, from the top down; taken again from the first where there are more levels."""
LONGEST_CODE = 12  # characters

# Without these entries the writers would add the date, the library's version, or both.
_SILENT_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@contextmanager
def applied(options: FigureOptions) -> Iterator[None]:
    """matplotlib's defaults with the figures' style on top, for the length of a block.

    Raises UserError for a font that is not installed.
    """
    try:
        findfont(FontProperties(family=options.font), fallback_to_default=False)
    except ValueError:
        raise UserError(
            f"config: figures.font is {options.font!r}, which is not installed; "
            "install it or leave the default 'DejaVu Sans', which comes with matplotlib"
        ) from None
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings(options))
        yield


def new_figure(options: FigureOptions, height: float) -> Figure:
    """An empty figure of the chosen width; `height` in inches."""
    figure = Figure(figsize=(options.width, height))
    FigureCanvasAgg(figure)
    return figure


def panels(
    options: FigureOptions, row_height: float, in_rows: Sequence[int], width_ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with rows of panels, lettered (a), (b), ... at their upper left; `row_height` in inches.

    in_rows: the number of panels of each row, which fill its width; width_ratios: the widths of the panels of a single
    row, relative to each other.
    """
    figure = new_figure(options, row_height * len(in_rows))
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.04, wspace=0.02)
    columns = math.lcm(*in_rows)
    grid = figure.add_gridspec(len(in_rows), columns, width_ratios=width_ratios)
    drawn = []
    for row, panels_in_row in enumerate(in_rows):
        wide = columns // panels_in_row
        drawn += [figure.add_subplot(grid[row, n * wide : (n + 1) * wide]) for n in range(panels_in_row)]
    for letter, axes in zip(ascii_lowercase, drawn, strict=False):
        axes.annotate(
            f"({letter})", (0, 1), xycoords="axes fraction", xytext=(-28, 5), textcoords="offset points",
            fontweight="bold", fontsize=options.font_size + 1,
        )  # fmt: skip
    return figure, drawn


def rows_of(panels: int, most: int) -> list[int]:
    """Panels per row, at most `most`: as few rows and as equal as can be, the longer ones first."""
    rows = math.ceil(panels / most)
    return [panels // rows + (row < panels % rows) for row in range(rows)]


def level_colour(options: FigureOptions, depth: int) -> str:
    """The colour of a level of the label tree; the top level has depth 0."""
    return options.colours.levels[depth % len(options.colours.levels)]


def shortened(code: str) -> str:
    """A code as it is shown, of at most `LONGEST_CODE` characters."""
    return code if len(code) <= LONGEST_CODE else f"{code[: LONGEST_CODE - 1]}…"


def short_count(count: float) -> str:
    """A power of ten in few characters: 100, 10k, 1M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.0f}{name}"
    return f"{count:.0f}"


def round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    scale = 1
    while True:
        for factor in (1, 2, 5):
            if factor * scale >= least:
                return factor * scale
        scale *= 10


def round_ticks(last: int, most: int = 7) -> list[int]:
    """Ticks for things counted from 1: the first, and at most `most` round numbers up to `last`."""
    step = round_step(last / most)
    return sorted({1, *range(step, last + 1, step)})


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """A colour mixed with white, opaque; strength 0 is white, 1 the colour itself."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def save(figure: Figure, stem: Path, options: FigureOptions) -> None:
    """Write `stem`.pdf, `stem`.svg and `stem`.png, each whole or not at all. Raises UserError as `applied` does."""
    with applied(options):
        for kind, metadata in _SILENT_METADATA.items():
            with written_whole(stem.with_name(f"{stem.name}.{kind}")) as temporary:
                figure.savefig(temporary, format=kind, dpi=options.resolution, metadata=metadata)


def _settings(options: FigureOptions) -> dict[Any, Any]:
    neutral, size = options.colours.neutral, options.font_size
    return {
        "font.family": options.font,
        "font.size": size,
        "axes.labelsize": size,
        "xtick.labelsize": size - 0.5,
        "ytick.labelsize": size - 0.5,
        "legend.fontsize": size - 0.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": HAIRLINE,
        "axes.edgecolor": neutral,
        "axes.labelpad": 2.5,
        "axes.axisbelow": True,
        "xtick.color": neutral,
        "ytick.color": neutral,
        "xtick.labelcolor": "black",
        "ytick.labelcolor": "black",
        "xtick.major.width": HAIRLINE,
        "ytick.major.width": HAIRLINE,
        "xtick.minor.width": HAIRLINE / 2,
        "ytick.minor.width": HAIRLINE / 2,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.minor.size": 1.5,
        "ytick.minor.size": 1.5,
        "lines.linewidth": CURVE,
        "lines.markersize": 2.4,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "legend.handletextpad": 0.5,
        "legend.columnspacing": 1.2,
        "legend.labelspacing": 0.3,
        "legend.borderaxespad": 0.2,
        "text.parse_math": False,  # names and codes are text, also between dollars
        "text.hinting": "none",  # text is as wide in the PNG as in the PDF, at every resolution
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "ipcascade",
    }
