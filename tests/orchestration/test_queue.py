"""Jobs of an earlier run in Slurm's queue, listed by a script in place of squeue (tests/slurm has the real one)."""

import errno
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipcascade.core.errors import UserError
from ipcascade.orchestration.queue import MAX_SQUEUE_FAILURES, QueuedJob, hold_folder, jobs_of_folder, wait_for_jobs


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A squeue that prints, and uses up, the first of some answers, or fails where it is "exit"; the last one stays."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/squeue"
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")

    def answers(*texts: str) -> None:
        for number, text in enumerate(texts):
            (tmp_path / f"answer{number}").write_text(text)
        script.write_text(
            f'#!/bin/sh\ncd {tmp_path}\necho "$@" >> asked\nfor a in answer*; do break; done\nanswer=$(cat $a)\n'
            "[ $(ls answer* | wc -l) = 1 ] || rm $a\n"
            '[ "$answer" != exit ] || { echo socket timed out >&2; exit 1; }\n'
            '[ -z "$answer" ] || printf "%s\\n" "$answer"\n'
        )
        script.chmod(0o755)

    return answers


def line(number: int, state: str, comment: str, folder: Path) -> str:
    return f"{number}|{state}|{comment}|{folder}\n"


def test_only_snakemakes_jobs_of_the_folder_count(squeue, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    squeue(
        line(1, "RUNNING", "rule_train ", tmp_path)
        + line(2, "PENDING", "rule_score_wildcards_val", tmp_path / "link")
        + line(3, "RUNNING", "rule_train", tmp_path / "other")
        + line(4, "RUNNING", "(null)", tmp_path)
        + line(5, "PENDING", "group_a", tmp_path)
    )
    assert jobs_of_folder(tmp_path) == [
        QueuedJob("1", "RUNNING", "train"),
        QueuedJob("2", "PENDING", "score"),
        QueuedJob("5", "PENDING", "a"),
    ]
    assert "--me" in (tmp_path / "asked").read_text()


def test_waiting_ends_with_the_last_job_and_reports_each_change_once(squeue, tmp_path):
    two = line(7, "RUNNING", "rule_train", tmp_path) + line(8, "PENDING", "rule_corpus", tmp_path)
    one = line(7, "RUNNING", "rule_train", tmp_path)
    squeue(two, two, one, "")
    reported: list[str] = []
    assert wait_for_jobs(tmp_path, reported.append, seconds=0)
    assert reported == [
        "waiting for jobs of an earlier run in this folder: 7 (train, running), 8 (corpus, pending); "
        "to end them instead: scancel 7 8",
        "waiting for jobs of an earlier run in this folder: 7 (train, running); to end them instead: scancel 7",
    ]
    reported.clear()
    assert not wait_for_jobs(tmp_path, reported.append, seconds=0) and not reported


def test_without_slurm_there_are_no_jobs(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert jobs_of_folder(tmp_path) == []


def test_a_slurm_that_does_not_answer_is_one_sentence(monkeypatch, tmp_path):
    script = tmp_path / "squeue"
    script.write_text("#!/bin/sh\necho slurm_load_jobs error: Unable to contact slurm controller >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(UserError, match=r"squeue does not answer \(slurm_load_jobs error: Unable to contact"):
        jobs_of_folder(tmp_path)


def test_a_slurm_that_is_away_for_a_while_does_not_end_the_waiting(squeue, tmp_path):
    """The second and third answers are failures."""
    job = line(7, "RUNNING", "rule_train", tmp_path)
    squeue(job, "exit", "exit", job, "")
    reported: list[str] = []
    assert wait_for_jobs(tmp_path, reported.append, seconds=0)
    assert len(reported) == 3 and reported[1] == reported[2]
    assert re.fullmatch(r"squeue does not answer \(socket timed out\); .* Trying again", reported[1])


def test_a_slurm_that_stays_away_ends_it(squeue, tmp_path):
    squeue(line(7, "RUNNING", "rule_train", tmp_path), "exit")
    reported: list[str] = []
    with pytest.raises(UserError, match="socket timed out"):
        wait_for_jobs(tmp_path, reported.append, seconds=0)
    assert len(reported) == 1 + MAX_SQUEUE_FAILURES


HOLDER = """
import sys
from pathlib import Path
from ipcascade.orchestration.queue import hold_folder
hold_folder(Path(sys.argv[1]), print)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_held_by_one_process_until_it_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            UserError, match=rf"another Snakemake \(process {holder.pid} on .+\) submits jobs from this"
        ):
            hold_folder(tmp_path, print)
        holder.kill()
    hold_folder(tmp_path, print)


def test_a_file_system_without_locks_is_reported(monkeypatch, tmp_path):
    def refuses(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuses)
    reported: list[str] = []
    hold_folder(tmp_path, reported.append)
    assert "cannot be locked (Function not implemented)" in reported[0]
