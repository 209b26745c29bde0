"""Numbers as LaTeX macros: names that LaTeX takes, each number under the name of its place."""

import re

import pytest
from comparisons import comparison_of

from ipcascade.reporting import paper

METRICS = {
    "split": "test", "documents": 1234, "levels": ["section", "main_group"], "confidence": 0.95,
    "bootstrap_samples": 1000, "confidence_intervals": {"main_group.f1_micro": [0.1, 0.34567]},
    "measures": {
        "documents": 1234,
        "section": {"f1_micro": 0.5, "precision_at_5": 0.25},
        "main_group": {"f1_micro": 0.33333, "labels_predicted": 12345, "calibration_error": None},
        "hierarchical": {"f1_micro": 1.0},
    },
}  # fmt: skip
LINE = re.compile(r"\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}")


def read(text):
    """The macros of a file, which holds nothing but these and comments."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    return dict(LINE.fullmatch(line).groups() for line in lines)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("test", "class.f1_micro"), "testClassFOneMicro"),
        (("run", "seed-10", "hierarchical.f1_micro"), "runSeedOneZeroHierarchicalFOneMicro"),
        (("setting", "encoder", "sha256"), "settingEncoderShaTwoFiveSix"),
        (("data", "train", "first_year"), "dataTrainFirstYear"),
        (("x", "été"), "xT"),  # letters that LaTeX does not take in names
    ],
)
def test_names_have_letters_only(parts, name):
    assert paper.macro_name(*parts) == name


def test_measures_are_under_their_names():
    assert read(paper.macros_file(paper.measure_macros(METRICS), "x")) == {
        "testDocuments": "1{,}234", "testConfidence": r"95\%", "testBootstrapSamples": "1{,}000",
        "testSectionFOneMicro": "0.5000", "testSectionPrecisionAtFive": "0.2500",
        "testMainGroupFOneMicro": "0.3333", "testMainGroupFOneMicroLow": "0.1000",
        "testMainGroupFOneMicroHigh": "0.3457", "testMainGroupLabelsPredicted": "12{,}345",
        "testMainGroupCalibrationError": "--", "testHierarchicalFOneMicro": "1.0000",
    }  # fmt: skip


def test_runs_have_their_differences_with_signs():
    comparison = comparison_of(runs=3)
    macros = read(paper.macros_file(paper.run_macros(comparison), "x"))
    last = comparison["rows"][-1]
    name = paper.macro_name("run", last["name"], "class.f1_micro")
    low, _ = last["difference_intervals"]["class.f1_micro"]
    assert macros[name] == f"{last['measures']['class.f1_micro']:.4f}"
    assert macros[f"{name}Difference"] == "+0.0200" and macros[f"{name}DifferenceLow"] == f"{low:+.4f}"
    assert macros[f"{name}Deviation"] == f"{last['deviations']['class.f1_micro']:.4f}"


def test_a_name_of_two_numbers_is_left_out_and_named():
    text = paper.macros_file([("runAB", "1"), ("runC", "2"), ("runAB", "3")], "x")
    assert read(text) == {"runC": "2"} and "% left out, since several numbers have this name: runAB" in text


def test_settings_are_numbers_and_names_that_latex_prints():
    training = {"epochs": 4000, "rate": 2e-5, "share": 0.12345678, "compile": True, "x": None, "name": "a_b & c"}
    settings = {"seed": 20240101, "corpus": {"first_year": 1980}, "training": training}
    assert dict(paper.setting_macros(settings)) == {
        "settingSeed": "20240101", "settingCorpusFirstYear": "1980", "settingTrainingEpochs": "4{,}000",
        "settingTrainingRate": "2e-05", "settingTrainingShare": "0.12345678", "settingTrainingName": r"a\_b \& c",
    }  # fmt: skip


def test_captions_have_quotation_marks_and_no_bare_signs():
    text = paper.captions_file({"figure1": '"above" is 5% of a_b'})
    assert read(text) == {"captionFigureOne": r"``above'' is 5\% of a\_b"}
