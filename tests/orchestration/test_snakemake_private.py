"""The private parts of Snakemake do what they are used for, on small workflows; a version that changed is named."""

import json
import re
import subprocess
import sys
from base64 import b64encode
from importlib.metadata import version
from pathlib import Path

import pytest
import snakemake.jobs
from snakemake.persistence import PersistenceBase

from ipcascade.orchestration import snakemake_private
from support import REPOSITORY

pytestmark = pytest.mark.workflow
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(REPOSITORY / "workflow")!r})
from ipcascade.orchestration.snakemake_private import at_start, keep_true_records
assert keep_true_records() == []
at_start(workflow, lambda: open("started", "a").write("once"))

rule make:
    output: "made"
    params: config["content"]
    shell: "echo {{params}} > {{output}}; [ {{params}} != bad ]"
"""


def run(folder: Path, content: str, *arguments: str) -> str:
    (folder / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"content={content}", *arguments]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True).stderr


def record(folder: Path) -> dict:
    return json.loads((folder / ".snakemake/metadata" / b64encode(b"made").decode()).read_text())


def test_this_version_of_snakemake_is_as_expected():
    assert snakemake_private.differences() == []
    installed, tested = (
        tuple(map(int, text.split("."))) for text in (version("snakemake"), snakemake_private.LAST_TESTED)
    )
    minimum = re.search(r'min_version\("([\d.]+)"\)', (REPOSITORY / "workflow/Snakefile").read_text())[1]
    assert installed >= tuple(map(int, minimum.split(".")))
    assert installed <= tested, (
        f"Snakemake {version('snakemake')} is newer than orchestration/snakemake_private.py was tested with "
        f"({snakemake_private.LAST_TESTED}): if these tests and those on Slurm pass, raise LAST_TESTED"
    )


@pytest.mark.parametrize("holder", [snakemake.jobs.Job, PersistenceBase])
def test_another_snakemake_is_left_as_it_is(monkeypatch, holder):
    name = {snakemake.jobs.Job: "postprocess", PersistenceBase: "finished"}[holder]

    async def changed(other):
        pass

    monkeypatch.setattr(holder, name, changed)
    (sentence,) = snakemake_private.keep_true_records()
    assert sentence.startswith(f"Snakemake {version('snakemake')}: {holder.__name__}.{name} does not take ")
    assert getattr(holder, name) is changed


def test_a_failed_job_leaves_the_record_of_the_last_success(tmp_path):
    run(tmp_path, "good")
    good = record(tmp_path)
    assert "Error in rule make" in run(tmp_path, "bad")
    assert record(tmp_path) == good and good["params"] == ["'good'"]


def test_a_job_that_was_submitted_leaves_a_record_without_checksums(tmp_path):
    """As its process on the cluster would, whether or not the submitter is there to see its end."""
    submitted = ("--mode", "remote", "--executor", "local", "--target-jobs", "make:", "--nolock", "--no-hooks")
    errors = run(tmp_path, "good", *submitted)
    assert (tmp_path / "made").read_text() == "good\n", errors
    assert record(tmp_path)["params"] == ["'good'"] and record(tmp_path)["input_checksums"] == {}


def test_what_belongs_to_a_start_is_done_once_per_run_and_not_in_a_dry_run(tmp_path):
    run(tmp_path, "good", "--dry-run")
    assert not (tmp_path / "started").exists()
    run(tmp_path, "good")
    assert (tmp_path / "started").read_text() == "once", (
        f"Snakemake {version('snakemake')} has changed what snakemake_private.at_start relies on"
    )
