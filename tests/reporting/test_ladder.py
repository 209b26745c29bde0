"""The table and the figure of compared runs: what they show, by hand; the command of the figure on damaged files."""

import copy
import csv
import io
import json

import pytest
from comparisons import comparison_of
from matplotlib.colors import to_hex

from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.files import SCHEMA_VERSION
from ipcascade.reporting import ladder
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.tables import comparison_measures, comparison_parts, comparison_table, write_tables

OPTIONS = FigureOptions()
WITHOUT_COSTS = {"seconds": None, "memory_mib": None, "gpu_memory_mib": None}


def test_measures_are_those_of_the_levels_then_of_the_lowest():
    assert comparison_measures(["section", "class", "main_group"]) == {
        "section.f1_micro": "Section F1 micro",
        "class.f1_micro": "Class F1 micro",
        "main_group.f1_micro": "Main group F1 micro",
        "main_group.f1_macro_supported": "Main group F1 macro",
        "hierarchical.f1_micro": "Hierarchical F1 micro",
        "main_group.average_precision_micro": "Main group average precision micro",
    }
    assert list(comparison_measures(["section"])) == [
        "section.f1_micro", "section.f1_macro_supported", "hierarchical.f1_micro", "section.average_precision_micro",
    ]  # fmt: skip


def test_the_table_has_a_row_per_run_and_the_numbers_of_the_comparison():
    comparison = comparison_of(4)
    table = comparison_table(comparison)
    assert table["run"].to_list() == [row["name"] for row in comparison["rows"]]
    rows = table.to_dicts()
    for name in comparison_measures(["section", "class"]):
        for row, of_run in zip(rows, comparison["rows"], strict=True):
            assert row[name] == of_run["measures"][name]
            assert row[f"{name}_difference"] == of_run["differences"].get(name)
            assert row[f"{name}_deviation"] == of_run["deviations"].get(name)
            if "average_precision" not in name:
                assert [row[f"{name}_low"], row[f"{name}_high"]] == of_run["confidence_intervals"][name]
                bounds = of_run["difference_intervals"].get(name, [None, None])
                assert [row[f"{name}_difference_low"], row[f"{name}_difference_high"]] == bounds
    assert not [name for name in table.columns if "average_precision" in name and name.endswith("_low")]
    assert table["seconds"].to_list() == [1234.75, None, 3704.25, 4939.0]


def test_people_see_measures_differences_and_costs_below_each_other(tmp_path):
    comparison = comparison_of(3)
    row = comparison["rows"][2]
    row["measures"]["class.f1_micro"], row["deviations"]["class.f1_micro"] = 0.72341, 0.00456
    row["confidence_intervals"]["class.f1_micro"] = [0.71, 0.73]
    row["differences"]["class.f1_micro"] = -0.01234
    row["difference_intervals"]["class.f1_micro"] = [-0.02, 0.005]
    table = comparison_table(comparison)
    write_tables(table, tmp_path / "ladder", comparison_parts(table, ["Measures.", "Differences.", "Costs."]))
    measures, differences, costs = (
        part.splitlines() for part in (tmp_path / "ladder.md").read_text().split("\n\n") if part.startswith("|")
    )
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in measures]
    assert cells[0] == ["Run", *comparison_measures(["section", "class"]).values()]
    assert (cells[4][0], cells[4][2]) == ("run-2-", "0.7234 ± 0.0046 [0.7100, 0.7300]")
    assert cells[2][2] == "0.7000 [0.6880, 0.7110]" and cells[2][5] == "0.6500"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in differences]
    assert cells[0] == ["Run", *comparison_measures(["section", "class"]).values()]
    assert cells[2][1:] == ["–"] * 5
    assert cells[3][2] == "+0.0100 [-0.0050, +0.0240]" and cells[4][2] == "-0.0123 [-0.0200, +0.0050]"
    assert costs == [
        "| Run | Seconds | Memory (MiB) | GPU memory (MiB) |", "| :--- | ---: | ---: | ---: |",
        "| run-0- | 1,235 | 2,048 | – |", f"| {comparison['rows'][1]['name']} | – | – | – |",
        "| run-2- | 3,704 | 2,048 | 14,000 |",
    ]  # fmt: skip
    header, *rows = csv.reader(io.StringIO((tmp_path / "ladder.csv").read_text()))
    assert len(rows) == 3 and {len(row) for row in rows} == {len(header)}
    latex = (tmp_path / "ladder.tex").read_text()
    assert [line for line in latex.splitlines() if "label" in line] == [
        r"  \label{tab:ladder}", r"  \label{tab:ladder-2}", r"  \label{tab:ladder-3}",
    ]  # fmt: skip
    assert r"0.7234 \textpm{} 0.0046" in latex


def test_parts_without_values_are_left_out():
    comparison = comparison_of(1, replicated=-1, intervals=False)
    comparison["rows"][0] |= WITHOUT_COSTS
    table = comparison_table(comparison)
    assert table.columns == ["run", *comparison_measures(["section", "class"])]
    assert [caption for caption, _ in comparison_parts(table, ["Measures.", "Differences.", "Costs."])] == ["Measures."]


def test_runs_stay_rows_where_there_are_more_of_them_than_columns(tmp_path):
    table = comparison_table(comparison_of(9, levels=5))
    write_tables(table, tmp_path / "ladder", comparison_parts(table, ["Measures.", "Differences.", "Costs."])[:1])
    assert (tmp_path / "ladder.md").read_text().splitlines()[2].startswith("| Run | Section F1 micro |")


def markers(axes):
    """(x, y, marker, face) of each point that is no replicate, from the top."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0], line.get_marker(), to_hex(line.get_markerfacecolor()))
        for line in axes.lines
        if line.get_marker() in ("o", "D") and len(line.get_xdata()) == 1
    ]


def test_the_figure_has_a_panel_per_measure_and_a_point_per_run():
    comparison = comparison_of(4)
    figure = ladder.draw(comparison, OPTIONS)
    names = list(comparison_measures(["section", "class"]))
    assert [axes.get_xlabel().replace("\n", " ") for axes in figure.axes] == list(
        comparison_measures(["section", "class"]).values()
    )
    for axes, name in zip(figure.axes, names, strict=True):
        points = markers(axes)
        assert [(x, y) for x, y, _, _ in points] == [
            (row["measures"][name], place) for place, row in enumerate(comparison["rows"])
        ]
        top, bottom = axes.get_ylim()[::-1]
        assert top < 0 and bottom > 3, "the first run is at the top"
        intervals = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "None"]
        expected = [row["confidence_intervals"].get(name) for row in comparison["rows"]]
        assert [interval for interval in intervals if interval in expected] == [part for part in expected if part]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["run-0-", "run-1-with-a-long-n…", "run-2-", "run-3-with-a-long-n…"]
    named = [any(label.get_text() for label in axes.get_yticklabels()) for axes in figure.axes]
    assert named == [True, False, False, True, False], "runs are named once per row of panels"


def test_markers_say_where_0_is_in_the_interval_of_the_difference():
    """Of 0.01, 0.02 and 0.03, each from 0.015 below to 0.014 above, only the first has 0 within."""
    section, *_, ranked = ladder.draw(comparison_of(4), OPTIONS).axes
    blue = OPTIONS.colours.levels[0]
    assert [(marker, face) for _, _, marker, face in markers(section)] == [
        ("D", blue), ("o", "#ffffff"), ("o", blue), ("o", blue),
    ]  # fmt: skip
    assert {marker for _, _, marker, _ in markers(ranked)} == {"D"}


def test_replicates_are_points_on_a_bar_of_their_deviation():
    comparison = comparison_of(4)
    row = comparison["rows"][2]
    axes = ladder.draw(comparison, OPTIONS).axes[0]
    (points,) = (line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(points.get_xdata()) == [values["section.f1_micro"] for values in row["replicates"].values()]
    assert 2 < points.get_ydata()[0] < 3
    (bar,) = (line for line in axes.lines if line.get_linewidth() == 3)
    mean, deviation = row["measures"]["section.f1_micro"], row["deviations"]["section.f1_micro"]
    assert list(bar.get_xdata()) == [mean - deviation, mean + deviation]


def legend_of(comparison):
    return [text.get_text() for text in ladder.draw(comparison, OPTIONS).legends[0].get_texts()]


def test_the_legend_has_what_the_figure_has():
    assert legend_of(comparison_of(4)) == [
        "interval of the difference to run-0- without 0", "interval of the difference to run-0- with 0",
        "no interval of a difference", "95% confidence interval", "replicates, mean ± standard deviation",
    ]  # fmt: skip
    assert legend_of(comparison_of(2, replicated=-1, intervals=False)) == ["no interval of a difference"]


def columns_beside(axes):
    """What stands right of a panel: columns of texts, from the top."""
    beside = [text for text in axes.texts if text.xy[0] == 1]
    offsets = sorted({text.xyann[0] for text in beside})
    return [
        [text.get_text() for text in sorted(beside, key=lambda text: text.xy[1]) if text.xyann[0] == offset]
        for offset in offsets
    ]


def test_what_runs_take_stands_beside_the_last_panel_of_each_row():
    """20.6 minutes and three and four times that; nothing of the second run."""
    panels = ladder.draw(comparison_of(4), OPTIONS).axes
    expected = [["time", "21 min", "–", "1.0 h", "1.4 h"], ["memory", "2.0 GiB", "–", "2.0 GiB", "2.0 GiB"]]
    assert [columns_beside(axes) for axes in panels] == [[], [], expected, [], expected]
    comparison = comparison_of(2)
    for row in comparison["rows"]:
        row |= WITHOUT_COSTS
    assert [columns_beside(axes) for axes in ladder.draw(comparison, OPTIONS).axes] == [[]] * 5


def test_a_comparison_without_a_measure_to_draw_is_refused():
    comparison = comparison_of(1)
    comparison["rows"][0]["measures"] = {"class.recall_micro": 0.5}
    with pytest.raises(UserError, match="no measure to draw"):
        ladder.draw(comparison, OPTIONS)


def figure6(folder, comparison):
    path = folder / "comparison.json"
    path.write_text(json.dumps({**comparison, "schema_version": SCHEMA_VERSION}))
    return main(["figure6", "--comparison", str(path), "--stem", str(folder / "figure6")])


def test_the_command_draws_the_figure_of_a_file(tmp_path):
    assert figure6(tmp_path, comparison_of(4)) == 0
    assert {path.suffix for path in tmp_path.glob("figure6.*")} == {".pdf", ".png", ".svg", ".json"}


def change(comparison, *place, value):
    changed = copy.deepcopy(comparison)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("reference",), "x", "the reference 'x' is none of its rows"),
        (("rows",), [], "as 'rows'"),
        (("rows", 1, "measures", "class.f1_micro"), 1.5, "has 1.5 as 'rows.1.measures.class.f1_micro'"),
        (("rows", 1, "measures"), {"class.f1_micro": 0.5}, "do not agree on the measure"),
        (("rows", 2, "replicates", "seed-0"), {}, "do not agree on the measure"),
        (("rows", 1, "difference_intervals", "class.f1_micro"), [0.1], "rows.1.difference_intervals.class.f1_micro"),
        (("rows", 1, "seconds"), -1.0, "has -1.0 as 'rows.1.seconds'"),
        (("extra",), 1, "has the unknown key 'extra'"),
    ],
)
def test_a_changed_comparison_is_one_sentence(place, value, words, tmp_path, capsys):
    assert figure6(tmp_path, change(comparison_of(3), *place, value=value)) == 1
    error = capsys.readouterr().err
    assert words in error and "comparison.json" in error and len(error.splitlines()) == 1
    assert not list(tmp_path.glob("figure6*"))
