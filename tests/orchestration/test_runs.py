"""Runs: what each shares with another, which are replicates, and configs of runs that are refused."""

import pytest

from ipcascade import config as settings
from ipcascade.core.errors import UserError
from ipcascade.core.yaml_files import read_yaml
from ipcascade.orchestration.runs import Runs


def runs_of(**sections) -> Runs:
    return Runs(settings.load(sections), settings.load_runs(sections))


RUNS = {
    "seed1": {"training": {"seed": 1}},
    "seed1_strict": {"training": {"seed": 1}, "thresholds": {"method": "per_label"}},
    "measured": {"evaluation": {"bootstrap": 10}},
    "words": {"evidence": {"linear": {"ngrams": 1}}},
    "int8": {"scoring": {"precision": "int8"}},
}


@pytest.mark.parametrize(
    ("run", "homes"),
    [
        ("", {"train": "", "score": "", "fit_linear": "", "combine": "", "thresholds": ""}),
        ("/runs/seed1", {"train": "/runs/seed1", "score": "/runs/seed1", "index_neighbours": "/runs/seed1",
                         "fit_linear": "", "combine": "/runs/seed1", "thresholds": "/runs/seed1"}),
        ("/runs/seed1_strict", {"train": "/runs/seed1", "combine": "/runs/seed1", "thresholds": "/runs/seed1_strict"}),
        ("/runs/measured", {"train": "", "combine": "", "thresholds": ""}),
        ("/runs/words", {"train": "", "score": "", "fit_linear": "/runs/words", "combine": "/runs/words"}),
        ("/runs/int8", {"train": "", "score": "/runs/int8", "index_neighbours": "/runs/int8", "fit_linear": "",
                        "combine": "/runs/int8"}),
        ("/runs/baseline", dict.fromkeys(("fit_linear", "combine", "thresholds"), "/runs/baseline")),
    ],
)  # fmt: skip
def test_what_does_not_differ_is_made_once(run, homes):
    runs = runs_of(runs=RUNS)
    assert {stage: runs.home(stage, run) for stage in homes} == homes


@pytest.mark.parametrize(
    ("run", "jobs"),
    [
        ("", {"tokens": "", "train": "", "score_val": "", "score_test": "", "score_train": "", "index_neighbours": "",
              "fit_linear": "", "combine": "", "thresholds": ""}),
        ("/runs/seed1_strict", {"tokens": "", "train": "/runs/seed1", "score_val": "/runs/seed1",
                                "score_test": "/runs/seed1", "score_train": "/runs/seed1",
                                "index_neighbours": "/runs/seed1", "fit_linear": "", "combine": "/runs/seed1",
                                "thresholds": "/runs/seed1_strict"}),
        ("/runs/baseline", dict.fromkeys(("fit_linear", "combine", "thresholds"), "/runs/baseline")),
        ("/runs/alone", {"tokens": "", "train": "", "score_val": "", "score_test": "", "combine": "/runs/alone",
                         "thresholds": "/runs/alone"}),
    ],
)  # fmt: skip
def test_a_run_comes_from_its_own_jobs_and_from_those_of_others(run, jobs):
    runs = runs_of(runs=RUNS | {"alone": {"evidence": {"sources": ["network"]}}})
    assert runs.jobs(run) == jobs


def test_a_run_without_the_network_shares_whatever_the_training_is():
    evidence = {"sources": ["linear"], "calibration": "level", "linear": {"title_examples": False}}
    runs = runs_of(runs={"alone": {"training": {"epochs": 9}, "evidence": evidence}})
    assert runs.home("thresholds", "/runs/alone") == "/runs/baseline"
    assert runs.home("train", "/runs/alone") == "/runs/alone"


def test_the_baseline_is_calibrated_whatever_the_main_run_is():
    runs = runs_of(evidence={"sources": ["network"], "calibration": "none"})
    assert runs.config("/runs/baseline").evidence.calibration == "level"


def test_overrides_are_key_by_key():
    """A run of a run's keys on top of the main ones, also in mappings by level."""
    sections = {"training": {"epochs": 3, "loss_weights": {"section": 1.0, "class": 0.5}}}
    runs = runs_of(**sections, runs={"one": {"training": {"loss_weights": {"class": 2.0}, "seed": 4}}})
    training = runs.config("/runs/one").training
    assert (training.epochs, training.seed) == (3, 4)
    assert training.loss_weights == {"section": 1.0, "class": 2.0}
    assert runs.config("").training.seed is None


def test_replicates_are_runs_that_differ_in_the_seed_alone():
    more = {
        **RUNS,
        "seed2": {"training": {"seed": 2}},
        "seed2_strict": {**RUNS["seed1_strict"], "training": {"seed": 2}},
    }
    runs = runs_of(runs=more)
    assert runs.replicates() == {
        "main_seeds": ["main", "seed1", "seed2"],
        "seed1_strict_seeds": ["seed1_strict", "seed2_strict"],
    }
    assert runs.reference() == "main_seeds"
    assert runs_of(runs=more, comparison={"reference": "words"}).reference() == "words"
    assert runs_of(runs=RUNS | {"seed1": {"training": {"epochs": 2, "seed": 1}}}).replicates() == {}
    assert list(runs.named())[:2] == ["main", "baseline"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("runs: {a: {training: {epochs: x}}}", r"line 1: training.epochs is 'x': must be a whole number .*in runs\.a"),
        ("runs:\n  a:\n    training:\n      epoch: 3", r"line 4: unknown key 'training.epoch'; did you mean .*runs\.a"),
        ("runs: {a: {corpus: {documents: 3}}}", r"runs\.a\.corpus: a run can differ in decoding, evaluation, evidence"),
        ("runs: {a: {runs: {}}}", r"runs\.a\.runs: a run can differ in"),
        ("runs: {a: 3}", "runs.a is 3: must be a section with keys of its own"),
        ("runs: {a b: {}}", "a name of letters, digits, - and _"),
        ("runs: {main: {}}", "'main' is the name of the run without a name"),
        ("runs: {a: {thresholds: {fixed: {clas: 0.1}}}}", r"'clas' is not a level.*in runs\.a"),
        ("runs: {a: {evidence: {calibration: none}}}", r"calibration: none is for sources: \[network\].*in runs\.a"),
        ("comparison: {reference: b}\nruns: {a: {}}", "there is no run 'b'; there are main, baseline, a"),
    ],
)
def test_wrong_runs_are_one_sentence(tmp_path, text, sentence):
    (tmp_path / "mine.yaml").write_text(text)
    file = read_yaml(tmp_path / "mine.yaml")
    with pytest.raises(UserError, match=sentence):
        settings.load(file.content, [file])
        settings.load_runs(file.content, [file])


def test_an_unknown_run_is_one_sentence():
    with pytest.raises(UserError, match=r"runs has no run 'b' \(there is: baseline, a\)"):
        runs_of(runs={"a": {}}).home("train", "/runs/b")
