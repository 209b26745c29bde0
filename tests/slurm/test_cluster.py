"""The cluster for tests itself: it takes jobs as Stanage does, and leaves nothing behind."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import FREEZER, Cluster, ClusterError, can_account, has_control_groups, until

pytestmark = pytest.mark.slurm

GPU = ["--partition=gpu", "--qos=gpu"]


def processes_with(word: str) -> list[Path]:
    """The processes of this machine, those inside clusters too, with a word in their command."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in command.read_text().split("\0"):
                found.append(command.parent)
        except ProcessLookupError:
            pass
    return found


def test_a_job_runs_in_the_default_partition(cluster: Cluster, tmp_path: Path) -> None:
    job = cluster.submit("--cpus-per-task=12", "--mem=82G", "--wrap=pwd", "--output=out.txt", cwd=tmp_path)
    facts = cluster.wait(job, "COMPLETED")
    assert (facts["Partition"], facts["QOS"], facts["TimeLimit"]) == ("sheffield", "normal", "08:00:00")
    assert facts["NumCPUs"] == "12"
    assert (tmp_path / "out.txt").read_text().strip() == str(tmp_path)
    assert job in {other["JobId"] for other in cluster.queue()}


@pytest.mark.parametrize(("gpus", "devices"), [(1, "0"), (2, "0,1")])
def test_a_job_gets_gpus(cluster: Cluster, tmp_path: Path, gpus: int, devices: str) -> None:
    job = cluster.submit(*GPU, f"--gres=gpu:{gpus}", "--wrap=echo $CUDA_VISIBLE_DEVICES", f"--output={tmp_path}/out")
    facts = cluster.wait(job, "COMPLETED")
    assert (facts["Partition"], facts["QOS"], facts["TresPerNode"]) == ("gpu", "gpu", f"gres:gpu:{gpus}")
    assert (tmp_path / "out").read_text().strip() == devices


@pytest.mark.skipif(not can_account(), reason="without accounts any QoS will do")
@pytest.mark.parametrize("qos", [[], ["--qos=normal"], ["--qos=other"]])
def test_a_gpu_is_refused_without_its_qos(cluster: Cluster, qos: list[str]) -> None:
    with pytest.raises(ClusterError, match="Invalid qos specification"):
        cluster.submit("--partition=gpu", "--gres=gpu:1", "--wrap=true", *qos)


def test_more_wall_time_than_the_partition_allows_is_refused(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="time limit is invalid"):
        cluster.submit("--time=96:01:00", "--wrap=true")


def test_a_requeued_job_runs_again(cluster: Cluster, tmp_path: Path) -> None:
    again = f"--wrap=echo run >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) = 2 ] || sleep 100"
    job = cluster.submit("--output=/dev/null", again)
    cluster.wait(job, "RUNNING")
    cluster.run(["scontrol", "requeue", job])
    assert cluster.wait(job, "COMPLETED")["Restarts"] == "1"


@pytest.mark.skipif(not can_account(), reason="no accounts, no sacct")
def test_accounts_have_records_of_jobs(cluster: Cluster) -> None:
    job = cluster.submit("--output=/dev/null", "--wrap=exit 3")
    cluster.wait(job, "FAILED")
    account = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=State,ExitCode", f"--jobs={job}"]
    # slurmctld reports to the accounts every few seconds.
    until(lambda: cluster.run(account).stdout.strip() == "FAILED|3:0", "the job in accounts")


@pytest.mark.skipif(not has_control_groups(), reason="only control groups hold what leaves its process group")
def test_all_that_a_job_started_ends_with_it(cluster: Cluster) -> None:
    job = cluster.submit("--output=/dev/null", "--wrap=setsid sleep 98765.5 & wait")
    until(lambda: bool(processes_with("98765.5")), "the job's process")
    cluster.run(["scancel", job])
    until(lambda: not processes_with("98765.5"), "its end")


def test_jobs_have_no_network(cluster: Cluster, tmp_path: Path) -> None:
    program = "import socket; socket.create_connection(('192.0.2.1', 80))"
    job = cluster.submit(f'--wrap={sys.executable} -c "{program}"', f"--output={tmp_path}/out")
    cluster.wait(job, "FAILED")
    assert "Network is unreachable" in (tmp_path / "out").read_text()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "98765.4"])
    yield process
    process.kill()
    process.wait()


def test_stop_ends_the_cluster_and_nothing_else(
    cluster: Cluster, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    with Cluster(tmp_path / "other", accounting=False) as other:
        neighbour = cluster.submit("--output=/dev/null", "--wrap=sleep 98765.1")
        other.submit("--output=/dev/null", "--wrap=trap '' TERM; sleep 98765.2")
        waiting = other.popen(["sleep", "98765.3"])
        for sleeper in ("98765.1", "98765.2", "98765.3"):
            until(lambda sleeper=sleeper: bool(processes_with(sleeper)), f"process {sleeper}")
    assert waiting.wait(10) != 0
    assert not processes_with("98765.2") and not processes_with("98765.3")
    assert not list(FREEZER.glob(f"slurm_{other.node}"))
    assert Path("/proc/self/mounts").read_text() == mounts
    assert cluster.job(neighbour)["JobState"] == "RUNNING"
    assert bystander.poll() is None
    cluster.run(["scancel", neighbour])


def test_the_command_line_passes_the_exit_code_on() -> None:
    program = Path(__file__).with_name("cluster.py")
    completed = subprocess.run([sys.executable, program, "sh", "-c", "sinfo --version; exit 7"], capture_output=True)
    assert completed.returncode == 7
    assert completed.stdout.startswith(b"slurm")
