"""A diagram of boxes in stages side by side, laid out by measuring; what the boxes say is not known here.

Every line is broken where it is too wide in its font, every box is as tall as its lines, and the figure is as tall as
its tallest stage. Arrows join the boxes of a stage from top to bottom; links join stages. Sizes are in points of the
finished figure; the origin is its upper left corner.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_lowercase

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from ipcascade.reporting import style
from ipcascade.reporting.options import FigureOptions

_PADDING = 4.0  # between the upper or lower edge of a box and its text
_SIDE_PADDING = 3.0  # least distance between the left or right edge and the text
_GAP = 12.0  # least distance between two boxes of a stage, so that an arrow fits
_GUTTER = 20.0  # between two stages
_MARGIN = 1.0  # around the figure
_INSET = 6.0  # between a stage's edge and its boxes
_BETWEEN = 4.0  # between boxes side by side
_LEADING = 1.32  # line height in font sizes
_LANE = 1.8  # line heights below the stages for a link that passes a stage
_SPREAD = 6.0  # between the links that enter the same stage
_ENTRIES = 0.3  # the same at the edge of the box that they enter, as a share of its height
_PIECE = r".+?(?: +|(?<=[/_.\-])(?![\d/_.\-])|$)"  # up to a blank or a mark, but for marks before a digit: 0.1, 3e-5


@dataclass(frozen=True)
class Box:
    """A title and the lines below it."""

    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideBySide:
    """Boxes in one row; `otherwise` is drawn in their place where a word is wider than they would be."""

    boxes: tuple[Box, ...]
    otherwise: Box


@dataclass(frozen=True)
class Stage:
    """Boxes from top to bottom, under a title; the colour is that of their edges."""

    title: str
    colour: str
    rows: tuple[Box | SideBySide, ...]


@dataclass(frozen=True)
class Link:
    """An arrow from the last box of a stage to the first box of a later one, with a word on it; stages count from 0."""

    start: int
    end: int
    text: str

    @property
    def passes(self) -> bool:
        """Whether there are stages between the two."""
        return self.end > self.start + 1


def draw(stages: Sequence[Stage], links: Sequence[Link], options: FigureOptions) -> Figure:
    """Draw the diagram. Raises UserError as `style.applied` does."""
    with style.applied(options):
        return _Page(stages, links, options).drawn()


_Point = tuple[float, float]
_Lines = list[tuple[str, FontProperties]]  # of a box, each with its font


@dataclass(frozen=True)
class _Placed:
    """A box on the page: left and top edge, width, height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def centre(self) -> float:
        return self.left + self.width / 2

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width


class _Texts:
    """Fonts, and lines broken to a width."""

    def __init__(self, options: FigureOptions) -> None:
        self.line_height = _LEADING * options.font_size
        self.plain = FontProperties(family=options.font, size=options.font_size - 0.5)
        self.bold = FontProperties(family=options.font, size=options.font_size, weight="bold")
        self.header = FontProperties(family=options.font, size=options.font_size + 1, weight="bold")

    def height(self, boxes: list[_Lines]) -> float:
        """Of a row of boxes: that of the tallest."""
        return 2 * _PADDING + max(map(len, boxes)) * self.line_height

    def broken(self, box: Box, width: float) -> _Lines:
        """The lines of a box, title first, each no wider than a box of this width allows."""
        lines = [(line, self.bold) for line in self._wrapped(box.title, self.bold, width - 2 * _SIDE_PADDING)]
        for text in box.lines:
            lines += [(line, self.plain) for line in self._wrapped(text, self.plain, width - 2 * _SIDE_PADDING)]
        return lines

    def fit(self, boxes: Sequence[Box], width: float) -> bool:
        """Whether no word has to be broken for boxes of this width."""
        texts = [(box.title, self.bold) for box in boxes]
        texts += [(line, self.plain) for box in boxes for line in box.lines]
        return all(
            self._width(piece.rstrip(), font) <= width - 2 * _SIDE_PADDING
            for text, font in texts
            for piece in _pieces(text)
        )

    def _wrapped(self, text: str, font: FontProperties, width: float) -> list[str]:
        """Break after blanks and after the marks that names are made of; inside a word only where it has neither."""
        lines, line = [], ""
        for piece in _pieces(text):
            if self._width((line + piece).rstrip(), font) > width and line:
                lines.append(line.rstrip())
                line = ""
            line += piece
            while self._width(line.rstrip(), font) > width and len(line) > 1:
                fits = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or self._width(line[:n], font) <= width)
                lines.append(line[:fits])
                line = line[fits:]
        return [*lines, line.rstrip()] if line.strip() else lines

    def _width(self, text: str, font: FontProperties) -> float:
        """In points, without hinting, so that it holds at every resolution."""
        return text_to_path.get_text_width_height_descent(text, font, False)[0]


def _pieces(text: str) -> list[str]:
    return re.findall(_PIECE, text)


class _Page:
    def __init__(self, stages: Sequence[Stage], links: Sequence[Link], options: FigureOptions) -> None:
        self.stages, self.links, self.options = stages, links, options
        self.texts = _Texts(options)
        self.line = self.texts.line_height
        self.header = 2 * self.line
        self.width = 72 * options.width
        self.stage_width = (self.width - 2 * _MARGIN - (len(stages) - 1) * _GUTTER) / len(stages)
        self.rows = [[self._row(row) for row in stage.rows] for stage in stages]
        self.body = max(
            sum(map(self.texts.height, rows)) + _GAP * (len(rows) - 1) for rows in self.rows
        )  # height of the boxes of the tallest stage
        self.stage_height = self.header + self.body + _INSET
        lanes = sum(link.passes for link in links)
        self.height = self.stage_height + 2 * _MARGIN + lanes * _LANE * self.line
        self.figure = style.new_figure(options, self.height / 72)
        self.axes = self._canvas()

    def drawn(self) -> Figure:
        placed = [self._draw_stage(number) for number in range(len(self.stages))]
        self._draw_links(placed)
        return self.figure

    def _canvas(self) -> Axes:
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        axes.set_axis_off()
        return axes

    def _row(self, row: Box | SideBySide) -> list[_Lines]:
        """The boxes of a row, as lines."""
        boxes: tuple[Box, ...] = (row,) if isinstance(row, Box) else row.boxes
        if isinstance(row, SideBySide) and not self.texts.fit(boxes, self._box_width(len(boxes))):
            boxes = (row.otherwise,)
        return [self.texts.broken(box, self._box_width(len(boxes))) for box in boxes]

    def _box_width(self, in_row: int) -> float:
        return (self.stage_width - 2 * _INSET - (in_row - 1) * _BETWEEN) / in_row

    def _left(self, stage: int) -> float:
        return _MARGIN + stage * (self.stage_width + _GUTTER)

    def _draw_stage(self, number: int) -> list[list[_Placed]]:
        """Draw a stage with its boxes and the arrows between them; return where its boxes are."""
        stage, rows = self.stages[number], self.rows[number]
        left, heights = self._left(number), list(map(self.texts.height, rows))
        self._draw_ground(stage, number, left)
        gap = (self.body - sum(heights)) / max(len(rows) - 1, 1)
        top, placed = _MARGIN + self.header, []
        for row, height in zip(rows, heights, strict=True):
            placed.append(self._draw_row(row, stage.colour, left + _INSET, top, height))
            top += height + gap
        for above, below in pairwise(placed):
            for box in max(above, below, key=len):  # at the middle of the narrower boxes
                self._arrow((box.centre, above[0].bottom), (box.centre, below[0].top))
        return placed

    def _draw_ground(self, stage: Stage, number: int, left: float) -> None:
        self.axes.add_patch(
            FancyBboxPatch(
                (left, _MARGIN), self.stage_width, self.stage_height, boxstyle="round,pad=0,rounding_size=3",
                facecolor=style.tint(stage.colour, 0.07), edgecolor="none",
            )
        )  # fmt: skip
        self.axes.text(
            left + _INSET, _MARGIN + self.header / 2, f"({ascii_lowercase[number]}) {stage.title}",
            va="center_baseline", fontproperties=self.texts.header, color="black",
        )  # fmt: skip

    def _draw_row(self, row: list[_Lines], colour: str, left: float, top: float, height: float) -> list[_Placed]:
        width = self._box_width(len(row))
        placed = [_Placed(left + position * (width + _BETWEEN), top, width, height) for position in range(len(row))]
        for box, lines in zip(placed, row, strict=True):
            self.axes.add_patch(
                FancyBboxPatch(
                    (box.left, box.top), box.width, box.height, boxstyle="round,pad=0,rounding_size=2",
                    facecolor="white", edgecolor=colour, linewidth=0.8,
                )
            )  # fmt: skip
            for number, (line, font) in enumerate(lines):
                self.axes.text(
                    box.centre, top + _PADDING + (number + 0.5) * self.line, line, ha="center",
                    va="center_baseline", fontproperties=font,
                )  # fmt: skip
        return placed

    def _draw_links(self, placed: list[list[list[_Placed]]]) -> None:
        floor = _MARGIN + self.stage_height
        for target in range(len(self.stages)):
            entering = [link for link in self.links if link.end == target]
            for position, link in enumerate(entering):
                offset = position - (len(entering) - 1) / 2
                source, box = placed[link.start][-1][0], placed[target][0][0]
                gutter = self._left(target) - _GUTTER / 2 + _SPREAD * offset
                entry = (box.left, box.middle + _ENTRIES * box.height * offset)
                if link.passes:
                    lane = floor + _LANE / 2 * self.line
                    floor += _LANE * self.line
                    self._draw_link_below(link, source, lane, gutter, entry)
                else:
                    self._draw_link(link, source, gutter, entry)

    def _draw_link(self, link: Link, source: _Placed, gutter: float, entry: _Point) -> None:
        """Into the next stage, through the gutter before it."""
        self._arrow((source.right, source.middle), (gutter, source.middle), (gutter, entry[1]), entry)
        self._label(gutter, (source.middle + entry[1]) / 2, link.text, rotation=90)

    def _draw_link_below(self, link: Link, source: _Placed, lane: float, gutter: float, entry: _Point) -> None:
        """Past other stages, on a lane below them."""
        self._arrow((source.centre, source.bottom), (source.centre, lane), (gutter, lane), (gutter, entry[1]), entry)
        passed = (self._left(link.start + 1) + self._left(link.end) - _GUTTER) / 2
        self._label(passed, lane, link.text, rotation=0)

    def _arrow(self, *points: _Point) -> None:
        self.axes.add_patch(
            FancyArrowPatch(
                path=Path(points), arrowstyle="-|>,head_length=3,head_width=1.6", mutation_scale=1, shrinkA=0,
                shrinkB=0, linewidth=0.8, facecolor=self.options.colours.neutral, capstyle="butt",
                edgecolor=self.options.colours.neutral, joinstyle="miter",
            )
        )  # fmt: skip

    def _label(self, x: float, y: float, text: str, rotation: float) -> None:
        """A word on a line, on a white ground that interrupts the line."""
        self.axes.text(
            x, y, text, ha="center", va="center", rotation=rotation, fontproperties=self.texts.plain,
            fontstyle="italic", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
