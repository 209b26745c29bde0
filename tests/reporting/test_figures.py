"""Figures: they show the given numbers, no text overlaps another, and the same inputs give the same bytes."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from comparisons import comparison_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from ipcascade.cli import main
from ipcascade.config import Config, load
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.reporting import (
    corpus_statistics,
    diagram,
    error_figure,
    ladder,
    reliability_diagram,
    style,
    training_curves,
    workflow_diagram,
)
from ipcascade.reporting.diagram import Box, Link, SideBySide, Stage
from ipcascade.reporting.options import FigureColours, FigureOptions
from ipcascade.reporting.workflow_diagram import Facts
from support import config_file, corpus_frame, write_corpus

OPTIONS = FigureOptions()
TIGHTEST = FigureOptions(width=6.5, font_size=8)
EXTREMES = [
    OPTIONS,
    TIGHTEST,
    FigureOptions(width=6.5, font_size=5),
    FigureOptions(width=12, font_size=8),
]
LEVELS = ("section", "class", "subclass", "main_group", "subgroup")
PRESENT = (8, 124, 640, 7_100, 70_000)
OUTPUTS = (8, 132, 654, 7_546, 71_263)
ENCODER = "an-organisation/" + "long_encoder_name_" * 6 + "x" * 90
EVERYTHING = {
    "source": {"kind": "demo"},
    "corpus": {
        "documents": None, "kinds": ["A", "W"], "offices": ["EP", "US"], "first_year": 1990, "last_year": 2020,
        "ipc_values": ["I"], "text": ["title", "abstract"], "family_labels": "representative",
    },
    "splits": {"by": "office", "test_offices": ["CN", "JP", "KR", "TW", "IN", "BR", "MX"]},
    "encoder": {"name": ENCODER, "revision": "0" * 40},
    "training": {
        "soft_mask": {}, "label_weights": "inverse_frequency", "early_stopping": 2, "head_bias": -2,
        "loss_reduction": "mean", "precision": "fp16", "encoder_learning_rate": 5e-6,
    },
    "thresholds": {"method": "per_label"},
    "decoding": {"method": "mask", "confidence": 0.1, "at_least_one": True, "at_most": {"default": 10}},
    "evaluation": {"bootstrap": 0},
}  # fmt: skip


# The tightest options with every number of levels; the others with few and with many.
CASES = [
    (levels, options) for options in EXTREMES for levels in (1, 2, 3, 5) if levels in (2, 5) or options is TIGHTEST
]
CASE_NAMES = [f"{levels}-levels-{options.width}in-{options.font_size}pt" for levels, options in CASES]


def config_of(levels, sections=None):
    sections = sections or {}
    return load({**sections, "corpus": {**sections.get("corpus", {}), "levels": list(LEVELS[:levels])}})


def facts_of(levels):
    names = LEVELS[:levels]
    splits = {"train": 124_641, "val": 17_903, "test": 34_456}
    present, outputs = (dict(zip(names, numbers, strict=False)) for numbers in (PRESENT, OUTPUTS))
    return Facts(177_000, splits, present, outputs, finer_level=LEVELS[levels] if levels < len(LEVELS) else None)


def counts_of(documents, sizes):
    """Documents per label for levels of these sizes, with codes as long as those of the IPC."""
    counts = {"section": dict(zip("ABCDEFGH", (documents * np.arange(28, 4, -3) // 100).tolist(), strict=True))}
    for level, size, code in zip(LEVELS[1:], sizes, ("{:03}", "{:04}", "{:04}1/00", "{:04}1/0001"), strict=False):
        numbers = np.maximum(1, documents * 0.12 * np.exp(-np.linspace(0, 7, size))).astype(int)
        counts[level] = {code.format(number): int(n) for number, n in enumerate(numbers)}
    return counts


def words_of(documents):
    """Words per document, with one very long text."""
    words = np.clip(np.random.default_rng(1).gamma(6, 25, documents), 10, 500).astype(int)
    words[0] = 3104
    return words


def history(epochs, levels=2):
    epoch = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-epoch / 5)
    columns = {
        "epoch": epoch,
        "train_loss": 0.31 - 0.24 * rise,
        "val_loss": 0.3 - 0.2 * rise,
        "selected": epoch == max(1, epochs - 1),
        "fixed.section.f1_micro": 0 * rise,
    }
    columns |= {f"global.{level}.f1_micro": 0.8 / (depth + 1) * rise for depth, level in enumerate(LEVELS[:levels])}
    columns["global.hierarchical.f1_micro"] = 0.5 * rise
    if levels > 1:
        columns["fixed.reference.h_f1"] = 0.29 + 0.1 * rise
        columns["reference.reference.h_f1"] = 0.31 + 0.09 * rise
        columns["reference.reference.h_f1_ceiling"] = 0.5042 + 0 * epoch
    return pl.DataFrame(columns)


def with_the_network(table, **powers):
    """A table of combined probabilities and, before them, of those of the network, with other values."""
    before = table.with_columns(**{name: pl.col(name).pow(1 / power) for name, power in powers.items()})
    whose = {"network": before, "combined": table}
    return pl.concat(of.with_columns(probabilities=pl.lit(name)) for name, of in whose.items())


def analysis(levels, labels=120, documents=26_000):
    """The tables of an analysis by name, with the columns that figures read; a band of each level is empty."""
    names, random = LEVELS[:levels], np.random.default_rng(2)
    low = np.arange(10) / 10
    bands = {
        "level": np.repeat(names, 10), "low": np.tile(low, levels), "high": np.tile(low + 0.1, levels),
        "pairs": np.tile([documents * labels, 900, 700, 0, 90, 80, 100, 120, 200, 3000], levels),
        "mean_probability": np.tile(low + 0.05, levels), "share_true": np.tile((low + 0.05) ** 1.3, levels),
    }  # fmt: skip
    empty = pl.when(pl.col("pairs") > 0)
    shares = {name: empty.then(name).alias(name) for name in ("mean_probability", "share_true")}
    errors = {"level": np.repeat(names, 2), "split": ["val", "test"] * levels, "calibration_error": 0.0123}
    coverage = np.linspace(1 / documents, 0.95, 50)
    curves = {
        "level": np.repeat(names, 50), "documents": np.tile((documents * coverage).round().astype(int), levels),
        "coverage": np.tile(coverage, levels), "precision": np.tile(1 - 0.4 * coverage, levels),
    }  # fmt: skip
    of_levels = {
        "level": names, "calibration_error": 0.0123, "wanted_precision": 0.95, "test_coverage": 0.125,
        "test_precision": [0.94, *[0.93] * (levels - 1)],
    }  # fmt: skip
    codes = [
        f"{'A' if depth else 'Long'}{number:0{4 * depth + 2}}" for depth in range(levels) for number in range(labels)
    ]
    frequency = {
        "level": np.repeat(names, labels), "code": codes, "support": random.integers(0, 9, levels * labels),
        "train_documents": random.integers(0, documents, levels * labels), "f1": random.random(levels * labels),
    }  # fmt: skip
    pairs = {
        "level": np.repeat(names, 9), "weight": np.tile(np.arange(9, 0, -1) * documents / 30, levels),
        "true": [codes[labels * depth + n] for depth in range(levels) for n in range(9)],
        "predicted": [codes[labels * depth + n + 1] for depth in range(levels) for n in range(9)],
        "same_parent": [None if depth == 0 else n % 2 == 0 for depth in range(levels) for n in range(9)],
    }  # fmt: skip
    groups = {
        "labels": ["0", "1", "2", "3", "4", "5 or more"],
        "words": ["0 to 49", "50 to 99", "100 to 149", "150 to 199", "200 to 299", "300 or more"],
        "filing_year": [*map(str, range(1978, 2025)), "unknown"],
        "office": ["EP", "US"],
    }
    rows = [(level, grouping, group) for level in names for grouping in groups for group in groups[grouping]]
    by_group = pl.DataFrame(rows, schema=["level", "grouping", "group"], orient="row").with_columns(
        documents=pl.lit(documents), f1=pl.lit(0.1) + 0.8 * pl.int_range(pl.len()) / len(rows)
    )
    return {
        "reliability": with_the_network(pl.DataFrame(bands).with_columns(**shares), share_true=1.7),
        "calibration": with_the_network(pl.DataFrame(errors), calibration_error=2),
        "risk_coverage": pl.DataFrame(curves), "levels": pl.DataFrame(of_levels),
        "by_frequency": pl.DataFrame(frequency), "by_group": by_group,
        "confusion": pl.DataFrame(pairs, schema_overrides={"same_parent": pl.Boolean}),
    }  # fmt: skip


def reliability_figure(tables, options=OPTIONS):
    names = ("reliability", "calibration", "risk_coverage", "levels")
    return reliability_diagram.draw(*(tables[name] for name in names), options)


def errors_figure(tables, options=OPTIONS):
    return error_figure.draw(tables["by_frequency"], tables["confusion"], tables["by_group"], options)


def all_figures(options, levels):
    sizes = PRESENT[1:levels]
    return {
        "statistics": corpus_statistics.draw(counts_of(177_000, sizes), words_of(177_000), options),
        "demo statistics": corpus_statistics.draw(counts_of(1_600, [40] * len(sizes)), words_of(1_600), options),
        "bars": corpus_statistics.draw(counts_of(50_000, [12] * len(sizes)), words_of(50_000), options),
        "diagram": workflow_diagram.draw(config_of(levels), facts_of(levels), options),
        "full diagram": workflow_diagram.draw(config_of(levels, EVERYTHING), facts_of(levels), options),
        "curves": training_curves.draw(history(20, levels), options),
        "demo curves": training_curves.draw(history(3, levels), options),
        "one epoch": training_curves.draw(history(1, levels), options),
        "ladder": ladder.draw(comparison_of(9, levels), options),
        "one run": ladder.draw(comparison_of(1, levels), options),
        "ladder without intervals": ladder.draw(comparison_of(2, levels, intervals=False), options),
        "reliability": reliability_figure(analysis(levels), options),
        "demo reliability": reliability_figure(analysis(levels, 12, 90), options),
        "errors": errors_figure(analysis(levels), options),
        "demo errors": errors_figure(analysis(levels, 12, 30), options),
    }


def shown_texts(figure, options):
    """(text, bounding box in pixels) of every text that is drawn."""
    with style.applied(options):
        figure.draw_without_rendering()
        renderer = FigureCanvasAgg(figure).get_renderer()
        found = []
        for artist in figure.findobj(Text):
            if artist.get_visible() and artist.get_text().strip():
                box = artist.get_window_extent(renderer)
                if box.width and not off_its_axis(artist, figure):
                    found.append((artist.get_text(), box))
    return found


def off_its_axis(artist, figure):
    """Whether this is the label of a tick outside the axis limits, which matplotlib keeps but does not draw."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            if any(artist in (tick.label1, tick.label2) for tick in ticks):
                return all(artist not in (tick.label1, tick.label2) for tick in axis._update_ticks())
    return False


def assert_apart_and_inside(name, figure, options):
    """No text of a figure overlaps another or leaves the page."""
    texts = shown_texts(figure, options)
    for (first, box), (second, other) in combinations(texts, 2):
        overlap = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
        assert min(overlap) <= 1, f"{name}: {first!r} overlaps {second!r}"
    for text, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{name}: {text!r} leaves the page"


@pytest.mark.parametrize(("levels", "options"), CASES, ids=CASE_NAMES)
def test_no_text_overlaps_another_or_leaves_the_page(levels, options):
    for name, figure in all_figures(options, levels).items():
        assert len(shown_texts(figure, options)) > 10
        assert_apart_and_inside(name, figure, options)


@pytest.mark.parametrize(("levels", "options"), CASES, ids=CASE_NAMES)
def test_texts_of_the_diagram_stay_inside_their_boxes(levels, options):
    figure = workflow_diagram.draw(config_of(levels, EVERYTHING), facts_of(levels), options)
    with style.applied(options):
        figure.draw_without_rendering()
        boxes = [patch.get_window_extent() for patch in figure.findobj(FancyBboxPatch) if patch.get_linewidth() < 1]
        texts = [(text, box) for text, box in shown_texts(figure, options) if text not in ("train, val", "val, test")]
    encoder = [text for text, _ in texts if "long_encoder" in text or "xxx" in text]
    assert len(encoder) > 1 and "".join(encoder).endswith("x" * 10)
    for text, box in texts:
        if text != "model" and not text.startswith("("):
            around = [b for b in boxes if b.x0 <= box.x0 and box.x1 <= b.x1 and b.y0 <= box.y0 and box.y1 <= b.y1]
            assert around, f"{text!r} leaves its box"


def test_statistics_show_ranked_counts_their_mean_and_the_share_above():
    counts = {
        "section": {"A": 10, "B": 40, "C": 2, "D": 8},  # mean 15, one of four above
        "class": {"A01": 100, "B02": 60, **{f"C{n:02}": 20 for n in range(12)}, "E05": 0},  # 400 / 14; E05 not present
    }
    figure = corpus_statistics.draw(counts, np.array([10, 20, 20, 30, 70]), OPTIONS)
    by_section, by_class, by_words = figure.axes
    assert [bar.get_height() for bar in by_section.patches] == [40, 10, 8, 2]
    assert [label.get_text() for label in by_section.get_xticklabels()] == ["B", "A", "D", "C"]
    points, mean = by_class.lines
    assert points.get_ydata().tolist() == [100, 60, *[20] * 12]
    assert (by_section.get_yscale(), by_class.get_yscale()) == ("linear", "log")
    assert set(by_section.lines[0].get_ydata()) == {15}
    assert set(mean.get_ydata()) == {400 / 14}
    assert by_section.get_legend().get_texts()[0].get_text() == "mean 15\n25% above"
    assert by_class.get_legend().get_texts()[0].get_text() == "mean 29\n14% above"
    assert by_class.get_xlabel() == "Rank among 14 classes"
    assert [text.get_text() for text in by_class.texts[1:]] == ["A01, B02, C00, …", "C11"]
    assert set(by_words.lines[0].get_xdata()) == {20}
    assert "median 20 words" in by_words.get_legend().get_texts()[0].get_text()


def test_statistics_have_a_panel_per_level_in_its_colour():
    options = FigureOptions(colours=FigureColours(levels=["#111111", "#222222"]))
    counts = {"sector": {"X": 3, "Y": 5}, "technology_field": {"X1": 2, "Y1": 4}, "group": {"a": 1}, "last": {"a1": 0}}
    sector, field, group, words = corpus_statistics.draw(counts, np.array([12, 30]), options).axes  # none for `last`
    assert [axes.get_xlabel() for axes in (sector, field, group)] == [
        "Sector, by rank", "Technology field, by rank", "Group, by rank",
    ]  # fmt: skip
    assert [to_hex(axes.patches[0].get_facecolor()) for axes in (sector, field, group)] == [
        "#111111", "#222222", "#111111",
    ]  # fmt: skip
    assert words.get_xlabel().startswith("Words")
    assert [text.get_text() for axes in (sector, field, group, words) for text in axes.texts[:1]] == [
        "(a)", "(b)", "(c)", "(d)",
    ]  # fmt: skip


def test_reliability_shows_the_filled_bands_and_the_marks_of_the_bounds():
    tables = analysis(2)
    figure = reliability_figure(tables)
    by_section, by_class, coverage = figure.axes
    for level, axes in (("section", by_section), ("class", by_class)):
        diagonal, before, points = axes.lines
        assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist() == [0, 1]
        for curve, whose in ((before, "network"), (points, "combined")):
            filled = tables["reliability"].filter(pl.col("pairs") > 0, level=level, probabilities=whose)
            assert len(filled) == 9
            assert curve.get_xdata().tolist() == filled["mean_probability"].to_list()
            assert curve.get_ydata().tolist() == filled["share_true"].to_list()
        red, green, blue = to_rgb(before.get_color())
        assert max(red, green, blue) - min(red, green, blue) < 0.1 < points.get_zorder() >= before.get_zorder()
        assert [text.get_text() for text in axes.texts[1:]] == ["ECE 0.012", "network 0.111"]
        (strip,) = axes.child_axes
        tops = [bar.get_y() + bar.get_height() for bar in strip.patches]
        pairs = tables["reliability"].filter(level=level, probabilities="combined")["pairs"].to_list()
        assert [top for top in tops if top > 0.5] == [count for count in pairs if count]
    wanted, of_section, mark, of_class, other = coverage.lines[:5]
    assert set(wanted.get_ydata()) == {0.95}
    assert mark.get_xdata() == [0.125] and mark.get_ydata() == [0.94] and other.get_ydata() == [0.93]
    curve = tables["risk_coverage"].filter(pl.col("documents") >= 20, level="class")
    assert of_class.get_xdata().tolist() == curve["coverage"].to_list() and len(curve) == 49
    assert of_section.get_ydata().tolist() == curve["precision"].to_list()
    assert [text.get_text() for text in coverage.get_legend().get_texts()] == [
        "wanted 0.95", "section", "class", "bound of val",
    ]  # fmt: skip


def test_reliability_without_the_network_has_one_curve_per_level():
    tables = analysis(2)
    for name in ("reliability", "calibration"):
        tables[name] = tables[name].filter(probabilities="combined")
    by_section, by_class, _ = reliability_figure(tables).axes
    for axes in (by_section, by_class):
        assert len(axes.lines) == 2 and [text.get_text() for text in axes.texts[1:]] == ["ECE 0.012"]


def test_reliability_without_a_bound_has_no_mark():
    tables = analysis(2)
    tables["levels"] = tables["levels"].with_columns(test_precision=pl.lit(None, pl.Float64))
    coverage = reliability_figure(tables).axes[-1]
    assert len(coverage.lines) == 3
    assert "bound of val" not in [text.get_text() for text in coverage.get_legend().get_texts()]


def test_errors_show_labels_pairs_and_groups():
    tables = analysis(2)
    tables["by_frequency"] = pl.DataFrame(
        {
            "level": ["section"] * 3 + ["class"] * 6,
            "support": [5, 0, 5, 1, 1, 1, 1, 1, 1],
            "train_documents": [900, 50, 0, 10, 20, 12, 15, 30, 31],  # 31: half a decade above ten, 32 is the next
            "f1": [0.9, 0.8, 0.7, 0.0, 0.5, 0.25, 0.25, 0.0, 0.2],
        }
    )
    tables["by_group"] = tables["by_group"].with_columns(
        documents=pl.when(pl.col("group") == "300 or more").then(9).otherwise(10)
    )
    frequency, of_section, of_class, by_labels, by_words, by_year = errors_figure(tables).axes
    sections, classes, mean = frequency.lines
    assert sections.get_xdata().tolist() == [900], "neither without test documents nor without training documents"
    assert classes.get_xdata().tolist() == [10, 20, 12, 15, 30, 31]
    assert mean.get_xdata().tolist() == pytest.approx([10**1.25]) and mean.get_ydata().tolist() == pytest.approx([0.2])
    for level, axes in (("section", of_section), ("class", of_class)):
        pairs = tables["confusion"].filter(level=level).head(8)
        assert [bar.get_width() for bar in axes.patches] == pairs["weight"].to_list()
        names = [f"{true} → {predicted}" for true, predicted in pairs.select("true", "predicted").iter_rows()]
        assert [text.get_text() for text in axes.texts[1:]] == names
    assert len({bar.get_facecolor() for bar in of_section.patches}) == 1 and of_section.get_legend() is None
    same, other = (handle.get_facecolor() for handle in of_class.get_legend().get_patches())
    assert [bar.get_facecolor() for bar in of_class.patches] == [same, other] * 4
    assert [label.get_text() for label in by_labels.get_xticklabels()] == ["0", "1", "2", "3", "4", "≥5"]
    words = ["0–49", "50–99", "100–149", "150–199", "200–299"]
    assert [label.get_text() for label in by_words.get_xticklabels()] == words
    groups = tables["by_group"].filter(pl.col("documents") >= 10, level="class")
    assert by_words.lines[1].get_ydata().tolist() == groups.filter(grouping="words")["f1"].to_list()
    assert by_year.lines[1].get_xdata().tolist() == [*range(1978, 2025)]


def test_errors_without_years_or_confusions_have_fewer_panels():
    tables = analysis(1)
    tables["by_group"] = tables["by_group"].filter(grouping="labels")
    tables["confusion"] = tables["confusion"].clear()
    frequency, pairs, by_labels = errors_figure(tables).axes
    assert frequency.get_ylabel() == "F1 of the label" and by_labels.get_xlabel() == "True labels per document"
    assert "no pairs" in [text.get_text() for text in pairs.texts]


@pytest.mark.parametrize(("levels", "rows"), [(1, [2]), (2, [3]), (3, [2, 2]), (4, [3, 2]), (5, [3, 3])])
def test_panels_are_in_rows_of_at_most_three(levels, rows):
    figure = corpus_statistics.draw(counts_of(1_000, [20] * (levels - 1)), words_of(1_000), OPTIONS)
    tops = [round(axes.get_position().y1, 3) for axes in figure.axes]
    assert [tops.count(top) for top in sorted(set(tops), reverse=True)] == rows
    assert figure.get_figheight() == pytest.approx(2.2 * len(rows))


def test_the_histogram_holds_every_document_but_those_it_counts_as_longer():
    words = words_of(5_000)
    axes = corpus_statistics.draw(counts_of(5_000, [30]), words, OPTIONS).axes[2]
    step = int(axes.get_xlabel().split("bins of ")[1].rstrip(")"))
    outline = axes.patches[0].get_xy()
    tops = outline[1 : len(outline) // 2 : 2]  # left edge and height of each bin; the way back runs along the foot
    heights = dict(zip(tops[:, 0].tolist(), tops[:, 1].tolist(), strict=True))
    for left in range(0, int(axes.get_xlim()[1]), step):
        assert heights[left] == pytest.approx(((words >= left) & (words < left + step)).sum(), abs=0.5)
    assert "1 longer, up to 3,104" in axes.get_legend().get_texts()[0].get_text()


def test_a_top_level_with_many_labels_is_drawn_too():
    counts = {"section": {f"S{n:02}": 100 - n for n in range(40)}, "class": {"A01": 1}}
    axes = corpus_statistics.draw(counts, np.array([12]), OPTIONS).axes[0]
    assert axes.lines[0].get_ydata().tolist() == list(range(100, 60, -1))
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "Documents (log scale)")


def test_a_long_code_is_cut():
    counts = {"field": {f"{n:02} electrical machinery": 50 - n for n in range(20)}}
    axes = corpus_statistics.draw(counts, np.array([12]), OPTIONS).axes[0]
    assert axes.texts[1].get_text() == "00 electric…, 01 electric…, 02 electric…, …"


def test_dollars_are_no_mathematics(tmp_path):
    """matplotlib would read what is between two of them, and refuse what it cannot read."""
    code, name = r"$\frac$", r"/data/$a_b$/^{x}\no"
    history_of = history(2).rename({"global.class.f1_micro": f"global.{code}.f1_micro"})
    config = load({"encoder": {"name": name}, "corpus": {"levels": ["section", code]}})
    facts = Facts(3, dict.fromkeys(SPLITS, 1), {"section": 1, code: 1}, {"section": 1, code: 1})
    figures = [
        corpus_statistics.draw({"section": {code: 2, "B": 1}, code: {code: 1}}, words_of(30), OPTIONS),
        workflow_diagram.draw(config, facts, OPTIONS),
        training_curves.draw(history_of, OPTIONS),
    ]
    for figure in figures:
        style.save(figure, tmp_path / "figure", FigureOptions(resolution=72))
        texts = "".join(text.get_text() for text in figure.findobj(Text))
        assert code in texts
        assert not any(text.get_parse_math() for text in figure.findobj(Text) if text.get_text())


def test_an_empty_corpus_is_refused():
    with pytest.raises(UserError, match="no labelled document"):
        corpus_statistics.draw({"section": {"A": 0}, "class": {"A01": 0}}, np.array([]), OPTIONS)


def curves(figure):
    return {(number, line.get_label()): line for number, axes in enumerate(figure.axes) for line in axes.lines}


def test_curves_show_the_history_and_the_selected_epoch():
    frame = history(20)
    drawn = curves(training_curves.draw(frame.reverse(), OPTIONS))
    for key, column in {
        (0, "training"): "train_loss",
        (0, "validation"): "val_loss",
        (1, "section"): "global.section.f1_micro",
        (1, "class"): "global.class.f1_micro",
        (2, "fixed"): "fixed.reference.h_f1",
        (2, "optimised"): "reference.reference.h_f1",
    }.items():
        assert list(drawn[key].get_xdata()) == list(range(1, 21))
        assert list(drawn[key].get_ydata()) == frame[column].to_list()
    assert set(drawn[2, "ceiling"].get_ydata()) == {0.5042}
    assert all(set(drawn[number, "selected"].get_xdata()) == {19} for number in range(3))


@pytest.mark.parametrize("levels", [1, 3, 5])
def test_there_is_one_curve_per_level_in_its_colour(levels):
    frame = history(4, levels)
    figure = training_curves.draw(frame, OPTIONS)
    drawn = {label: line for (number, label), line in curves(figure).items() if number == 1}
    assert list(drawn) == [*(level.replace("_", " ") for level in LEVELS[:levels]), "selected"]
    for level, colour in zip(LEVELS[:levels], OPTIONS.colours.levels, strict=False):
        line = drawn[level.replace("_", " ")]
        assert list(line.get_ydata()) == frame[f"global.{level}.f1_micro"].to_list()
        assert line.get_color() == colour
    assert len(figure.axes) == (3 if levels > 1 else 2)  # the reference H-F1 needs two levels


@pytest.mark.parametrize(("epochs", "ticks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (20, [1, 5, 10, 15, 20])])
def test_epoch_ticks_are_whole_numbers(epochs, ticks):
    axes = training_curves.draw(history(epochs), OPTIONS).axes[0]
    assert axes.get_xticks().tolist() == ticks


def test_curves_refuse_a_history_without_a_measure_or_epoch():
    with pytest.raises(UserError, match=r"'fixed\.reference\.h_f1'"):
        training_curves.draw(history(3).drop("fixed.reference.h_f1"), OPTIONS)
    with pytest.raises(UserError, match=r"'global\.LEVEL\.f1_micro'"):
        training_curves.draw(history(3).drop("global.section.f1_micro", "global.class.f1_micro"), OPTIONS)
    with pytest.raises(UserError, match="no epochs"):
        training_curves.draw(history(3).clear(), OPTIONS)


def diagram_text(config, levels=2, options=OPTIONS):
    figure = workflow_diagram.draw(config, facts_of(levels), options)
    return " ".join(text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.axes[0].texts)


def test_the_diagram_shows_what_was_run():
    text = diagram_text(Config())
    for phrase in (
        "PATSTAT Global", "One document per family", "177,000 documents, drawn at random", "train 70% (124,641)",
        "8 sections and 124 classes", "allenai/scibert_scivocab_uncased", "up to 512 tokens",
        "Section head 8 outputs", "Class head 132 outputs", "bias: log odds",
        "0.3 × BCE(section) + 0.7 × BCE(class) + 1 × BCE(subclass)", "subclasses: learned, not predicted",
        "15% left out in training, drawn anew", "titles of labels are documents, too",
        "attention of each label to all tokens", "6 epochs, batch 32", "learning rate 3e-5, heads 3e-4",
        "best epoch on val by global.class.f1_micro", "one threshold per label",
        "classes and sections together", "95% confidence intervals", "1,000 bootstrap samples",
    ):  # fmt: skip
        assert phrase in text
    text = diagram_text(config_of(2, EVERYTHING))
    for phrase in (
        "Synthetic delivery", "all, 177,000 documents", "kinds: A, W", "filed 1990 to 2020", "title and abstract",
        "labels: of its representative", "p > 0.1", "one threshold per label", "precision: FP16", "bias: -2",
        "stops after 2 epochs", "logits of classes × 0.1", "at least one label per document",
        "at most 10 sections and 10 classes",
    ):  # fmt: skip
        assert phrase in text
    for phrase in ("Splits by office of first filing", "train 70.4% (124,641)", "test: CN, JP, KR, TW, IN, BR, MX"):
        assert phrase in text
    text = diagram_text(load({"splits": {"by": "year"}}))
    assert "Splits by year of first filing train 70.4% (124,641) val 10.1% (17,903) test 19.5% (34,456)" in text
    assert "bootstrap" not in diagram_text(config_of(2, EVERYTHING))
    assert "at least one label" not in diagram_text(Config()) and "at most" not in diagram_text(Config())
    assert "Fixed thresholds section 0.5" in diagram_text(load({"thresholds": {"method": "fixed"}}))
    chosen = load({"training": {"select_by": "val_loss"}})
    assert "best epoch on val by val_loss" in diagram_text(chosen)


def test_the_diagram_leaves_out_what_is_switched_off_or_not_there():
    training = {"finer_level_weight": 0, "token_dropout": 0, "title_examples": False, "label_attention": False}
    for text in (
        diagram_text(config_of(2, {"training": training})),
        diagram_text(config_of(len(LEVELS), {"training": training}), len(LEVELS)),
    ):
        for phrase in ("not predicted", "left out", "titles of labels", "attention of each label"):
            assert phrase not in text
    assert "not predicted" not in diagram_text(config_of(len(LEVELS)), len(LEVELS)), "there is no level below"


@pytest.mark.parametrize(
    ("sections", "levels", "phrase"),
    [
        ({"thresholds": {"method": "expected_f1"}}, 2, "one threshold per label by best expected F1"),
        ({"thresholds": {"method": "blend"}}, 2, "between global and best expected F1 (share 0.5)"),
        ({"decoding": {"method": "coherent"}}, 2, "classes and sections together, by the largest sum of p - threshold"),
        ({"decoding": {"method": "coherent"}}, 3, "labels and parents together, by the largest sum of p - threshold"),
        ({"decoding": {"method": "coherent"}}, 1, "labels above their thresholds"),
        ({"decoding": {"at_most": {"class": 1}}}, 2, "at most 1 class "),
        ({"decoding": {"at_most": {"class": 2, "default": 1}}}, 2, "at most 1 section and 2 classes"),
    ],
)
def test_the_diagram_names_thresholds_and_decoding(sections, levels, phrase):
    assert phrase in diagram_text(config_of(levels, sections), levels)


def test_the_diagram_of_three_levels():
    sections = {
        "training": {"loss_weights": {"section": 0.2, "default": 1.5}, "soft_mask": {}},
        "thresholds": {"method": "fixed", "fixed": {"class": 0.4, "default": 0.3}},
        "decoding": {"method": "mask", "confidence": 0.25},
    }
    text = diagram_text(config_of(3, sections), 3)
    for phrase in (
        "8 sections, 124 classes and 640 subclasses",
        "Section head 8 outputs bias: log odds Class head 132 outputs bias: log odds Subclass head 654 outputs",
        "0.2 × BCE(section) + 1.5 × BCE(class) + 1.5 × BCE(subclass)", "best epoch on val by global.subclass.f1_micro",
        "section 0.3, class 0.4, subclass 0.3", "logits of labels × 0.1 below parents with p ≤ 0.1",
        "labels only below parents with p > 0.25",
    ):  # fmt: skip
        assert phrase in text


def test_the_diagram_of_one_level_has_no_parents():
    text = diagram_text(config_of(1, {"training": {"soft_mask": {}}, "decoding": {"confidence": 0.25}}), 1)
    assert "labels above their thresholds" in text
    assert " 8 sections " in text and "1 × BCE(class) classes: learned, not predicted summed" in text
    assert "parents" not in text and "below" not in text


def test_heads_are_listed_where_they_do_not_fit_side_by_side():
    listed = "One head per level section: 8 outputs class: 132 outputs subclass: 654 outputs"
    assert listed not in diagram_text(config_of(3), 3)
    assert listed in diagram_text(config_of(3), 3, TIGHTEST)
    text = diagram_text(config_of(5), 5)
    assert f"{listed} main group: 7,546 outputs subgroup: 71,263 outputs bias: log odds" in text


def drawn_boxes(stages, links=()):
    figure = diagram.draw(stages, links, OPTIONS)
    with style.applied(OPTIONS):
        figure.draw_without_rendering()
        return [patch.get_window_extent() for patch in figure.findobj(FancyBboxPatch) if patch.get_linewidth() == 0.8]


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_a_diagram_has_any_number_of_stages(stages):
    column = (Box("First"), SideBySide((Box("Left"), Box("Right")), otherwise=Box("Both")), Box("Last", ("line",)))
    boxes = drawn_boxes([Stage(f"Stage {n}", "#123456", column) for n in range(stages)])
    assert len(boxes) == 4 * stages
    for first, second in combinations(boxes, 2):
        assert not first.overlaps(second)
    first, left, right, last = boxes[:4]
    assert left.y0 == pytest.approx(right.y0) and first.y0 > left.y1 > left.y0 > last.y1


def test_links_that_pass_stages_run_below_them_apart_from_each_other():
    stages = [Stage(f"Stage {n}", "#123456", (Box("First"), Box("Last"))) for n in range(4)]
    links = [Link(0, 1, "next"), Link(0, 2, "over one"), Link(0, 3, "over two"), Link(1, 3, "and this")]
    figure = diagram.draw(stages, links, OPTIONS)
    texts = {text: box for text, box in shown_texts(figure, OPTIONS)}
    lowest = min(box.y0 for text, box in texts.items() if text == "Last")
    passing = [texts[link.text] for link in links[1:]]
    assert all(box.y1 < lowest for box in passing)
    for first, second in combinations(passing, 2):
        assert not first.overlaps(second)
    assert texts["next"].y0 > lowest


def test_a_font_that_is_not_installed_is_refused(tmp_path):
    odd = FigureOptions(font="No Such Font")
    with pytest.raises(UserError, match=r"figures\.font is 'No Such Font', which is not installed"):
        training_curves.draw(history(2), odd)
    with pytest.raises(UserError, match="not installed"):
        style.save(training_curves.draw(history(2), OPTIONS), tmp_path / "figure3", odd)
    assert not list(tmp_path.iterdir())


def three_level_files(folder):
    """A corpus of 40 documents of three levels whose labels end early in places, its splits, and a config."""
    tree = LabelTree.read(IPC).select(["section", "class", "subclass"])
    below = [
        [f"{code}B" for code in codes if f"{code}B" in tree.index] for codes in corpus_frame(40)["class"].to_list()
    ]
    corpus = corpus_frame(40).with_columns(pl.Series("subclass", below))
    write_corpus(folder / "corpus.parquet", corpus, tree)
    parts = pl.DataFrame({"document_id": corpus["document_id"], "split": (list(SPLITS) * 14)[:40]})
    write_corpus(folder / "splits.parquet", parts, tree)
    write_corpus(folder / "history.parquet", history(3, 3), tree)
    return corpus, config_file(folder, corpus={"levels": ["section", "class", "subclass"]})


def test_the_commands_draw_a_corpus_of_three_levels(tmp_path):
    corpus, config = three_level_files(tmp_path)
    documents = ["--corpus", str(tmp_path / "corpus.parquet")]
    splits = ["--splits", str(tmp_path / "splits.parquet")]
    shared = ["--config", str(config), "--stem"]
    assert main(["table1", *documents, *splits, *shared, str(tmp_path / "table1")]) == 0
    assert main(["figure1", *documents, *shared, str(tmp_path / "figure1")]) == 0
    assert main(["figure2", *documents, *splits, *shared, str(tmp_path / "figure2")]) == 0
    assert main(["figure3", "--history", str(tmp_path / "history.parquet"), *shared, str(tmp_path / "figure3")]) == 0
    for name in ("figure1", "figure2", "figure3"):
        assert {path.suffix for path in tmp_path.glob(f"{name}.*")} == {".pdf", ".png", ".svg", ".json"}
    total = pl.read_csv(tmp_path / "table1.csv").row(-1, named=True)
    assert total["subclass_labels"] == len({code for codes in corpus["subclass"].to_list() for code in codes})
    assert total["documents"] == 40


def test_the_environment_changes_nothing(tmp_path):
    """As in a shell that was started from a notebook, by another launcher of ranks, or without a home folder."""
    three_level_files(tmp_path)
    (tmp_path / "matplotlibrc").write_bytes(b"backend: \xff")
    arguments = ["figure1", "--corpus", str(tmp_path / "corpus.parquet"), "--stem"]
    assert main([*arguments, str(tmp_path / "without")]) == 0
    settings = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlibrc"),
        "SOURCE_DATE_EPOCH": "today",
        "HOME": "/nowhere",
        "TMPDIR": "/nowhere",
        "TZ": "Nowhere/At/All",
        "RANK": "3",
        "LOCAL_RANK": "x",
        "LOCAL_WORLD_SIZE": "many",
    }
    command = [sys.executable, "-m", "ipcascade", *arguments, str(tmp_path / "with")]
    subprocess.run(command, check=True, env={**os.environ, **settings})
    for kind in ("pdf", "png", "svg"):
        assert (tmp_path / f"with.{kind}").read_bytes() == (tmp_path / f"without.{kind}").read_bytes()


def test_files_are_the_same_bytes_in_another_process_with_another_hash_seed(tmp_path):
    script = tmp_path / "draw.py"
    script.write_text(
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:3]; import test_figures as t\n"
        "for name, figure in (\n"
        "    ('1', t.corpus_statistics.draw(t.counts_of(500, [40, 60]), t.words_of(500), t.OPTIONS)),\n"
        "    ('2', t.workflow_diagram.draw(t.config_of(3), t.facts_of(3), t.OPTIONS)),\n"
        "    ('3', t.training_curves.draw(t.history(3, 3), t.OPTIONS)),\n"
        "    ('4', t.reliability_figure(t.analysis(3))),\n"
        "    ('5', t.errors_figure(t.analysis(3))),\n"
        "    ('6', t.ladder.draw(t.comparison_of(4), t.OPTIONS))):\n"
        "    t.style.save(figure, Path(sys.argv[3]) / name, t.FigureOptions(resolution=100))\n"
    )
    here = Path(__file__).parent
    for seed in ("1", "2"):
        command = [sys.executable, str(script), str(here), str(here.parent), str(tmp_path / seed)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert files == sorted(f"{n}.{kind}" for n in range(1, 7) for kind in ("pdf", "png", "svg"))
    for name in files:
        content = (tmp_path / "1" / name).read_bytes()
        assert content == (tmp_path / "2" / name).read_bytes(), name
        assert b"CreationDate" not in content and b"Matplotlib v" not in content and b"dc:date" not in content
    assert b"/FontFile2" in (tmp_path / "1" / "1.pdf").read_bytes()  # embedded as TrueType
