"""Slurm's queue and a folder that jobs are submitted from: one Snakemake at a time, and no job twice.

Snakemake's Slurm executor keeps no account of its jobs beyond its own life: started again after it was killed, it
submits them once more. So the workflow asks the queue first, and lets them end.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import UserError

LOCK = ".snakemake/ipcascade.lock"
# How often in a row squeue may fail while jobs are waited for; a controller that restarts is away for minutes.
LONGEST_SILENCE = 40


@dataclass(frozen=True)
class QueuedJob:
    """A job that is queued or running: its id, Slurm's word for its state, and the rule that it runs."""

    id: str
    state: str
    rule: str


def hold_folder(folder: Path, say: Callable[[str], None]) -> None:
    """Keep every other process from holding `folder`, until this one ends, however it does.

    say: told where the file system knows no locks, as Lustre does when it is mounted without.
    Raises UserError with the holder's host and process id where there is one.
    """
    path = folder / LOCK
    path.parent.mkdir(exist_ok=True)
    # Never closed, and closed by the kernel with the process: there is no stale lock of this kind.
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"another Snakemake ({path.read_text().strip()}) submits jobs from this folder; wait for it, or end it "
            "there with Ctrl-C"
        ) from None
    except OSError as error:
        say(f"{path} cannot be locked ({error.strerror}): see to it that no other Snakemake submits from this folder")
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())


def jobs_of_folder(folder: Path) -> list[QueuedJob]:
    """This user's unfinished jobs that Snakemake submitted from `folder`; none where there is no Slurm.

    Raises UserError where Slurm does not answer.
    """
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--me", "--noheader", "--format=%i|%T|%k|%Z"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    except subprocess.CalledProcessError as error:
        raise UserError(f"squeue does not answer ({error.stderr.strip()}); is Slurm up on this login node?") from None
    except subprocess.TimeoutExpired as error:
        raise UserError(f"squeue does not answer within {error.timeout:.0f} seconds; is Slurm up?") from None
    jobs = []
    for line in listed.splitlines():
        number, state, comment, work_folder = line.split("|", 3)
        # The executor names the rule in the comment, which is all that tells its jobs from a user's own.
        if comment.startswith(("rule_", "group_")) and os.path.realpath(work_folder) == os.path.realpath(folder):
            rule = comment.strip().partition("_")[2].partition("_wildcards_")[0]
            jobs.append(QueuedJob(number, state, rule))
    return jobs


def wait_for_jobs(folder: Path, say: Callable[[str], None], seconds: float = 15) -> bool:
    """Until no job of an earlier run from `folder` is left; whether there was any. Looks every `seconds`.

    say: told once what is waited for, and whenever that changes.
    Raises UserError where Slurm does not answer at first, or not for long.
    """
    said: list[QueuedJob] | None = None
    failures = 0
    while True:
        try:
            jobs = jobs_of_folder(folder)
            failures = 0
        except UserError as error:
            failures += 1
            if said is None or failures > LONGEST_SILENCE:
                raise
            say(f"{error} Trying again")
            time.sleep(seconds)
            continue
        if not jobs:
            return said is not None
        if jobs != said:
            told = ", ".join(f"{job.id} ({job.rule}, {job.state.lower()})" for job in jobs)
            ids = " ".join(job.id for job in jobs)
            say(f"waiting for jobs of an earlier run in this folder: {told}; to end them instead: scancel {ids}")
            said = jobs
        time.sleep(seconds)
