"""The jobs that a killed Snakemake left in Slurm's queue.

Snakemake's Slurm executor keeps no account of its jobs beyond its own life: started again it submits them once more. So
the workflow asks the queue first, and lets them end.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import UserError


@dataclass(frozen=True)
class QueuedJob:
    """A job that is queued or running: its id, Slurm's word for its state, and the rule that it runs."""

    id: str
    state: str
    rule: str


def jobs_of_folder(folder: Path) -> list[QueuedJob]:
    """This user's unfinished jobs that Snakemake submitted from `folder`; none where there is no Slurm.

    Raises UserError where Slurm does not answer.
    """
    if shutil.which("squeue") is None:
        return []
    # The executor names the rule in the comment, which is all that tells its jobs from a user's own.
    listed = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%i|%T|%k|%Z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise UserError(f"squeue does not answer ({listed.stderr.strip()}); is this the login node of a Slurm cluster?")
    jobs = []
    for line in listed.stdout.splitlines():
        number, state, comment, work_folder = line.split("|", 3)
        if comment.startswith(("rule_", "group_")) and os.path.realpath(work_folder) == os.path.realpath(folder):
            jobs.append(QueuedJob(number, state, comment.strip().partition("_")[2].partition("_wildcards_")[0]))
    return jobs


def wait_for_jobs(folder: Path, say: Callable[[str], None], seconds: float = 15) -> bool:
    """Until no job of an earlier run from `folder` is left; whether there was any. Looks every `seconds`.

    say: told once what is waited for, and whenever that changes.
    """
    said = None
    while jobs := jobs_of_folder(folder):
        ids = " ".join(job.id for job in jobs)
        if said != (said := jobs):
            told = ", ".join(f"{job.id} ({job.rule}, {job.state.lower()})" for job in jobs)
            say(f"waiting for jobs of an earlier run in this folder: {told}; to end them instead: scancel {ids}")
        time.sleep(seconds)
    return said is not None
