"""Slurm's queue and the folder that jobs are submitted from: one Snakemake at a time, and no job twice.

Snakemake's Slurm executor forgets its jobs when it ends: started again after it was killed, it submits them once more.
So the workflow asks the queue first, and waits until they have ended.
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

from ipcascade.core.errors import UserError

LOCK = ".snakemake/ipcascade.lock"
# How often in a row squeue may fail while jobs are waited for; a controller that restarts is away for minutes.
MAX_SQUEUE_FAILURES = 40
SECONDS_BETWEEN_LOOKS = 15.0
SQUEUE_TIMEOUT = 120


@dataclass(frozen=True)
class QueuedJob:
    """A job that is queued or running: its id, its state as Slurm names it, and the rule (or group) that it runs."""

    id: str
    state: str
    rule: str


def hold_folder(folder: Path, report: Callable[[str], None]) -> None:
    """Keep every other process from holding `folder` until this one ends, however it ends.

    report: gets a sentence where the file system has no locks, as Lustre that is mounted without them.
    Raises UserError with the holder's host and process id where there is one.
    """
    path = folder / LOCK
    path.parent.mkdir(exist_ok=True)
    # Never closed here, and closed by the kernel with the process: a lock of this kind is never stale.
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"another Snakemake ({path.read_text().strip()}) submits jobs from this folder; wait for it, or end it "
            "there with Ctrl-C"
        ) from None
    except OSError as error:
        report(f"{path} cannot be locked ({error.strerror}): start no other Snakemake in this folder meanwhile")
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
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SQUEUE_TIMEOUT).stdout
    except subprocess.CalledProcessError as error:
        raise UserError(f"squeue does not answer ({error.stderr.strip()}); is Slurm up on this login node?") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"squeue does not answer within {SQUEUE_TIMEOUT} seconds; is Slurm up?") from None
    jobs = []
    for line in listed.splitlines():
        number, state, comment, work_folder = line.split("|", 3)
        # The executor writes the rule into the comment; only this distinguishes its jobs from a user's own.
        if comment.startswith(("rule_", "group_")) and os.path.realpath(work_folder) == os.path.realpath(folder):
            rule = comment.strip().partition("_")[2].partition("_wildcards_")[0]
            jobs.append(QueuedJob(number, state, rule))
    return jobs


def wait_for_jobs(folder: Path, report: Callable[[str], None], seconds: float = SECONDS_BETWEEN_LOOKS) -> bool:
    """Wait until no job of an earlier run from `folder` is left; returns whether there was any.

    report: gets a sentence on what is waited for, once and whenever it changes. seconds: from one look to the next.
    Raises UserError where Slurm does not answer at first, or not for long.
    """
    reported: list[QueuedJob] | None = None
    failures = 0
    while True:
        try:
            jobs = jobs_of_folder(folder)
            failures = 0
        except UserError as error:
            failures += 1
            if reported is None or failures > MAX_SQUEUE_FAILURES:
                raise
            report(f"{error} Trying again")
            time.sleep(seconds)
            continue
        if not jobs:
            return reported is not None
        if jobs != reported:
            listed = ", ".join(f"{job.id} ({job.rule}, {job.state.lower()})" for job in jobs)
            ids = " ".join(job.id for job in jobs)
            report(f"waiting for jobs of an earlier run in this folder: {listed}; to end them instead: scancel {ids}")
            reported = jobs
        time.sleep(seconds)
