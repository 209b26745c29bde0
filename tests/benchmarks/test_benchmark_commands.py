"""How the benchmarks start processes: with a config that the package reads, and never past a failure."""

import signal
import sys

import pytest

from benchmarks import commands
from ipcascade import config as settings


def test_a_written_config_is_one_that_the_package_reads(tmp_path):
    path = commands.write_config(tmp_path / "new/config.yaml", {"seed": 7, "tokens": {"max_length": 64}})
    assert path == tmp_path / "new/config.yaml"
    assert settings.read(path) == settings.load({"seed": 7, "tokens": {"max_length": 64}})


def test_arguments_of_a_command_become_words(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(commands, "run_process", lambda command, environment: started.append(command))
    commands.run_command("train", tmp_path / "config.yaml", validation_scores=tmp_path / "scores", threads=2)
    assert started == [
        [sys.executable, "-m", "ipcascade", "train", "--config", str(tmp_path / "config.yaml"),
         "--validation-scores", str(tmp_path / "scores"), "--threads", "2"]
    ]  # fmt: skip


def test_a_command_that_fails_ends_the_benchmark_with_its_output():
    script = "import sys; print('some output'); sys.exit('what went wrong')"
    with pytest.raises(SystemExit, match=r"(?s)-c .*some output.*what went wrong"):
        commands.run_process([sys.executable, "-c", script], {})


def test_a_killed_process_is_reported_by_its_code():
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert commands.run_process([sys.executable, "-c", script], {}) == -signal.SIGKILL
