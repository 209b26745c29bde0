"""The funnel as a table and a figure: every row accounted for, and what is drawn."""

import polars as pl
import pytest
from matplotlib.colors import to_hex

from ipcascade.cli import main
from ipcascade.core.files import write_json
from ipcascade.reporting import funnel, style
from ipcascade.reporting.options import FigureOptions


def funnel_of(last=200, **symbols):
    steps = [
        ("tls201_appln", None, 0, 2000, "applications"), ("filing office", "corpus.offices", 500, 1500, "applications"),
        ("abstract", None, 0, 1500, "applications"), ("one application per family", None, 300, 1200, "documents"),
        ("sample", "corpus.documents", 1200 - last, last, "documents"),
    ]  # fmt: skip
    facts = {
        "read": 4000, "of_other_applications": 1000, "dropped_by_ipc_value": 0, "dropped_by_weight": 2,
        "dropped_outside_label_tree": 1,
        "kept": 2997, "renamed": 0, "most_frequent_dropped_codes": [], "distinct_dropped_codes": 1,
    }  # fmt: skip
    return {
        "steps": [dict(zip(("step", "key", "removed", "left", "unit"), step, strict=True)) for step in steps],
        "symbols": facts | symbols, "groups": {}, "labels": {}, "notes": [], "tables": {},
    }  # fmt: skip


def test_every_row_is_accounted_for():
    table = funnel.funnel_table(funnel_of())
    assert table.select("step", "removed", "left", "unit").rows()[5:] == [
        ("symbols", 0, 4000, "symbols"), ("of applications that were kept", 1000, 3000, "symbols"),
        ("in the label tree", 1, 2999, "symbols"), ("weight of the label", 2, 2997, "symbols"),
    ]  # fmt: skip
    assert table["left"][-1] == funnel_of()["symbols"]["kept"]
    for unit in (["applications", "documents"], ["symbols"]):
        part = table.filter(pl.col("unit").is_in(unit))
        assert (part["left"].shift(1)[1:] == (part["left"] + part["removed"])[1:]).all()
    assert table["removed_share"].to_list() == pytest.approx(
        [None, 0.25, 0, 0.2, 1000 / 1200, None, 0.25, 1 / 3000, 2 / 2999], nan_ok=True
    )
    assert table["key"].to_list()[1:5] == ["corpus.offices", None, None, "corpus.documents"]


def test_bars_are_what_is_left_and_light_what_was_removed():
    (axes,) = funnel.draw(funnel_of(), FigureOptions()).axes
    bars = [(bar.get_width(), to_hex(bar.get_facecolor())) for bar in axes.patches]
    blue, green = FigureOptions().colours.levels[0], FigureOptions().colours.accent
    assert bars[2:4] == [(2000, to_hex(style.tint(blue, 0.25))), (1500, blue)]
    assert bars[8:10] == [(1200, to_hex(style.tint(green, 0.25))), (200, green)]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["tls201_appln", "Filing office"]
    texts = [text.get_text() for text in axes.texts]
    assert texts[:4] == ["2,000", "", "1,500", "−25.0%"] and texts[-2:] == ["2,997", "−0.1%"]
    assert axes.get_xscale() == "linear" and "log" not in axes.get_xlabel()


def test_little_of_much_is_on_a_log_scale():
    (axes,) = funnel.draw(funnel_of(last=3), FigureOptions()).axes
    assert axes.get_xscale() == "log" and "log scale" in axes.get_xlabel() and axes.get_xlim()[0] < 3


@pytest.mark.parametrize("options", [FigureOptions(), FigureOptions(width=6.5, font_size=8)])
def test_no_text_runs_into_another(options):
    facts = funnel_of()
    facts["steps"][1]["step"] = "a step with a name that is much longer than any other"
    for step in facts["steps"]:
        step["left"] += 375_000_000
    figure = funnel.draw(facts, options)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    texts = [*axes.get_yticklabels(), *axes.texts]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    assert not [1 for n, one in enumerate(boxes) for other in boxes[:n] if one.overlaps(other)]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_commands_write_table_and_figure(tmp_path):
    write_json(tmp_path / "funnel.json", funnel_of())
    for command in ("table3", "figure7"):
        words = ["--funnel", str(tmp_path / "funnel.json"), "--stem", str(tmp_path / command)]
        assert main([command, *words]) == 0
    assert {path.name for path in tmp_path.glob("figure7.*")} >= {"figure7.pdf", "figure7.png", "figure7.svg"}
    assert pl.read_csv(tmp_path / "table3.csv")["key"].to_list()[1] == "corpus.offices"
    assert "| filing office | 500 | 0.2500 | 1,500 | applications |" in (tmp_path / "table3.md").read_text(
        encoding="utf-8"
    )


def test_a_funnel_of_another_content_is_one_sentence(tmp_path, capsys):
    write_json(tmp_path / "funnel.json", funnel_of() | {"symbols": {"read": 1}})
    assert main(["table3", "--funnel", str(tmp_path / "funnel.json"), "--stem", str(tmp_path / "o")]) == 1
    assert "symbols" in capsys.readouterr().err and not list(tmp_path.glob("o*"))
