"""What runs again after a change, proved on the graph: what depends on it, and nothing else."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from projects import Project, rules_in

pytestmark = pytest.mark.workflow
DOWNSTREAM_OF_TRAINING = {"train", "score", "thresholds", "metrics", "table2", "figure3"}


@contextmanager
def edited(path, edit):
    """A file with other contents, put back afterwards with its old time."""
    before, times = path.read_text(), path.stat()
    after = edit(before)
    assert after != before
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def configured(project, **sections):
    project.configure(**sections)
    try:
        yield
    finally:
        project.configure()


def real(rules):
    """Without target rules, and without run_config, which notes every change of the config."""
    return rules - {"all", "tables", "figures", "baseline", "predictions", "run_config"}


def test_a_deleted_file_is_all_that_is_made_again(finished):
    target = finished.folder / "results/metrics/test.json"
    shutil.move(target, finished.folder / "aside.json")
    try:
        assert real(finished.planned("results/metrics/test.json")) == {"metrics"}
        assert finished.run("results/metrics/test.json") == {"metrics"}
        assert target.read_bytes() == (finished.folder / "aside.json").read_bytes()
    finally:
        shutil.move(finished.folder / "aside.json", target)
    assert finished.planned("all") == set(), "the same bytes re-run nothing downstream"


def test_a_figure_option_makes_figures_only(finished):
    with configured(finished, figures={"font_size": 6.5}):
        assert real(finished.planned("all")) == {"figure1", "figure2", "figure3"}


def test_a_figure_module_makes_that_figure_only(finished):
    module = finished.folder / "workflow/ipcascade/figures/training_curves.py"
    with edited(module, lambda text: text + "\nEXTRA = 1\n"):
        assert real(finished.planned("all")) == {"figure3"}
    module = finished.folder / "workflow/ipcascade/figures/style.py"
    with edited(module, lambda text: text + "\nEXTRA = 1\n"):
        assert real(finished.planned("all")) == {"figure1", "figure2", "figure3"}


def test_a_training_option_retrains_but_extracts_nothing(finished):
    with configured(finished, training={"epochs": 3}):
        planned = real(finished.planned("all"))
    assert planned == DOWNSTREAM_OF_TRAINING | {"figure2"}


def test_a_threshold_method_scores_nothing_again(finished):
    with configured(finished, thresholds={"method": "per_label"}):
        assert real(finished.planned("all")) == {"thresholds", "metrics", "table2", "figure2"}


def test_the_training_loop_retrains_and_the_wording_of_it_does_not(finished):
    module = finished.folder / "workflow/ipcascade/training.py"
    with edited(module, lambda text: text + "\nEXTRA = 1\n"):
        assert real(finished.planned("all")) == DOWNSTREAM_OF_TRAINING
    with edited(module, lambda text: text + "\n# A comment.\n"):
        assert finished.planned("all") == set()


def test_an_edited_label_tree_runs_what_reads_it(finished):
    tree = finished.folder / "workflow/ipcascade/data/ipc_scheme.tsv"
    with edited(tree, lambda text: text.replace("HUMAN NECESSITIES", "NECESSITIES OF HUMANS")):
        assert {"corpus", "splits", "train", "metrics"} <= finished.planned("all")


def test_touched_files_run_nothing(finished):
    """As a git checkout or a copy to another disk would: every file of workflow and results is new, none is other."""
    for top in ("workflow", "config", "profiles", "envs", "results", "encoder"):
        for path in (finished.folder / top).rglob("*"):
            if path.is_file():
                path.touch()
    assert finished.planned("all", "baseline") == set()


def test_a_changed_corpus_runs_all_after_it(finished):
    with configured(finished, corpus={"minimum_words": 20}):
        planned = real(finished.planned("all"))
    assert planned >= DOWNSTREAM_OF_TRAINING | {"corpus", "splits", "tokens", "figure1", "table1"}
    assert "encoder" not in planned and "demo_delivery" not in planned


def test_a_figure_is_made_anew_from_results_that_were_copied_home(finished, tmp_path):
    """Without delivery and without Snakemake's records, as the guide to Stanage says."""
    home = Project(Path(shutil.copytree(finished.folder, tmp_path / "home")))
    for name in (".snakemake", "results/delivery"):
        shutil.rmtree(home.folder / name)
    target = "results/figures/figure1.pdf"
    before = (home.folder / target).read_bytes()
    home.configure(figures={"font_size": 6})
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--allowed-rules", "figure1", "--force"]
    assert rules_in(home.snakemake(*arguments, "--", target).stdout) == {"figure1"}
    assert (home.folder / target).read_bytes() != before


def test_a_retraining_that_failed_is_still_to_be_done(finished):
    """Its failure must not be on record as a success with the new options, with the old metrics there."""
    target = "results/metrics/test.json"
    finished.configure(training={"select_by": "no such measure"})
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--", target]
    done = finished.snakemake(*arguments, check=False)
    assert done.returncode == 1 and "no such measure" in done.stdout
    assert not (finished.folder / "results/model/model.safetensors").exists()
    assert finished.planned(target) >= {"train", "score", "metrics"}
    # Back to the options of before: the model that is missing is made from its checkpoint.
    finished.configure()
    assert "train" in finished.run("all")
    assert "resuming at step" in (finished.folder / "logs/train.log").read_text()
