"""What Snakemake says when the config is wrong: one sentence of ours at the end, exit code 1, nothing made."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from projects import SHOWN_COMMAND, Project

pytestmark = pytest.mark.workflow
PATSTAT = "source={kind: patstat_bulk, path: nowhere}"
# What a shell, Snakemake, a glob or a parser of arguments would take for more than a name.
NASTY = "-a b'c\"d$HOME `id` [x] * ? % ~ {y z} {} ü& ;"
NO_ENCODER = "encoder.revision is not set: a hub id (owner/name) needs the full hash of a commit"


def refusal(project, *arguments: str) -> str:
    """The last line of a run that must end with a sentence of ours."""
    done = project.snakemake("--profile", "profiles/local", "--configfile", "mine.yaml", *arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("trainig={epochs: 3}", "ipcascade: config: unknown key 'trainig'; did you mean 'training'?"),
        (
            "training={epochs: -3}",
            "ipcascade: config: training.epochs is '-3': must be at least 1",
        ),
        ("training={select_by: nonsense}", "ipcascade: config: training.select_by: there is no measure 'nonsense'"),
        ("corpus={levels: [section, group]}", "ipcascade: corpus.levels: the label tree has no level 'group'"),
        ("corpus={label_tree: nowhere.tsv}", "ipcascade: nowhere.tsv: the label tree cannot be read"),
        ("source={kind: patstat_bulk}", "ipcascade: config: source.path is not set; give the folder of your PATSTAT"),
        (PATSTAT, "ipcascade: source.path 'nowhere' is not a folder"),
        ("encoder={name: owner/name, revision: null}", f"ipcascade: {NO_ENCODER}"),
        ("encoder={name: owner/name, revision: main}", "ipcascade: encoder.revision is main: a hub id"),
        ("encoder={name: ./nowhere}", "ipcascade: encoder.name: the folder ./nowhere does not exist"),
        (
            "prediction={inputs: {new: new.csv}}",
            "ipcascade: config: prediction.inputs.new: the file new.csv does not exist",
        ),
    ],
)
def test_a_wrong_config_is_one_sentence(fresh, config, sentence):
    assert sentence in refusal(fresh, "--config", config, "--", "all")
    assert not (fresh.folder / "results").exists() and not (fresh.folder / "logs").exists()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (PATSTAT, "ipcascade: source.path 'nowhere' is not a folder"),
        ("encoder={name: owner/name, revision: null}", f"ipcascade: {NO_ENCODER}"),
        ("corpus={label_tree: nowhere.tsv}", "ipcascade: nowhere.tsv: the label tree cannot be read"),
        ("corpus={label_tree: config}", "ipcascade: config: the label tree cannot be read"),
        ("source={kind: patstat_bulk, path: ~nobody-is-called-so/x}", "its ~ is not the home folder of a known user"),
        ("source={kind: patstat_bulk, path: 'a{b}'}", "Snakemake takes {b} in a path for a wildcard"),
        (
            "prediction={inputs: {new: absent.csv}}",
            "ipcascade: config: prediction.inputs.new: the file absent.csv does not exist",
        ),
    ],
)
def test_results_of_an_earlier_run_hide_nothing(finished, config, sentence):
    """Snakemake drops an error in the input of a rule whose outputs exist."""
    predictions = finished.folder / "results/predictions"
    predictions.mkdir(exist_ok=True)
    (predictions / "new.parquet").touch()
    try:
        assert sentence in refusal(finished, "--config", config, "--dry-run", "--", "all")
    finally:
        (predictions / "new.parquet").unlink()


def test_every_input_function_ends_the_run_with_its_error():
    """Snakemake drops one whose error it could catch, see above."""
    functions = []
    for path in Path(__file__).parents[2].glob("workflow/rules/*.smk"):
        functions += re.findall(r"^(.*)\ndef (\w+)\(wildcards\):", path.read_text(), flags=re.MULTILINE)
    assert {name for _, name in functions} >= {"files_of_source", "label_tree", "texts_to_label"}
    assert [name for line, name in functions if line != "@checks.ends_the_run"] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed: 1\ncorpus: {documents: 50}\nseed: 2", "mine.yaml, line 3: the key 'seed' is in line 1 already"),
        ("corpus: {offices: [NO]}", "mine.yaml, line 1: corpus.offices, item 1 is NO: must be text; YAML reads it as"),
        ("seed: 1\ntraining: {epochs: 0}", "mine.yaml, line 2: training.epochs is 0: must be at least 1"),
    ],
)
def test_config_files_are_read_strictly(fresh, text, sentence):
    """Snakemake reads them, too, and drops the first of two equal keys."""
    (fresh.folder / "mine.yaml").write_text(text)
    assert refusal(fresh, "--dry-run", "--", "all").startswith(f"ipcascade: {sentence}")


def test_paths_of_users_are_taken_literally(fresh):
    for ending, content in (
        ("tree.tsv", "code\tparent\tlevel\ttitle\nA\t\tsection\tFirst\n"),
        ("new.csv", "document_id,text\n1,a plough\n"),
    ):
        (fresh.folder / f"{NASTY}{ending}").write_text(content)
    delivery = fresh.folder / f"{NASTY}delivery"
    delivery.mkdir()
    for table in ("tls201", "tls203", "tls209"):
        (delivery / f"{table}_part01.csv").write_text("")
    fresh.configure(
        source={"kind": "patstat_bulk", "path": delivery.name},
        corpus={"label_tree": f"{NASTY}tree.tsv", "levels": ["section"]},
        prediction={"inputs": {"new": f"{NASTY}new.csv"}},
    )
    config = yaml.safe_load((fresh.folder / "mine.yaml").read_text())
    config["encoder"]["name"] = f"package:{NASTY}{{name}}"
    (fresh.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    shown = fresh.snakemake("--profile", "profiles/local", "--configfile", "mine.yaml", "--dry-run", "--", "all").stdout
    words = {word for command in SHOWN_COMMAND.findall(shown) for word in shlex.split(command)}
    expected = {f"--source={NASTY}delivery", f"--label-tree={NASTY}tree.tsv", f"--texts={NASTY}new.csv"}
    assert expected <= words, shown


def test_a_profile_works_from_another_folder(fresh, tmp_path_factory):
    elsewhere = Project(tmp_path_factory.mktemp("elsewhere"))
    arguments = ["--snakefile", str(fresh.folder / "Snakefile"), "--profile", str(fresh.folder / "profiles/demo")]
    shown = elsewhere.snakemake(*arguments, "--dry-run", "--printshellcmds").stdout
    assert "ipcascade demo_delivery --config results/run_config.yaml" in shown


def test_a_failing_command_gives_its_sentence_and_leaves_nothing(fresh):
    fresh.configure(corpus={"language": "xx"})
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--", "results/corpus/corpus.parquet"]
    done = fresh.snakemake(*arguments, check=False)
    assert done.returncode == 1
    assert "ipcascade corpus: " in done.stdout and "corpus.language" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list((fresh.folder / "results/corpus").glob("*"))


def test_a_second_run_with_another_config_is_refused(finished):
    """Commands of the first one read the config file when they start."""
    import fcntl

    with (finished.folder / ".snakemake/ipcascade-config.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        (finished.folder / "results/tables/table2.csv").touch()
        assert finished.run("all") == set()  # nothing to do, so nothing to refuse
        other = ["--config", "figures={font_size: 6.1}", "--", "results/figures/figure1.pdf"]
        assert refusal(finished, *other).startswith("ipcascade: another Snakemake runs in this folder with another")
    assert finished.planned("all", "baseline") == set()
