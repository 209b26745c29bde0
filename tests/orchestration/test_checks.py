"""What is checked when the workflow starts (tests/workflow shows that it ends there)."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from snakemake.io import WILDCARD_REGEX
from snakemake.pathvars import PATHVAR_REGEX

from ipcascade import config as configs
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC
from ipcascade.orchestration import checks
from ipcascade.sources.demo.files import PROJECTS


def config(**sections) -> configs.Config:
    return configs.load(sections)


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
    assert checks.text_files_of(named, "new") == [str(table)]


def test_a_folder_of_texts_is_one_table_of_several_files(tmp_path):
    named = config(prediction={"inputs": {"new": os.fspath(tmp_path)}})
    for name in ("b.parquet", "a.parquet"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert checks.texts_of(named, "new") == str(tmp_path)
    assert checks.text_files_of(named, "new") == [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]


def test_every_text_of_the_delivery_is_a_table_that_the_workflow_makes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = config(prediction={"inputs": {"patstat": "corpus", "mine": "./corpus"}})
    assert checks.text_files_of(named, "patstat") == ["results/delivery_texts.parquet"]
    with pytest.raises(UserError, match="the file corpus does not exist"):
        checks.texts_of(named, "mine")


@pytest.mark.parametrize("lacking", [{"evidence": {"sources": ["network"]}}, {"prediction": {"neighbours": 0}}])
def test_a_similarity_that_there_will_not_be_is_refused_before_anything_runs(lacking):
    prediction = {"inputs": {"new": "corpus"}, "least_similarity": 0.2} | lacking.get("prediction", {})
    with pytest.raises(UserError, match="least_similarity needs similarities"):
        checks.texts_of(config(prediction=prediction, **{k: v for k, v in lacking.items() if k != "prediction"}), "new")


def test_industries_are_a_file_of_the_delivery(tmp_path):
    matrices = {"m": {"input": "new", "concordance": "nace"}}
    inputs = {"inputs": {"new": "corpus"}}
    (tmp_path / "tls902_ipc_nace2_part01.zip").touch()
    named = config(prediction=inputs, matrices=matrices, source={"path": os.fspath(tmp_path)})
    assert checks.concordance_of(named, "m") == [str(tmp_path / "tls902_ipc_nace2_part01.zip")]
    with pytest.raises(UserError, match=r"'nace' is read from a PATSTAT delivery, which source\.path must give"):
        checks.concordance_of(config(prediction=inputs, matrices=matrices), "m")


def test_demo_projects_are_made_by_the_workflow_of_the_demo_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = {"inputs": {"projects": PROJECTS}}
    assert checks.texts_of(config(prediction=inputs, source={"kind": "demo"}), "projects") == PROJECTS
    with pytest.raises(UserError, match="does not exist"):
        checks.texts_of(config(prediction=inputs), "projects")


def test_matrices_are_named():
    options = {"inputs": {"new": "new.csv"}}
    with pytest.raises(UserError, match=r"matrices has no 'old' \(there is: m\)"):
        checks.matrix_of(config(prediction=options, matrices={"m": {"input": "new"}}), "old")


# Names of files as users have them, with all that Snakemake may take for a wildcard or a variable.
PATHS = st.text(alphabet="ab1_. ,{}<>\\/*[]?", min_size=1, max_size=12)


@given(PATHS)
@settings(max_examples=300, deadline=None)
@example("a/{b}").via("a wildcard")
@example("{ b , [^/]+ }").via("a wildcard with a constraint")
@example("{b,a{3,5}}").via("a constraint with braces")
@example("<results>/x").via("a variable of Snakemake's paths")
def test_paths_that_snakemake_would_change_are_refused_and_no_others(path):
    changed = bool(WILDCARD_REGEX.search(path) or PATHVAR_REGEX.search(path))
    try:
        assert checks.without_wildcards("it", path) == path
        assert not changed
    except UserError as error:
        assert changed and str(error).startswith(f"it is {path!r}, and Snakemake takes ")


def test_config_files_are_in_the_order_in_which_they_win_without_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    paths = [tmp_path / name for name in ("pipe", "mine.yaml", "defaults.yaml")]
    paths[1].write_text("seed: 1")
    paths[2].write_text("seed: 2")
    assert [file.content for file in checks.config_files(paths, paths[:2])] == [{"seed": 2}, {"seed": 1}]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("it is so"), "it is so"),
        (PermissionError(13, "Permission denied", "there/RowCount.txt"), "there/RowCount.txt: Permission denied"),
        (OSError("odd"), r"files: OSError\('odd'\)"),
        (KeyError("x"), "the inputs of a rule cannot be listed, which is an error of ipcascade: files: KeyError"),
        (RecursionError(), "the inputs of a rule cannot be listed, .*: RecursionError"),
    ],
)
def test_every_error_of_an_input_function_ends_the_run(error, sentence):
    @checks.ends_the_run
    def files(wildcards):
        raise error

    with pytest.raises(SystemExit, match=f"ipcascade: {sentence}"):
        files(None)


def test_input_functions_take_what_snakemake_gives_by_name():
    @checks.ends_the_run
    def function(wildcards, input):
        return f"{wildcards} {input}"

    assert function("a", input="b") == "a b"
