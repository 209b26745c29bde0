"""What is checked when the workflow starts (tests/workflow shows that it ends there)."""

import os
from pathlib import Path

import pytest

from ipcascade import config as settings
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC
from ipcascade.orchestration import checks


def config(**sections) -> settings.Config:
    return settings.load(sections)


def test_the_shipped_label_tree_is_named_relative_to_the_folder_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = checks.label_tree_of(config())
    assert not found.is_absolute() and found.resolve() == IPC.resolve()


def test_a_label_tree_of_ones_own_is_read_from_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tree.tsv").write_text("code\tparent\tlevel\ttitle\nA\t\tsection\tFirst\n")
    corpus = {"label_tree": "~/tree.tsv", "levels": ["section"]}
    assert checks.label_tree_of(config(corpus=corpus)) == tmp_path / "tree.tsv"
    with pytest.raises(UserError, match="no level 'class'"):
        checks.label_tree_of(config(corpus={**corpus, "levels": ["section", "class"]}))


@pytest.mark.parametrize(
    ("encoder", "problem"),
    [
        ({"name": "owner/name", "revision": "0" * 40}, None),
        ({"name": "package:some/model", "revision": None}, None),
        ({"name": "here", "revision": None}, None),
        ({"name": "~/here", "revision": None}, None),
        ({"name": "owner/name", "revision": None}, "needs the full hash"),
        ({"name": "owner/name", "revision": "v1"}, "needs the full hash"),
        ({"name": "nowhere", "revision": None}, "does not exist"),
        ({"name": "/no/where", "revision": None}, "does not exist"),
    ],
)
def test_the_encoder_is_local_or_pinned(tmp_path, monkeypatch, encoder, problem):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("here").mkdir()
    if problem is None:
        checks.check_encoder(config(encoder=encoder))
    else:
        with pytest.raises(UserError, match=problem):
            checks.check_encoder(config(encoder=encoder))


def test_texts_to_label_are_named_and_there(tmp_path):
    table = tmp_path / "new.csv"
    named = config(prediction={"inputs": {"new": os.fspath(table)}})
    with pytest.raises(UserError, match=r"has no table 'old' \(there is: new\)"):
        checks.texts_of(named, "old")
    with pytest.raises(UserError, match=r"prediction.inputs.new: the file .*new.csv does not exist"):
        checks.texts_of(named, "new")
    table.touch()
    assert checks.texts_of(named, "new") == str(table)


@pytest.mark.parametrize(
    ("error", "sentence"), [(UserError("it is so"), "it is so"), (KeyError("x"), "files: KeyError")]
)
def test_every_error_of_an_input_function_ends_the_run(error, sentence):
    @checks.ends_the_run
    def files(wildcards):
        raise error

    with pytest.raises(SystemExit, match=f"ipcascade: {sentence}"):
        files(None)
