"""The figure of a matrix: what it draws of which table, and that nothing runs into anything else."""

import numpy as np
import polars as pl
import pytest
from matplotlib.text import Text
from test_figures import CASES, OPTIONS, assert_apart_and_inside

from ipcascade.core.errors import UserError
from ipcascade.reporting import matrix_figure, style
from ipcascade.reporting.options import FigureOptions

TITLES = [
    "AGRICULTURE; FORESTRY; ANIMAL HUSBANDRY; HUNTING; TRAPPING; FISHING",
    "Baking",
    "A title with $\\frac$ in it",
]


def table(rows, technologies=30, by=("funder",), years=None):
    """A long table: row r has (r + 1) * (t + 1) of technology t; the weight of row r is r + 1."""
    found = []
    for row in range(rows):
        names = {name: f"{name} {row:03}" if name != "year" else str(years[row % len(years)]) for name in by}
        found += [
            {
                **names, "technology": f"{chr(65 + t // 10)}{t:02}", "title": TITLES[t % 3], "units": 10 * (row + 1),
                "weight": float(row + 1), "expected": float((row + 1) * (t + 1)), "whole": 1.0, "fractional": 0.5,
            }
            for t in range(technologies)
        ]  # fmt: skip
    return pl.DataFrame(found)


def heat(figure):
    return figure.axes[0].get_images()[0].get_array()


def test_shares_are_of_all_technologies_of_a_row():
    made = table(3, 4)
    figure = matrix_figure.draw(made, ["funder"], "expected", "class", OPTIONS)
    assert np.asarray(heat(figure)) == pytest.approx(np.tile([10, 20, 30, 40], (3, 1)))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "funder 000",
        "funder 001",
        "funder 002",
    ]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["A00", "A01", "A02", "A03"]


def test_the_heaviest_rows_and_largest_technologies_are_shown_in_the_order_of_the_table():
    made = table(40, 30).sample(fraction=1, shuffle=True, seed=1).sort("funder", "technology")
    figure = matrix_figure.draw(made, ["funder"], "expected", "class", OPTIONS)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [f"funder {row:03}" for row in range(16, 40)]
    assert figure.axes[0].get_xticklabels()[0].get_text() == "A06"
    assert heat(figure).shape == (24, 24)
    assert "24 of 40 rows" in " ".join(text.get_text() for text in figure.findobj(Text))


def test_counts_that_are_left_out_of_the_table_are_none():
    made = table(2, 3).filter(~((pl.col("funder") == "funder 001") & (pl.col("technology") == "A01")))
    figure = matrix_figure.draw(made, ["funder"], "expected", "class", OPTIONS)
    assert np.asarray(heat(figure)) == pytest.approx(np.array([[100 / 6, 200 / 6, 50], [25, 0, 75]]))
    bars = {bar.get_y() + bar.get_height() / 2: bar.get_width() for bar in figure.axes[1].patches}
    assert [bars[place] for place in range(3)] == pytest.approx([9, 3, 2]), "the largest first"


@pytest.mark.parametrize("measure", ["expected", "whole", "fractional"])
def test_the_measure_of_the_options_is_drawn(measure):
    figure = matrix_figure.draw(table(2, 3), ["funder"], measure, "class", OPTIONS)
    total = {"expected": 9.0, "whole": 2.0, "fractional": 1.0}[measure]
    assert figure.axes[1].patches[0].get_width() == pytest.approx(total)


def test_years_are_drawn_as_shares_of_each_year():
    made = table(6, 3, by=("funder", "year"), years=[2001, 2003, 2010])
    figure = matrix_figure.draw(made, ["funder", "year"], "expected", "class", OPTIONS)
    curves = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    assert list(curves["A02"].get_xdata()) == [2001, 2003, 2010]
    assert list(curves["A02"].get_ydata()) == pytest.approx([50, 50, 50])


@pytest.mark.parametrize("years", [[2001, 2002], [7, 8, 9], ["a", "b", "c"], [2001, 2002, "later"]])
def test_what_is_no_column_of_years_has_no_curves(years):
    made = table(6, 3, by=("funder", "year"), years=years)
    figure = matrix_figure.draw(made, ["funder", "year"], "expected", "class", OPTIONS)
    assert not [line for axes in figure.axes for line in axes.lines]


def test_missing_values_of_rows_are_dashes_and_no_year():
    made = table(6, 3, by=("funder", "year"), years=[2001, 2003, 2010]).with_columns(
        year=pl.when(pl.col("year") == "2010").then(None).otherwise("year")
    )
    figure = matrix_figure.draw(made, ["funder", "year"], "expected", "class", OPTIONS)
    assert figure.axes[0].get_yticklabels()[2].get_text() == "funder 002, –"
    assert not [line for axes in figure.axes for line in axes.lines], "two years are left"


def test_years_of_few_units_are_not_drawn():
    made = table(6, 3, by=("funder", "year"), years=[2001, 2002, 2003, 2004]).with_columns(
        units=pl.when(pl.col("year") == "2004").then(9).otherwise("units")
    )
    figure = matrix_figure.draw(made, ["funder", "year"], "expected", "class", OPTIONS)
    curves = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    assert list(curves["A02"].get_xdata()) == [2001, 2002, 2003]


def test_an_empty_matrix_is_refused():
    with pytest.raises(UserError, match="there is nothing to draw"):
        matrix_figure.draw(table(1, 1).clear(), ["funder"], "expected", "class", OPTIONS)


@pytest.mark.parametrize("rows", [1, 3, 60])
@pytest.mark.parametrize("options", list(dict.fromkeys(str(options) for _, options in CASES)), ids=str)
def test_no_text_overlaps_another_or_leaves_the_page(rows, options):
    options = next(known for _, known in CASES if str(known) == options)
    made = table(rows, 30, by=("funder", "year"), years=list(range(1990, 1990 + rows)))
    figure = matrix_figure.draw(made, ["funder", "year"], "expected", "class", options)
    assert_apart_and_inside("matrix", figure, options)


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        figure = matrix_figure.draw(table(5), ["funder"], "expected", "class", FigureOptions(resolution=72))
        style.save(figure, tmp_path / name, FigureOptions(resolution=72))
    for ending in ("pdf", "svg", "png"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
