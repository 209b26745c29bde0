"""What Snakemake says when the config is wrong: one sentence of ours at the end, exit code 1, nothing made."""

import pytest

pytestmark = pytest.mark.workflow
PATSTAT = "source={kind: patstat_bulk, path: nowhere}"
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
            "ipcascade: config: training.epochs is '-3': input should be greater than or equal to 1",
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
