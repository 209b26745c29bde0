"""What Snakemake says when the config is wrong: one sentence of ours at the end, exit code 1, nothing made."""

import pytest

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("trainig={epochs: 3}", "ipcascade: config: unknown key 'trainig'; did you mean 'training'?"),
        (
            "training={epochs: -3}",
            "ipcascade: config: training.epochs is '-3': input should be greater than or equal to 1",
        ),
        ("source={kind: patstat_bulk}", "ipcascade: config: source.path is not set; give the folder of your PATSTAT"),
        ("source={kind: patstat_bulk, path: nowhere}", "ipcascade: source.path 'nowhere' is no folder"),
    ],
)
def test_a_wrong_config_is_one_sentence(fresh, config, sentence):
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--config", config, "--", "all"]
    done = fresh.snakemake(*arguments, check=False)
    assert done.returncode == 1
    assert sentence in done.stdout.splitlines()[-1] or sentence in done.stdout.splitlines()[-2]
    assert "Traceback" not in done.stdout
    assert not (fresh.folder / "results").exists()


def test_a_failing_step_says_its_sentence_and_leaves_nothing(fresh):
    fresh.configure(corpus={"language": "xx"})
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--", "results/corpus/corpus.parquet"]
    done = fresh.snakemake(*arguments, check=False)
    assert done.returncode == 1
    assert "ipcascade corpus: " in done.stdout and "corpus.language" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list((fresh.folder / "results/corpus").glob("*"))
