"""The command line: one sentence for an error, everything in the log file, and the process left as it was."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ipcascade import __version__
from ipcascade.cli import command_names, main
from ipcascade.core.files import read_json, write_json, write_parquet
from ipcascade.core.logs import logging_to
from support import PATIENCE, REPOSITORY, config_file, corpus_frame, write_corpus

COMMANDS = REPOSITORY / "workflow/ipcascade/commands"
MODULES = sorted(path.stem for path in COMMANDS.glob("*.py") if not path.stem.startswith("_"))


@pytest.fixture
def corpus(tmp_path, tree) -> Path:
    write_corpus(tmp_path / "corpus.parquet", corpus_frame(60), tree)
    return tmp_path / "corpus.parquet"


def splits_arguments(corpus: Path) -> list[str]:
    folder = corpus.parent
    return [
        "splits", "--corpus", str(corpus), "--splits", str(folder / "splits.parquet"),
        "--audit", str(folder / "audit.json"),
    ]  # fmt: skip


def test_every_module_of_the_folder_is_a_command():
    assert sorted(command_names()) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_every_command_explains_itself(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in (" ".join(command_names()[name].split()), "--config CONFIG", "--threads THREADS", "--log LOG"):
        assert part in shown


def test_help_lists_every_command_with_what_it_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, what in command_names().items():
        assert what.endswith("."), name
        assert f"{name} {' '.join(what.split())}" in shown


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"ipcascade {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["splits"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: ipcascade" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["0", "-1", "two"])
def test_threads_are_a_whole_number(threads, corpus, capsys):
    with pytest.raises(SystemExit) as end:
        main([*splits_arguments(corpus), "--threads", threads])
    assert end.value.code == 2
    assert f"argument --threads: '{threads}' is not a whole number of at least 1" in capsys.readouterr().err


def process_state():
    log = logging.getLogger("ipcascade")
    child = logging.getLogger("ipcascade.commands.splits")
    return (
        dict(os.environ), signal.getsignal(signal.SIGTERM), log.level, log.propagate, log.handlers[:],
        child.isEnabledFor(logging.DEBUG), log.isEnabledFor(logging.DEBUG),
    )  # fmt: skip


def test_the_process_is_left_as_it_was(corpus, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    before = process_state()
    assert main([*splits_arguments(corpus), "--threads", "1", "--log", str(corpus.parent / "one.log")]) == 0
    assert process_state() == before
    corpus.unlink()
    assert main([*splits_arguments(corpus), "--threads", "1", "--log", str(corpus.parent / "two.log")]) == 1
    assert process_state() == before
    with pytest.raises(SystemExit):
        main(["splits", "--nonsense"])
    assert process_state() == before


def test_an_error_is_one_sentence_and_its_cause_is_in_the_log_file(tmp_path, capsys):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/test.json").write_text("{")
    log = tmp_path / "logs/summary.log"
    assert main(["summary", "--results", str(tmp_path), "--log", str(log)]) == 1
    out, err = capsys.readouterr()
    sentence = f"ipcascade summary: {tmp_path}/metrics/test.json is not valid JSON: "
    assert err.startswith(sentence) and len(err.splitlines()) == 1
    assert not out
    written = log.read_text()
    assert sentence in written
    assert "caused by JSONDecodeError: Expecting property name" in written
    assert "Traceback" not in written, "the profiles show the log file of a failed rule"


def test_what_the_operating_system_refuses_is_one_sentence(corpus, capsys):
    arguments = splits_arguments(corpus)
    (corpus.parent / "file").write_text("x")
    arguments[4] = str(corpus.parent / "file/splits.parquet")
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert len([line for line in err.splitlines() if line.startswith("ipcascade splits: ")]) == 1
    assert "Traceback" not in err and "Not a directory" in err


def test_ranks_and_the_process_that_launched_them_write_to_one_log_file(tmp_path, monkeypatch):
    """Neither overwrites lines of the other; what an earlier run left is gone."""
    path = tmp_path / "train.log"
    path.write_text("of an earlier run, and longer than all that follows\n" * 5)
    with logging_to(path):
        log = logging.getLogger("ipcascade")
        log.info("first of the parent")
        with monkeypatch.context() as rank:
            rank.setenv("RANK", "0")
            with logging_to(path):
                log.info("first of the rank, in a sentence of some length")
        log.info("second of the parent")
    words = [line.split(" ", maxsplit=2)[2] for line in path.read_text().splitlines()]
    assert words == ["first of the parent", "first of the rank, in a sentence of some length", "second of the parent"]


def test_a_log_file_that_cannot_be_written_is_one_sentence(corpus, capsys):
    (corpus.parent / "file").write_text("x")
    assert main([*splits_arguments(corpus), "--log", str(corpus.parent / "file/splits.log")]) == 1
    assert capsys.readouterr().err == f"ipcascade splits: {corpus.parent}/file: File exists\n"
    assert not (corpus.parent / "splits.parquet").exists()


def test_a_full_disk_for_the_log_file_stops_no_command(corpus, capsys):
    """Said once; results are written all the same, and an error of the command stays one sentence."""
    said = "the log file /dev/full could not be written: No space left on device\n"
    assert main([*splits_arguments(corpus), "--log", "/dev/full"]) == 0
    err = capsys.readouterr().err
    assert err.count(said) == 1 and "Traceback" not in err and "Logging error" not in err
    assert (corpus.parent / "splits.parquet").exists()
    corpus.unlink()
    assert main([*splits_arguments(corpus), "--log", "/dev/full"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sorted(lines) == sorted([f"ipcascade splits: {corpus} does not exist", said.rstrip()])


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_disk_for_what_is_printed_is_no_traceback(stream, tmp_path):
    write_json(tmp_path / "metrics/test.json", METRICS)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ipcascade", "summary", "--results", str(tmp_path)], text=True, check=False,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full},
        )  # fmt: skip
    if stream == "stdout":
        assert done.returncode == 1
        assert done.stderr == "ipcascade summary: the standard output could not be written: No space left on device\n"
    else:
        assert done.returncode == 0 and "Field" in done.stdout


def test_the_log_file_has_what_the_screen_has(corpus, capsys):
    log = corpus.parent / "splits.log"
    assert main([*splits_arguments(corpus), "--log", str(log)]) == 0
    assert "documents: train 42, val 6, test 12" in capsys.readouterr().err
    assert "documents: train 42, val 6, test 12" in log.read_text()
    assert main([*splits_arguments(corpus), "--log", str(log)]) == 0
    assert log.read_text().count("documents: ") == 1, "the log of a command is that of its last run"


def test_config_is_read_from_a_file(corpus):
    facts = []
    for options in ({"seed": 1}, {"seed": 2}, {"splits": {"train": 0.5, "val": 0.25, "test": 0.25}}):
        config = config_file(corpus.parent, **options)
        assert main([*splits_arguments(corpus), "--config", str(config)]) == 0
        splits = pl.read_parquet(corpus.parent / "splits.parquet")
        facts.append(splits["split"].to_list())
        provenance = read_json(corpus.parent / "splits.provenance.json")
        assert provenance["options"]["seed"] == options.get("seed", 42)
    assert facts[0] != facts[1]
    assert facts[2].count("train") == 30


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("splits: {trian: 0.5}", "mine.yaml, line 1: unknown key 'splits.trian'; did you mean 'splits.train'?"),
        ("\nseed: -1", "mine.yaml, line 2: seed is -1: must be at least 0"),
        ("\nseed: [", "mine.yaml, line 2: not valid YAML: while parsing a flow node"),
        ("- 1", "mine.yaml: the file holds no keys"),
        (None, "mine.yaml cannot be read (No such file or directory)"),
    ],
)
def test_a_wrong_config_is_one_sentence(corpus, capsys, text, sentence):
    path = corpus.parent / "mine.yaml"
    if text is not None:
        path.write_text(text)
    assert main([*splits_arguments(corpus), "--config", str(path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ipcascade splits: ") and sentence in err and len(err.splitlines()) == 1
    assert not (corpus.parent / "splits.parquet").exists()


def test_an_empty_config_is_all_defaults(corpus):
    (corpus.parent / "empty.yaml").write_text("# nothing\n")
    assert main([*splits_arguments(corpus), "--config", str(corpus.parent / "empty.yaml")]) == 0


def test_schema_writes_both_files(tmp_path):
    schema, defaults = tmp_path / "schema.json", tmp_path / "config.yaml"
    assert main(["schema", "--schema", str(schema), "--defaults", str(defaults)]) == 0
    assert schema.read_text() == (REPOSITORY / "workflow/schemas/config.schema.json").read_text(), "run `make schema`"
    assert defaults.read_text() == (REPOSITORY / "config/config.yaml").read_text(), "run `make schema`"


METRICS = {
    "split": "test",
    "documents": 1234,
    "thresholds": "global",
    "levels": ["field", "subclass"],
    "measures": {
        "field": {"f1_micro": 0.75, "f1_macro": 0.5, "precision_micro": 0.8125, "recall_micro": 0.625},
        "subclass": {"f1_micro": 0.25, "f1_macro": 0.125, "precision_micro": 0.5, "recall_micro": 0.0625},
        "documents": 1234,
        "hierarchical": {"f1_micro": 0.375},
        "reference": {"h_f1": 0.6875, "h_f1_ceiling": 0.875},
    },
    "decoding": {"method": "mask", "confidence": None},
    "confidence_intervals": {},
    "confidence": 0.95,
    "bootstrap_samples": 0,
    "per_label": [],
}


def test_summary_has_one_line_per_level(tmp_path, capsys):
    write_json(tmp_path / "metrics/test.json", METRICS)
    assert main(["summary", "--results", str(tmp_path)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "On 1,234 test documents, thresholds 'global' fitted on validation:" in lines
    assert lines[lines.index("F1 micro F1 macro precision recall") + 1 :][:2] == [
        "Field 0.7500 0.5000 0.8125 0.6250", "Subclass 0.2500 0.1250 0.5000 0.0625",
    ]  # fmt: skip
    assert "hierarchical F1 (micro) 0.3750" in lines
    assert "reference H-F1 0.6875 of a ceiling of 0.8750" in lines
    assert f"metrics {tmp_path}/metrics/test.json" in lines and "model not made" in lines


def test_summary_of_one_level_has_no_measure_of_two(tmp_path, capsys):
    measures = {key: METRICS["measures"][key] for key in ("documents", "field", "hierarchical")}
    write_json(tmp_path / "metrics/test.json", {**METRICS, "levels": ["field"], "measures": measures})
    assert main(["summary", "--results", str(tmp_path)]) == 0
    assert "H-F1" not in capsys.readouterr().out


def run_command(arguments, folder, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "ipcascade", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, **more,
    )  # fmt: skip


def test_a_reader_that_stops_causes_no_traceback(tmp_path):
    write_json(tmp_path / "metrics/test.json", METRICS)
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = run_command(["summary", "--results", str(tmp_path)], tmp_path, env=unbuffered)
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.wait()


def test_sigterm_leaves_no_half_written_file(corpus):
    """A command that waits for its config, from a pipe that nobody writes to, is ended."""
    pipe = corpus.parent / "pipe.yaml"
    os.mkfifo(pipe)
    process = run_command([*splits_arguments(corpus), "--config", str(pipe)], corpus.parent)
    writer = os.open(pipe, os.O_WRONLY)  # returns when the command has opened it to read
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
    os.close(writer)
    process.stdout.close(), process.stderr.close()
    assert sorted(path.name for path in corpus.parent.iterdir()) == ["corpus.parquet", "pipe.yaml"]


def test_files_do_not_hold_their_provenance(corpus):
    write_parquet(corpus.parent / "other.parquet", pl.DataFrame({"a": [1]}))
    assert main(splits_arguments(corpus)) == 0
    splits, audit = corpus.parent / "splits.parquet", corpus.parent / "audit.json"
    before = splits.read_bytes(), audit.read_bytes()
    assert main([*splits_arguments(corpus), "--threads", "1"]) == 0
    assert (splits.read_bytes(), audit.read_bytes()) == before
    assert set(json.loads(audit.read_text())) & {"provenance", "ipcascade", "options"} == set()
    for name in ("splits", "audit"):
        facts = read_json(corpus.parent / f"{name}.provenance.json")
        assert facts["ipcascade"] == __version__ and set(facts["inputs"]) == {"corpus"}
