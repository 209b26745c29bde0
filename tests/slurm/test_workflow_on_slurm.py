"""The workflow on a real Slurm through profiles/stanage: what it asks for, and that it survives what happens there.

The profile is used as it is; only threads are overridden (the machine has fewer cores than the cluster's node claims),
and the status of jobs is asked for after seconds. Trainings run on the CPU of a job that asked for a GPU, as the config
says. Whatever happens to a training, its weights are those of one that nothing happened to.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from cluster import Cluster, Inside, until

from ipcascade.inference.texts import BLOCK_ROWS
from projects import Project, copy_of_project
from support import PATIENCE

pytestmark = pytest.mark.slurm
GPU_RULES = {"train", "score", "predict"}
# The cheap rules after scoring, which share one job.
GROUPED = {
    "index_neighbours", "combine",
    "thresholds", "metrics", "analysis", "source_effects", "history", "table1", "table2", "table3",
    "figure1", "figure2", "figure3", "figure4", "figure5", "figure7", "paper",
}  # fmt: skip
MODEL = "results/model/model.safetensors"
ON_CPU = {
    "training": {"accelerator": "cpu", "title_examples": False, "finer_level_weight": 0},
    "scoring": {"accelerator": "cpu"},
}
# About 20 s of training, long enough to be met in its middle.
EPOCHS = 100


def command(*arguments: str, threads: int = 1) -> list[str]:
    return [
        sys.executable, "-m", "snakemake", "--profile", "profiles/stanage", "--configfile", "mine.yaml",
        "--slurm-init-seconds-before-status-checks", "2", "--set-threads", f"train={threads}", f"score={threads}",
        "corpus=2", "tokens=2", *arguments,
    ]  # fmt: skip


def configure(project: Project, **training: object) -> None:
    project.configure(**ON_CPU | {"training": {**ON_CPU["training"], "epochs": EPOCHS, **training}})


def weights(project: Project) -> bytes:
    return (project.folder / MODEL).read_bytes()


@pytest.fixture(scope="module")
def ready(tmp_path_factory, encoder_folder) -> Project:
    """A project that has everything that training reads."""
    project = copy_of_project(tmp_path_factory.mktemp("ready"), encoder_folder)
    configure(project)
    project.run("results/splits/splits.parquet", "results/tokens/tokens.json")
    return project


def copy_of(project: Project, folder: Path) -> Project:
    return Project(Path(shutil.copytree(project.folder, folder)))


@pytest.fixture
def prepared(ready, tmp_path) -> Project:
    return copy_of(ready, tmp_path / "project")


def trained_undisturbed(project: Project, folder: Path) -> bytes:
    """The weights of a training on this machine to which nothing happens."""
    alone = copy_of(project, folder)
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--set-threads", "train=1", "--", MODEL]
    alone.snakemake(*arguments)
    return weights(alone)


@pytest.fixture(scope="module")
def undisturbed(ready, tmp_path_factory) -> bytes:
    return trained_undisturbed(ready, tmp_path_factory.mktemp("undisturbed") / "project")


def jobs_of(cluster: Cluster, project: Project) -> list[dict[str, str]]:
    """All jobs that were submitted from a project."""
    return [job for job in cluster.queue() if job["WorkDir"] == str(project.folder)]


def rules_of(cluster: Cluster, project: Project) -> list[str]:
    """The rule of each job; of the job of a group its name and the first of its rules."""
    comments = [job["Comment"] for job in jobs_of(cluster, project)]
    return [comment.strip().removeprefix("rule_").partition("_wildcards_")[0] for comment in comments]


def started(cluster: Cluster, project: Project, *arguments: str) -> Inside:
    with (project.folder / "driver.log").open("a") as log:
        return cluster.popen(command(*arguments), project.folder, stdout=log, stderr=subprocess.STDOUT)


def log_of(project: Project) -> str:
    return (project.folder / "driver.log").read_text()


def amid_training(cluster: Cluster, project: Project) -> dict[str, str]:
    """Wait until the project's latest training is well under way; returns its job."""
    until(lambda: list(project.folder.glob("results/checkpoints/*/best-epoch-*.safetensors")), "an epoch", PATIENCE)
    time.sleep(1)
    (job,) = (job for job in jobs_of(cluster, project) if job["JobState"] == "RUNNING")
    assert job["Comment"].strip() == "rule_train" and not (project.folder / MODEL).exists()
    return job


def finish(driver: Inside, project: Project) -> None:
    assert driver.wait(timeout=PATIENCE) == 0, log_of(project)


def assert_asked_as_on_stanage(cluster: Cluster, project: Project) -> None:
    for job, rule in zip(jobs_of(cluster, project), rules_of(cluster, project), strict=True):
        assert job["JobState"] == "COMPLETED", job
        if rule in GPU_RULES:
            assert (job["Partition"], job["QOS"], job["TresPerNode"]) == ("gpu", "gpu", "gres:gpu:1"), job
        else:
            assert job["Partition"] == "sheffield" and "gpu" not in job.get("TresPerNode", ""), job


def assert_one_job_for_what_follows_scoring(cluster: Cluster, project: Project, output: str) -> None:
    """With thresholds and metrics of two models: what can run side by side, layer by layer, in five layers."""
    job = jobs_of(cluster, project)[
        next(n for n, r in enumerate(rules_of(cluster, project)) if r.startswith("evaluation_"))
    ]
    listed = output.partition("Group job evaluation")[2].partition("Select jobs")[0]
    assert set(re.findall(r"^ +rule (\w+):", listed, flags=re.MULTILINE)) == GROUPED
    assert (job["NumCPUs"], job["TimeLimit"], job["MinMemoryNode"]) == ("11", "02:30:00", "24000M"), job


def test_the_whole_chain(cluster, tmp_path, encoder_folder):
    """From the synthetic delivery to tables, figures, baseline and predictions, where jobs have no network."""
    project = copy_of_project(tmp_path, encoder_folder)
    texts = "".join(f"{number},a wire and a signal\n" for number in range(BLOCK_ROWS + 1))  # one job takes a block
    (project.folder / "new.csv").write_text(f"document_id,text\n{texts}")
    project.configure(**ON_CPU, prediction={"inputs": {"new": "new.csv"}, "jobs": 2})
    done = cluster.run(command("--", "all", "baseline"), project.folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = rules_of(cluster, project)
    single = {
        "demo_delivery",
        "corpus",
        "splits",
        "tokens",
        "train",
        "predictions_join_predictions_prediction_facts",
    }
    (group,) = [rule for rule in rules if rule.startswith("evaluation_")]
    assert set(rules) == single | {"score", "fit_linear", "predict", group}
    assert rules.count("predict") == 2, "two jobs share the texts"
    predictions = pl.read_parquet(project.folder / "results/predictions/new.parquet")
    assert predictions["document_id"].to_list() == [str(number) for number in range(BLOCK_ROWS + 1)]
    assert all(rules.count(rule) == 1 for rule in single) and rules.count("score") == 3, rules
    assert rules.count("fit_linear") == 2, "that of the baseline does not learn from titles"
    assert_asked_as_on_stanage(cluster, project)
    assert_one_job_for_what_follows_scoring(cluster, project, done.stdout + done.stderr)
    for target in ("metrics/test.json", "tables/table2.md", "figures/figure3.pdf", "predictions/new.parquet"):
        assert (project.folder / "results" / target).is_file()
    again = cluster.run(command("--", "all", "baseline"), project.folder)
    assert "Nothing to be done" in again.stderr
    # Few files: Lustre is slow with many.
    assert sum(path.is_file() for path in (project.folder / "results").rglob("*")) < 160


def test_a_gpu_that_torch_does_not_see_ends_the_job_at_once(cluster, prepared):
    prepared.configure(training={"epochs": EPOCHS, "title_examples": False, "finer_level_weight": 0})
    driver = started(cluster, prepared, "--retries", "0", "--", MODEL)
    assert driver.wait(timeout=PATIENCE) == 1
    assert "ipcascade train: this job was given a GPU (CUDA_VISIBLE_DEVICES=0), but torch" in log_of(prepared)
    assert "docs/stanage.md" in log_of(prepared)
    assert not (prepared.folder / "results/checkpoints").exists()


def test_a_killed_driver_is_restarted_and_submits_nothing_twice(cluster, prepared, undisturbed):
    driver = started(cluster, prepared, "--", MODEL)
    job = amid_training(cluster, prepared)
    second = cluster.run(command("--", MODEL), prepared.folder, check=False)
    assert second.returncode == 1 and "cannot be locked" in second.stderr, "two drivers for the same files"
    other = cluster.run(command("--", "results/figures/figure1.pdf"), prepared.folder, check=False)
    assert other.returncode == 1, "two drivers in one folder"
    assert re.search(
        rf"another Snakemake \(process \d+ on {cluster.node}\) submits jobs from this folder", other.stderr
    )
    assert cluster.job(job["JobId"])["JobState"] == "RUNNING"
    driver.kill()
    driver.wait()
    cluster.run(command("--unlock"), prepared.folder)
    again = started(cluster, prepared, "--", "results/network/val.parquet")
    finish(again, prepared)
    assert f"waiting for jobs of an earlier run in this folder: {job['JobId']} (train, running)" in log_of(prepared)
    assert rules_of(cluster, prepared) == ["train", "score"]
    assert weights(prepared) == undisturbed
    # The job that lost its driver left a record of what it was made with, as any other does.
    configure(prepared, epochs=2)
    changed = cluster.run(command("--dry-run", "--", MODEL), prepared.folder)
    assert "params have changed since last execution" in (changed.stdout + changed.stderr).lower()


def test_a_job_that_ended_without_its_driver_is_not_taken_for_another(cluster, prepared):
    configure(prepared, epochs=3)
    driver = started(cluster, prepared, "--", MODEL)
    until(lambda: [job for job in jobs_of(cluster, prepared) if job["JobState"] == "RUNNING"], "a running job")
    driver.kill()
    driver.wait()
    (job,) = jobs_of(cluster, prepared)
    cluster.wait(job["JobId"], "COMPLETED")
    cluster.run(command("--unlock"), prepared.folder)
    same = cluster.run(command("--dry-run", "--", MODEL), prepared.folder)
    assert "Nothing to be done" in same.stdout + same.stderr and "missing" not in same.stdout + same.stderr
    configure(prepared, epochs=2)
    finish(started(cluster, prepared, "--", MODEL), prepared)
    assert rules_of(cluster, prepared) == ["train", "train"]
    log = (prepared.folder / "logs/train.log").read_text()
    assert "is not used: it was made with other options.training.epochs 3, now 2" in log
    assert "resuming" not in log


def test_a_cancelled_training_goes_on_in_a_rerun(cluster, prepared, undisturbed):
    driver = started(cluster, prepared, "--retries", "0", "--", MODEL)
    cluster.run(["scancel", amid_training(cluster, prepared)["JobId"]])
    assert driver.wait(timeout=PATIENCE) == 1
    finish(started(cluster, prepared, "--", MODEL), prepared)
    assert [job["JobState"] for job in jobs_of(cluster, prepared)] == ["CANCELLED", "COMPLETED"]
    assert re.search(r"resuming at step \d+", (prepared.folder / "logs/train.log").read_text())
    assert weights(prepared) == undisturbed


@pytest.mark.long
def test_a_cancelled_training_is_submitted_again_by_the_profile(cluster, prepared, undisturbed):
    driver = started(cluster, prepared, "--", MODEL)
    cluster.run(["scancel", amid_training(cluster, prepared)["JobId"]])
    finish(driver, prepared)
    assert [job["JobState"] for job in jobs_of(cluster, prepared)] == ["CANCELLED", "COMPLETED"]
    assert weights(prepared) == undisturbed


@pytest.mark.long
def test_a_requeued_training_goes_on(cluster, prepared, undisturbed):
    driver = started(cluster, prepared, "--", MODEL)
    cluster.run(["scontrol", "requeue", amid_training(cluster, prepared)["JobId"]])
    finish(driver, prepared)
    (job,) = jobs_of(cluster, prepared)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    assert re.search(r"resuming at step \d+", (prepared.folder / "logs/train.log").read_text())
    assert weights(prepared) == undisturbed


@pytest.mark.long
def test_a_training_longer_than_its_wall_time_takes_several_jobs(cluster, prepared, tmp_path):
    """One minute each; training stops by itself before Slurm would stop it, with a message."""
    configure(prepared, epochs=3 * EPOCHS)
    profile = prepared.folder / "profiles/stanage/config.yaml"
    profile.write_text(profile.read_text().replace("    qos: gpu\n", "    qos: gpu\n    runtime: 1\n"))
    driver = started(cluster, prepared, "--retries", "8", "--", MODEL)
    expected = trained_undisturbed(prepared, tmp_path / "undisturbed")
    assert driver.wait(timeout=PATIENCE) == 0, log_of(prepared)
    states = [job["JobState"] for job in jobs_of(cluster, prepared)]
    assert {(job["Partition"], job["TimeLimit"]) for job in jobs_of(cluster, prepared)} == {("gpu", "00:01:00")}
    assert len(states) > 1 and states == ["FAILED"] * (len(states) - 1) + ["COMPLETED"]
    assert log_of(prepared).count("the time limit is near: stopped after step") >= len(states) - 1
    assert weights(prepared) == expected


@pytest.mark.long
def test_several_devices_get_as_many_gpus(cluster, prepared):
    configure(prepared, devices=2, epochs=2)
    driver = cluster.run(command("--", MODEL, threads=2), prepared.folder, check=False)
    assert driver.returncode == 0, driver.stderr
    (job,) = jobs_of(cluster, prepared)
    assert (job["TresPerNode"], job["NumCPUs"]) == ("gres:gpu:2", "2")
    assert "training on 2 x CPU" in (prepared.folder / "logs/train.log").read_text()


@pytest.mark.long
def test_the_demo_as_the_guide_tries_it(cluster, tmp_path, encoder_folder):
    """The demo's own config, encoder and size, with all threads that the profile asks for."""
    project = copy_of_project(tmp_path, encoder_folder)
    arguments = [
        sys.executable, "-m", "snakemake", "--profile", "profiles/stanage", "--configfile", "config/demo.yaml",
        "--config", "training={accelerator: cpu}", "scoring={accelerator: cpu}",
        "--slurm-init-seconds-before-status-checks", "10", "--set-threads", "train=2", "score=2",
    ]  # fmt: skip
    done = cluster.run(arguments, project.folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_asked_as_on_stanage(cluster, project)
    assert (project.folder / "results/metrics/test.json").is_file()
