"""The config file that commands read: of this run, whole, and never changed under another run."""

import fcntl
import multiprocessing
import os

import pytest

from ipcascade import config as settings
from ipcascade.core.errors import UserError
from ipcascade.orchestration import config_file


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A config file to be, in the folder in which the process works."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results/run_config.yaml"


def config(seed: int) -> settings.Config:
    return settings.load({"seed": seed})


def test_it_is_written_once(path):
    config_file.write(config(1), path)
    assert settings.read(path) == config(1)
    os.utime(path, (5, 5))
    config_file.write(config(1), path)
    assert path.stat().st_mtime == 5
    config_file.write(config(2), path)
    assert settings.read(path) == config(2)
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", ["seed: [", "no_such_key: 1", "[]"])
def test_a_file_that_is_not_a_config_is_replaced(path, content):
    path.parent.mkdir()
    path.write_text(content)
    config_file.hold({path: config(1)}, print)
    assert settings.read(path) == config(1)


def held_elsewhere(seed, path, holds, ends) -> None:
    config_file.hold({path: config(seed)}, print)
    holds.set()
    ends.wait()


def test_another_run_may_use_it_and_not_change_it(path):
    process_context = multiprocessing.get_context("fork")
    holds, ends = process_context.Event(), process_context.Event()
    other = process_context.Process(target=held_elsewhere, args=(1, path, holds, ends))
    other.start()
    try:
        assert holds.wait(20)
        config_file.hold({path: config(1)}, print)
        with pytest.raises(UserError, match="another Snakemake runs in this folder with another config"):
            config_file.hold({path: config(2)}, print)
        assert settings.read(path) == config(1)
    finally:
        ends.set()
        other.join()


@pytest.mark.parametrize("has_locks", [True, False])
def test_a_folder_that_cannot_be_written_is_one_sentence(path, monkeypatch, has_locks):
    """And not a matter of locks."""
    path.parent.write_text("a file in the folder's place")
    if not has_locks:
        monkeypatch.setattr(fcntl, "flock", refuses)
    reported: list[str] = []
    with pytest.raises(UserError, match=r"results/run_config\.yaml could not be written: "):
        config_file.hold({path: config(1)}, reported.append)
    assert bool(reported) != has_locks


def refuses(*_):
    raise OSError(38, "Function not implemented")


def test_a_file_system_without_locks_is_reported(path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refuses)
    reported: list[str] = []
    config_file.hold({path: config(1)}, reported.append)
    assert settings.read(path) == config(1)
    assert "cannot be locked (Function not implemented)" in reported[0]
