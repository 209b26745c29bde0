"""Figures: they show the given numbers, no text runs into another, and the same inputs give the same bytes."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from ipcascade.config import Config, FigureOptions, load
from ipcascade.errors import UserError
from ipcascade.figures import corpus_statistics, style, training_curves, workflow_diagram
from ipcascade.taxonomy import Taxonomy

OPTIONS = FigureOptions()
EXTREMES = [
    OPTIONS,
    FigureOptions(width=6.5, font_size=8),
    FigureOptions(width=6.5, font_size=5),
    FigureOptions(width=12, font_size=8),
]
RUN = workflow_diagram.Facts(177_000, 8, 124, 8, 132, {"train": 124_641, "val": 17_903, "test": 34_456})
EVERYTHING = load(
    {
        "source": {"kind": "demo"},
        "corpus": {
            "documents": None, "kinds": ["A", "W"], "offices": ["EP", "US"], "first_year": 1990, "last_year": 2020,
            "ipc_values": ["I"], "text": "title_and_abstract", "family_labels": "representative",
        },
        "encoder": {"name": "an-organisation/" + "long_encoder_name_" * 6 + "x" * 90, "revision": "0" * 40},
        "training": {
            "soft_mask": {}, "label_weights": "inverse_frequency", "early_stopping": 2, "head_bias": -2,
            "loss_reduction": "mean", "precision": "fp16", "encoder_learning_rate": 5e-6,
        },
        "thresholds": {"method": "per_label"},
        "decoding": {"confidence": 0.1},
        "evaluation": {"bootstrap": 0},
    }
)  # fmt: skip


def corpus(documents, classes):
    """Counts of 8 sections and many classes, and words with one very long text."""
    sections = dict(
        zip("ABCDEFGH", (documents * np.array([20, 21, 14, 1, 4, 12, 26, 27]) // 100).tolist(), strict=True)
    )
    counts = np.maximum(1, documents * 0.12 * np.exp(-np.linspace(0, 7, classes))).astype(int)
    codes = Taxonomy.ipc().classes[:classes]
    words = np.clip(np.random.default_rng(1).gamma(6, 25, documents), 10, 500).astype(int)
    words[0] = 3104
    return sections, dict(zip(codes, counts.tolist(), strict=True)), words


def history(epochs):
    epoch = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-epoch / 5)
    return pl.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 0.31 - 0.24 * rise,
            "val_loss": 0.3 - 0.2 * rise,
            "selected": epoch == max(1, epochs - 1),
            "global.section.f1_micro": 0.744 + 0.08 * rise,
            "global.class.f1_micro": 0.33 + 0.25 * rise,
            "fixed.reference.h_f1": 0.29 + 0.1 * rise,
            "reference.reference.h_f1": 0.31 + 0.09 * rise,
            "reference.reference.h_f1_ceiling": 0.5042 + 0 * epoch,
        }
    )


def all_figures(options=OPTIONS):
    return {
        "statistics": corpus_statistics.draw(*corpus(177_000, 124), options),
        "demo statistics": corpus_statistics.draw(*corpus(1_600, 40), options),
        "every class": corpus_statistics.draw(*corpus(50_000, 132), options),
        "diagram": workflow_diagram.draw(Config(), RUN, options),
        "full diagram": workflow_diagram.draw(EVERYTHING, workflow_diagram.Facts(), options),
        "curves": training_curves.draw(history(20), options),
        "demo curves": training_curves.draw(history(3), options),
        "one epoch": training_curves.draw(history(1), options),
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


@pytest.mark.parametrize("options", EXTREMES, ids=lambda options: f"{options.width}in-{options.font_size}pt")
def test_no_text_runs_into_another_or_off_the_page(options):
    for name, figure in all_figures(options).items():
        texts = shown_texts(figure, options)
        assert len(texts) > 10
        for (first, box), (second, other) in combinations(texts, 2):
            overlap = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(overlap) <= 1, f"{name}: {first!r} runs into {second!r}"
        for text, box in texts:
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
            assert inside, f"{name}: {text!r} leaves the page"


@pytest.mark.parametrize("options", EXTREMES, ids=lambda options: f"{options.width}in-{options.font_size}pt")
def test_texts_of_the_diagram_stay_inside_their_boxes(options):
    figure = workflow_diagram.draw(EVERYTHING, RUN, options)
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
    sections = {"A": 10, "B": 40, "C": 2, "D": 8}  # mean 15, one of four above
    classes = {"A01": 100, "B02": 60, "C03": 20, "D04": 20, "E05": 0}  # mean 50, two of four above; E05 not present
    figure = corpus_statistics.draw(sections, classes, np.array([10, 20, 20, 30, 70]), OPTIONS)
    by_section, by_class, by_words = figure.axes
    assert [bar.get_height() for bar in by_section.patches] == [40, 10, 8, 2]
    assert [label.get_text() for label in by_section.get_xticklabels()] == ["B", "A", "D", "C"]
    points, mean = by_class.lines
    assert points.get_ydata().tolist() == [100, 60, 20, 20]
    assert by_class.get_yscale() == "log"
    assert set(by_section.lines[0].get_ydata()) == {15}
    assert set(mean.get_ydata()) == {50}
    assert by_section.get_legend().get_texts()[0].get_text() == "mean 15\n25% above"
    assert by_class.get_legend().get_texts()[0].get_text() == "mean 50\n50% above"
    assert [text.get_text() for text in by_class.texts[1:]] == ["A01, B02, C03, …", "D04"]
    assert set(by_words.lines[0].get_xdata()) == {20}
    assert "median 20 words" in by_words.get_legend().get_texts()[0].get_text()


def test_the_histogram_holds_every_document_but_those_it_counts_as_longer():
    sections, classes, words = corpus(5_000, 30)
    axes = corpus_statistics.draw(sections, classes, words, OPTIONS).axes[2]
    step = int(axes.get_xlabel().split("bins of ")[1].rstrip(")"))
    outline = axes.patches[0].get_xy()
    tops = outline[1 : len(outline) // 2 : 2]  # left edge and height of each bin; the way back runs along the foot
    heights = dict(zip(tops[:, 0].tolist(), tops[:, 1].tolist(), strict=True))
    for left in range(0, int(axes.get_xlim()[1]), step):
        assert heights[left] == pytest.approx(((words >= left) & (words < left + step)).sum(), abs=0.5)
    assert "1 longer, up to 3,104" in axes.get_legend().get_texts()[0].get_text()


def test_a_tree_with_many_sections_is_drawn_too():
    sections = {f"S{n:02}": 100 - n for n in range(40)}
    figure = corpus_statistics.draw(sections, {"A01": 1}, np.array([12]), OPTIONS)
    assert figure.axes[0].lines[0].get_ydata().tolist() == list(range(100, 60, -1))


def test_an_empty_corpus_is_refused():
    with pytest.raises(UserError, match="no labelled document"):
        corpus_statistics.draw({"A": 0}, {"A01": 0}, np.array([]), OPTIONS)


def test_curves_show_the_history_and_the_selected_epoch():
    frame = history(20)
    loss, flat, hierarchical = training_curves.draw(frame.reverse(), OPTIONS).axes
    drawn = {(axes, line.get_label()): line for axes in (loss, flat, hierarchical) for line in axes.lines}
    for key, column in {
        (loss, "training"): "train_loss",
        (loss, "validation"): "val_loss",
        (flat, "section"): "global.section.f1_micro",
        (flat, "class"): "global.class.f1_micro",
        (hierarchical, "fixed"): "fixed.reference.h_f1",
        (hierarchical, "optimised"): "reference.reference.h_f1",
    }.items():
        assert list(drawn[key].get_xdata()) == list(range(1, 21))
        assert list(drawn[key].get_ydata()) == frame[column].to_list()
    assert set(drawn[hierarchical, "ceiling"].get_ydata()) == {0.5042}
    assert all(set(drawn[axes, "selected"].get_xdata()) == {19} for axes in (loss, flat, hierarchical))


@pytest.mark.parametrize(("epochs", "ticks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (20, [1, 5, 10, 15, 20])])
def test_epoch_ticks_are_whole_numbers(epochs, ticks):
    axes = training_curves.draw(history(epochs), OPTIONS).axes[0]
    assert axes.get_xticks().tolist() == ticks


def test_curves_refuse_a_history_without_a_measure_or_epoch():
    with pytest.raises(UserError, match=r"'fixed\.reference\.h_f1'"):
        training_curves.draw(history(3).drop("fixed.reference.h_f1"), OPTIONS)
    with pytest.raises(UserError, match="no epoch"):
        training_curves.draw(history(3).clear(), OPTIONS)


def diagram_text(config, facts=RUN):
    figure = workflow_diagram.draw(config, facts, OPTIONS)
    return " ".join(text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.axes[0].texts)


def test_the_diagram_says_what_was_run():
    text = diagram_text(Config())
    for said in (
        "PATSTAT Global", "177,000 documents, drawn at random", "train 70% (124,641)", "8 outputs", "132 outputs",
        "8 sections and 124 classes",
        "allenai/scibert_scivocab_uncased", "up to 512 tokens", "0.3 × BCE(section) + 0.7 × BCE(class)",
        "6 epochs, batch 32", "learning rate 3e-5, heads 3e-4", "one a level", "1,000 bootstrap samples",
    ):  # fmt: skip
        assert said in text
    text = diagram_text(EVERYTHING, workflow_diagram.Facts())
    for said in (
        "Synthetic delivery", "all documents", "kinds: A, W", "filed 1990 to 2020", "title and abstract",
        "labels: of its representative", "p > 0.1", "one a label", "precision: FP16", "bias: -2", "train 70% val",
    ):  # fmt: skip
        assert said in text
    assert "bootstrap" not in text
    assert "Fixed thresholds section 0.5" in diagram_text(load({"thresholds": {"method": "fixed"}}))


def test_a_font_that_is_not_installed_is_refused(tmp_path):
    odd = FigureOptions(font="No Such Font")
    with pytest.raises(UserError, match=r"figures\.font is 'No Such Font', which is not installed"):
        training_curves.draw(history(2), odd)
    with pytest.raises(UserError, match="not installed"):
        style.save(training_curves.draw(history(2), OPTIONS), tmp_path / "figure3", odd)
    assert not list(tmp_path.iterdir())


def test_files_are_the_same_bytes_in_another_process_with_another_hash_seed(tmp_path):
    script = tmp_path / "draw.py"
    script.write_text(
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_figures as t\n"
        "for name, figure in (('1', t.corpus_statistics.draw(*t.corpus(500, 40), t.OPTIONS)),\n"
        "                     ('2', t.workflow_diagram.draw(t.Config(), t.RUN, t.OPTIONS)),\n"
        "                     ('3', t.training_curves.draw(t.history(3), t.OPTIONS))):\n"
        "    t.style.save(figure, Path(sys.argv[2]) / name, t.OPTIONS)\n"
    )
    here = str(Path(__file__).parent)
    for seed in ("1", "2"):
        command = [sys.executable, str(script), here, str(tmp_path / seed)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert files == sorted(f"{n}.{kind}" for n in (1, 2, 3) for kind in ("pdf", "png", "svg"))
    for name in files:
        content = (tmp_path / "1" / name).read_bytes()
        assert content == (tmp_path / "2" / name).read_bytes(), name
        assert b"CreationDate" not in content and b"Matplotlib v" not in content and b"dc:date" not in content
    assert b"/FontFile2" in (tmp_path / "1" / "1.pdf").read_bytes()  # embedded as TrueType
