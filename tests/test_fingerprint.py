"""A step's fingerprint follows its imports, and code, not wording."""

import shutil

import pytest

from ipcascade import fingerprint
from ipcascade.cli import STEPS


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may edit."""
    copy = tmp_path / "ipcascade"
    shutil.copytree(fingerprint.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", copy)
    yield copy
    for cached in (fingerprint._tree, fingerprint._imports, fingerprint._normalised_source):
        cached.cache_clear()


def prints() -> dict[str, str]:
    for cached in (fingerprint._tree, fingerprint._imports, fingerprint._normalised_source):
        cached.cache_clear()
    return {step: fingerprint.step_fingerprint(step) for step in STEPS}


def changed(package, path, edit) -> set[str]:
    before = prints()
    file = package / path
    old = file.read_text()
    file.write_text(edit(old))
    assert file.read_text() != old
    after = prints()
    return {step for step in STEPS if before[step] != after[step]}


def test_editing_a_figure_changes_that_figure_only(package):
    assert changed(package, "figures/training_curves.py", lambda text: text + "\nEXTRA = 1\n") == {"figure3"}


def test_editing_the_loop_changes_training_only(package):
    assert changed(package, "training.py", lambda text: text + "\nEXTRA = 1\n") == {"train"}


def test_editing_the_label_tree_reaches_all_that_use_it(package):
    steps = changed(package, "taxonomy.py", lambda text: text + "\nEXTRA = 1\n")
    assert {"corpus", "splits", "train", "score", "thresholds", "metrics", "predict"} <= steps
    assert not steps & {"encoder", "tokens", "run_config"}


def test_comments_docstrings_and_layout_change_nothing(package):
    def reword(text):
        return text.replace('"""The training loop:', '"""A training loop:\n\n', 1) + "\n\n\n# a comment\n"

    assert changed(package, "training.py", reword) == set()


def test_messages_of_options_change_nothing(package):
    assert changed(package, "config.py", lambda text: text + "\nEXTRA = 1\n") == set()


def test_imports_are_followed():
    modules = fingerprint.modules_of("ipcascade.steps.train")
    assert {"ipcascade.training", "ipcascade.batching", "ipcascade.metrics", "ipcascade.thresholds"} <= modules
    assert "ipcascade.corpus" not in modules
    assert "ipcascade.config" not in modules
