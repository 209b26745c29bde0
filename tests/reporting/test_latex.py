"""What is written for LaTeX, set by LaTeX: every macro and table, and every character as it was."""

import string

import polars as pl
from comparisons import comparison_of

from ipcascade.reporting import paper
from ipcascade.reporting.captions import MATRIX, caption
from ipcascade.reporting.tables import comparison_parts, comparison_table, escape_latex, write_table, write_tables
from latex import needs_latex, typeset

pytestmark = needs_latex


def test_every_character_is_printed_as_it_is(tmp_path):
    words = [f"x{sign}{sign}{sign}y" for sign in string.punctuation] + ["a?`b", "c!`d", "e,,f", "g<<h>>i", "--sha-256"]
    text = typeset("\n\n".join(escape_latex(word) for word in words), tmp_path)
    assert text.replace("’", "'").split() == words  # an apostrophe is what it is


def test_numbers_are_cited_by_their_macros(tmp_path):
    macros = [
        *paper.run_macros(comparison_of(runs=2)),
        *paper.setting_macros({"training": {"batch": 1024, "name": "hub:a_b/c--d", "rate": 2e-5}}),
    ]
    (tmp_path / "numbers.tex").write_text(paper.macros_file(macros, "50% of x_y, \\input"), encoding="utf-8")
    used = "\n\n".join(f"\\{name}{{}}" for name, _ in macros)
    text = typeset(f"\\input{{numbers}}\n{used}\n\nA \\settingTrainingBatch{{}} B", tmp_path)
    assert text.split()[-6:] == ["1,024", "hub:a_b/c--d", "2e-05", "A", "1,024", "B"]
    assert len(text.split()) == len(macros) + 3


def test_captions_are_set(tmp_path):
    captions = {name: caption(name) for name in ("figure1", "figure2", "figure6", MATRIX)}
    (tmp_path / "captions.tex").write_text(paper.captions_file(captions), encoding="utf-8")
    text = typeset("\\input{captions}\n\\captionFigureOne\n\n\\captionFigureSix", tmp_path)
    first, last = (caption(name).split() for name in ("figure1", "figure6"))
    assert text.split()[:2] == first[:2] and text.split()[-1] == last[-1]


def test_tables_are_set_and_referred_to(tmp_path):
    write_table(pl.DataFrame({"name_of": ["a|b & 5%"], "x": [1234]}), tmp_path / "odd", "100% of {A_1} [x]")
    table = comparison_table(comparison_of(runs=9))
    write_tables(table, tmp_path / "ladder", comparison_parts(table, ["Measures", "Differences", "Costs"]))
    text = typeset(r"\input{odd}\input{ladder}see \ref{tab:odd}, \ref{tab:ladder-3}", tmp_path)
    words = " ".join(text.split())
    assert "Table 1: 100% of {A_1} [x]" in words and "a|b & 5% 1,234" in words and "see 1, 4" in words
    for row in comparison_of(runs=9)["rows"]:
        assert f"{row['measures']['section.f1_micro']:.4f}" in words
