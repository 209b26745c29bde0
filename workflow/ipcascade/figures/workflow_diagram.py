"""Figure 2: the workflow in three stages, with the settings of the run that it stands beside.

The boxes are written from the config and laid out by measuring: every line is broken where the font says that it is
too wide, every box is as tall as its lines, and the figure is as tall as its tallest stage. Sizes are in points of the
finished figure; the origin is its upper left corner.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from ..config import Config, FigureOptions, ThresholdOptions
from . import style

_PADDING = 4.0  # between a box's edge and its text
_GAP = 12.0  # least distance between two boxes of a stage, so that an arrow fits
_GUTTER = 20.0  # between two stages
_MARGIN = 1.0  # around the figure
_INSET = 6.0  # between a stage's edge and its boxes
_LEADING = 1.32  # line height in font sizes
_PIECE = r".+?(?: +|(?<=[/_.\-])(?![\d/_.\-])|$)"  # up to a blank or a mark, but for marks before a digit: 0.1, 3e-5


@dataclass(frozen=True)
class Facts:
    """What is known of the run beside its config; all of it may be absent.

    documents: size of the corpus; sections, classes: labels with documents; section_outputs, class_outputs: labels of
    the tree, which the heads predict; splits: documents a split.
    """

    documents: int | None = None
    sections: int | None = None
    classes: int | None = None
    section_outputs: int | None = None
    class_outputs: int | None = None
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Box:
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Stage:
    """Rows of boxes from top to bottom; a row holds one box, or two side by side."""

    title: str
    colour: str
    rows: tuple[tuple[_Box, ...], ...]


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
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width


def draw(config: Config, facts: Facts, options: FigureOptions) -> Figure:
    """Draw the figure. Raises UserError as `style.applied` does."""
    stages = (
        _Stage("Preprocessing", options.colours.section, _preprocessing(config, facts)),
        _Stage("Fine-tuning", options.colours.class_, _fine_tuning(config, facts)),
        _Stage("Classification", options.colours.accent, _classification(config)),
    )
    with style.applied(options):
        return _Page(options).drawn(stages)


# ---- What the boxes say ----


def _preprocessing(config: Config, facts: Facts) -> tuple[tuple[_Box, ...], ...]:
    corpus, splits = config.corpus, config.splits
    if config.source.kind == "demo":
        source = _Box("Synthetic delivery", ("in the layout of PATSTAT Global",))
    else:
        source = _Box("PATSTAT Global", ("applications, abstracts, IPC symbols", "and DOCDB families"))
    kept = [f"rights: {', '.join(corpus.ipr_types)}"]
    if corpus.kinds is not None:
        kept.append(f"kinds: {', '.join(corpus.kinds)}")
    if corpus.offices is not None:
        kept.append(f"offices: {', '.join(corpus.offices)}")
    if corpus.first_year is not None or corpus.last_year is not None:
        kept.append(_years(corpus.first_year, corpus.last_year))
    kept.append(f"abstract in {corpus.language!r}, at least {_count(corpus.minimum_words, 'word', 'words')}")
    if corpus.ipc_values is not None:
        kept.append(f"IPC values: {', '.join(corpus.ipc_values)}")
    labels = "of all its members" if corpus.family_labels == "union" else "of its representative"
    text = "title and abstract" if corpus.text == "title_and_abstract" else "abstract"
    tree = "IPC sections and classes" if corpus.taxonomy is None else "sections and classes of a tree of its own"
    if facts.sections is not None and facts.classes is not None:
        tree = f"{facts.sections} sections and {_count(facts.classes, 'class', 'classes')}"
    sample = "all documents" if corpus.documents is None else f"at most {_count(corpus.documents, 'document')}"
    if facts.documents is not None:
        drawn = _count(facts.documents, "document")
        sample = f"all, {drawn}" if corpus.documents is None else f"{drawn}, drawn at random"
    shares = []
    for name, share in (("train", splits.train), ("val", splits.val), ("test", splits.test)):
        size = f" ({facts.splits[name]:,})" if name in facts.splits else ""
        shares.append(f"{name} {100 * share:.3g}%{size}")
    return (
        (source,),
        (_Box("Filters", tuple(kept)),),
        (_Box("One document a family", (f"text: {text}", f"labels: {labels}", tree)),),
        (_Box("Sample", (sample,)),),
        (_Box("Stratified splits by family", tuple(shares)),),
    )


def _fine_tuning(config: Config, facts: Facts) -> tuple[tuple[_Box, ...], ...]:
    training = config.training
    bias = "bias: log-odds" if training.head_bias == "prior" else f"bias: {training.head_bias:g}"
    sections, classes = (
        (bias,) if outputs is None else (_count(outputs, "output"), bias)
        for outputs in (facts.section_outputs, facts.class_outputs)
    )
    loss = [
        f"{training.section_weight:g} × BCE(section) + {training.class_weight:g} × BCE(class)",
        f"{'summed' if training.loss_reduction == 'sum' else 'averaged'} over labels",
    ]
    if training.label_weights == "inverse_frequency":
        loss.append("positives weighted by inverse frequency")
    if training.soft_mask is not None:
        mask = training.soft_mask
        loss.append(f"class logits × {mask.factor:g} below sections with {_probability('≤', mask.confidence)}")
    rates = f"learning rate {_power(training.encoder_learning_rate)}"
    if training.head_learning_rate != training.encoder_learning_rate:
        rates += f", heads {_power(training.head_learning_rate)}"
    optimiser = [
        f"{_count(training.epochs, 'epoch')}, batch {training.batch_size}",
        rates,
        f"{100 * training.warmup:.3g}% linear warm-up",
        f"precision: {_precision(training.precision)}",
    ]
    if training.early_stopping is not None:
        optimiser.append(f"stops after {_count(training.early_stopping, 'epoch')} without gain")
    return (
        (_Box("Tokenizer", (f"up to {config.tokens.max_length} tokens, read once",)),),
        (_Box("Encoder", (config.encoder.name, f"[CLS] vector, dropout {training.dropout:g}")),),
        (
            _Box("Section head", sections),
            _Box("Class head", classes),
        ),
        (_Box("Loss", tuple(loss)),),
        (_Box("AdamW", tuple(optimiser)),),
        (_Box("Selected model", ("best epoch on val by", training.select_by)),),
    )


def _classification(config: Config) -> tuple[tuple[_Box, ...], ...]:
    decoding, evaluation = config.decoding, config.evaluation
    if decoding.confidence is None:
        rule = "classes only below predicted sections"
    else:
        rule = f"classes only below sections with {_probability('>', decoding.confidence)}"
    measures = ["flat, hierarchical, ranking, calibration"]
    if evaluation.bootstrap:
        measures.append(f"{100 * evaluation.confidence:.3g}% intervals, {evaluation.bootstrap:,} bootstrap samples")
    return (
        (_Box("Probabilities", ("of every label and document", f"precision: {_precision(config.scoring.precision)}")),),
        (_thresholds(config.thresholds),),
        (_Box("Decoding", (rule,)),),
        (_Box("Evaluation on test", tuple(measures)),),
        (_Box("New texts", ("labels and probabilities", "project × technology matrix")),),
    )


def _thresholds(options: ThresholdOptions) -> _Box:
    if options.method == "fixed":
        return _Box("Fixed thresholds", (f"section {options.fixed.section:g}, class {options.fixed.class_:g}",))
    lines: tuple[str, ...]
    if options.method == "global":
        lines = ("one a level, best F1 micro",)
    elif options.method == "reference":
        lines = ("published grid, best reference H-F1",)
    else:
        guard = "SCutFBR guard" if options.per_label.guard == "scutfbr" else "joint micro and macro F1"
        lines = ("one a label, best F1", guard)
    return _Box("Thresholds, fitted on val", lines)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _years(first: int | None, last: int | None) -> str:
    if first is None:
        return f"filed until {last}"
    return f"filed since {first}" if last is None else f"filed {first} to {last}"


def _probability(relation: str, bound: float) -> str:
    """A condition that no line break tears apart."""
    return f"p {relation} {bound:g}".replace(" ", "\N{NO-BREAK SPACE}")


def _power(value: float) -> str:
    """3e-05 as 3e-5, and 0.0003 as 3e-4 beside it."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _precision(name: str) -> str:
    return "as the hardware allows" if name == "auto" else name.upper()


# ---- Where they stand ----


class _Page:
    def __init__(self, options: FigureOptions) -> None:
        self.options = options
        self.size = options.font_size
        self.line = _LEADING * self.size
        self.width = 72 * options.width
        self.stage_width = (self.width - 2 * _MARGIN - 2 * _GUTTER) / 3
        self.header = 2 * self.line
        self.plain = FontProperties(family=options.font, size=self.size - 0.5)
        self.bold = FontProperties(family=options.font, size=self.size, weight="bold")

    def drawn(self, stages: tuple[_Stage, ...]) -> Figure:
        texts = [[[self._broken(box, len(row)) for box in row] for row in stage.rows] for stage in stages]
        heights = [[max(map(self._height, row)) for row in rows] for rows in texts]
        body = max(sum(rows) + _GAP * (len(rows) - 1) for rows in heights)
        stage_height = self.header + body + _INSET
        # Below the stages runs the line that carries val and test past fine-tuning, with its label.
        height = stage_height + 2 * _MARGIN + 1.8 * self.line
        figure = style.new_figure(self.options, height / 72)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, self.width)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        places = []
        for column, (stage, rows, tall) in enumerate(zip(stages, texts, heights, strict=True)):
            left = _MARGIN + column * (self.stage_width + _GUTTER)
            self._draw_stage(axes, stage, column + 1, left, stage_height)
            gap = (body - sum(tall)) / max(len(rows) - 1, 1)
            top, placed = _MARGIN + self.header, []
            for row, row_height in zip(rows, tall, strict=True):
                placed.append(self._draw_row(axes, row, stage.colour, left + _INSET, top, row_height))
                top += row_height + gap
            self._join_rows(axes, placed)
            places.append(placed)
        self._join_stages(axes, places, _MARGIN + stage_height)
        return figure

    def _join_stages(self, axes: Axes, places: list[list[list[_Placed]]], floor: float) -> None:
        """Splits to tokenizer, model to probabilities, and splits to probabilities below fine-tuning."""
        splits, tokenizer = places[0][-1][0], places[1][0][0]
        model, scores = places[1][-1][0], places[2][0][0]
        first, second = (_MARGIN + n * (self.stage_width + _GUTTER) - _GUTTER / 2 for n in (1, 2))
        out, into = splits.top + splits.height / 2, tokenizer.top + tokenizer.height / 2
        self._arrow(axes, (splits.right, out), (first, out), (first, into), (tokenizer.left, into))
        self._label(axes, first, (out + into) / 2, "train, val")
        out, into = model.top + model.height / 2, scores.top + scores.height * 0.35
        self._arrow(axes, (model.right, out), (second - 3, out), (second - 3, into), (scores.left, into))
        self._label(axes, second - 3, (out + into) / 2, "model")
        below, into = floor + 0.9 * self.line, scores.top + scores.height * 0.65
        self._arrow(
            axes, (splits.centre, splits.bottom), (splits.centre, below), (second + 3, below), (second + 3, into),
            (scores.left, into),
        )  # fmt: skip
        self._label(axes, places[1][0][0].centre, below, "val, test", upright=True)

    def _join_rows(self, axes: Axes, rows: list[list[_Placed]]) -> None:
        """Arrows straight down, each at the middle of the narrower of the boxes it joins."""
        for above, below in pairwise(rows):
            for box in max(above, below, key=len):
                self._arrow(axes, (box.centre, above[0].bottom), (box.centre, below[0].top))

    def _draw_stage(self, axes: Axes, stage: _Stage, number: int, left: float, height: float) -> None:
        axes.add_patch(
            FancyBboxPatch(
                (left, _MARGIN), self.stage_width, height, boxstyle="round,pad=0,rounding_size=3",
                facecolor=style.tint(stage.colour, 0.07), edgecolor="none",
            )
        )  # fmt: skip
        axes.text(
            left + _INSET, _MARGIN + self.header / 2, f"({'abc'[number - 1]}) {stage.title}", va="center_baseline",
            fontproperties=self.bold, fontsize=self.size + 1, color="black",
        )  # fmt: skip

    def _draw_row(
        self, axes: Axes, row: list[list[str]], colour: str, left: float, top: float, height: float
    ) -> list[_Placed]:
        width = self._box_width(len(row))
        placed = []
        for position, lines in enumerate(row):
            box = _Placed(left + position * (width + _INSET), top, width, height)
            axes.add_patch(
                FancyBboxPatch(
                    (box.left, box.top), box.width, box.height, boxstyle="round,pad=0,rounding_size=2",
                    facecolor="white", edgecolor=colour, linewidth=0.8,
                )
            )  # fmt: skip
            for number, line in enumerate(lines):
                axes.text(
                    box.centre, top + _PADDING + (number + 0.5) * self.line, line, ha="center", va="center_baseline",
                    fontproperties=self.plain if number else self.bold,
                )  # fmt: skip
            placed.append(box)
        return placed

    def _arrow(self, axes: Axes, *points: tuple[float, float]) -> None:
        axes.add_patch(
            FancyArrowPatch(
                path=Path(points), arrowstyle="-|>,head_length=3,head_width=1.6", mutation_scale=1, shrinkA=0,
                shrinkB=0, linewidth=0.8, facecolor=self.options.colours.neutral, capstyle="butt",
                edgecolor=self.options.colours.neutral, joinstyle="miter",
            )
        )  # fmt: skip

    def _label(self, axes: Axes, x: float, y: float, text: str, upright: bool = False) -> None:
        """A word on a line, on a white ground that interrupts the line."""
        axes.text(
            x, y, text, ha="center", va="center", rotation=0 if upright else 90, fontproperties=self.plain,
            fontstyle="italic", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip

    def _box_width(self, in_row: int) -> float:
        return (self.stage_width - (in_row + 1) * _INSET) / in_row

    def _height(self, lines: list[str]) -> float:
        return 2 * _PADDING + len(lines) * self.line

    def _broken(self, box: _Box, in_row: int) -> list[str]:
        """The box's lines, title first, each no wider than the box allows."""
        room = self._box_width(in_row) - 2 * _PADDING
        lines = [box.title]
        for line in box.lines:
            lines += self._wrapped(line, room)
        return lines

    def _wrapped(self, text: str, room: float) -> list[str]:
        """Break after blanks and after the marks that names are made of; inside a word only where it has neither."""
        lines, line = [], ""
        for piece in re.findall(_PIECE, text):
            if self._measure((line + piece).rstrip()) > room and line:
                lines.append(line.rstrip())
                line = ""
            line += piece
            while self._measure(line.rstrip()) > room and len(line) > 1:
                fits = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or self._measure(line[:n]) <= room)
                lines.append(line[:fits])
                line = line[fits:]
        return [*lines, line.rstrip()] if line.strip() else lines

    def _measure(self, text: str) -> float:
        """Width in points, without hinting, so that it holds at every resolution."""
        return text_to_path.get_text_width_height_descent(text, self.plain, False)[0]
