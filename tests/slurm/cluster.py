"""A real Slurm on one machine for tests, which looks to its users like Stanage, the University of Sheffield's cluster.

It runs as root from Debian's packages, without systemd, in Linux namespaces of its own: one process, the holder, keeps
them open, and everything else, daemons, jobs and the commands of the tests, runs inside. Hence

- the kernel ends everything in the cluster when the holder ends, which it does with the process that started it, too:
  no job, daemon or mount is left, and no other process of the machine can be met by mistake;
- the paths and ports are the usual ones (/etc/slurm, /run/munge), so that no command needs an option, and two clusters
  side by side do not meet;
- jobs have no network but the loopback, as on a compute node without internet.

The file systems are those of the machine, but for /run and /dev/shm. The node claims more cores and memory than the
machine has and GPUs which it has not: jobs ask for what they ask for on Stanage and get it, but nothing is enforced.

    with Cluster(folder) as cluster:
        job = cluster.submit("--partition=gpu", "--qos=gpu", "--gres=gpu:1", "--wrap=hostname")
        cluster.wait(job, "COMPLETED")

    python tests/slurm/cluster.py sinfo      # a cluster for one command; for a shell without one
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

# Debian's packages by the commands that the cluster needs of them.
PACKAGES = {
    "ip": "iproute2",
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}
ACCOUNTING_PACKAGES = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server-core"}

NAMESPACES = ["--mount", "--uts", "--ipc", "--net"]
UNSHARE = ["unshare", *NAMESPACES, "--pid", "--fork", "--kill-child", "--mount-proc"]

# The first process of the cluster. $1 is the cluster's folder on the machine, which is /run inside, $2 the host's
# name. It ends when its standard input ends, and lets the kernel reap what loses its parent.
HOLDER = """
set -e
ip link set lo up
# slurmdbd does not start on a machine that has no address but 127.0.0.1.
ip address add 10.0.0.1/32 dev lo
hostname "$2"
mount --bind "$1" /run
mount --bind /run/slurm-etc /etc/slurm
mount --bind /run/hosts /etc/hosts
mount -t tmpfs tmpfs /dev/shm
# Databases are slow to make on a disk.
mount -t tmpfs tmpfs /run/mysqld
echo ready
exec env --ignore-signal=CHLD cat
"""

# NODE is replaced by the name of the node in all that follows.
HOSTS = "127.0.0.1 localhost\n10.0.0.1 NODE\n"

SLURM = """
ClusterName=stanage
SlurmctldHost=NODE
SlurmUser=root
SlurmdUser=root
# After a requeue a job waits until its first credential has expired; the default is two minutes.
AuthInfo=cred_expire=10
StateSaveLocation=/run/slurm/state
SlurmdSpoolDir=/run/slurm/spool
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmctldLogFile=/run/log/slurmctld.log
SlurmdLogFile=/run/log/slurmd.log

TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
# Processors and memory as claimed below, whatever the machine has.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
ReturnToService=2

# Jobs start and end at once.
PriorityType=priority/basic
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
EpilogMsgTime=1
# From a job's end by order to SIGKILL; the default is 30 seconds.
KillWait=5

JobRequeue=1
EnforcePartLimits=ALL
# Ended jobs stay in squeue and scontrol.
MinJobAge=900

NodeName=NODE CPUs=16 RealMemory=200000 Gres=gpu:a100:2
PartitionName=DEFAULT Nodes=NODE DefaultTime=08:00:00 MaxTime=96:00:00 DefMemPerCPU=4000
PartitionName=sheffield Default=YES
"""

# How Slurm knows the processes of a job. As on clusters with control groups: whatever a job starts ends with it, and of
# all signals only SIGKILL gets past the first process of a job step. With process groups a process that leaves its
# group outlives its job, and signals reach all others.
FREEZER = Path("/sys/fs/cgroup/freezer")
CONTROL_GROUPS = "ProctrackType=proctrack/cgroup\n"
PROCESS_GROUPS = "ProctrackType=proctrack/pgid\n"
CGROUP = "CgroupAutomount=no\n"

NO_ACCOUNTING = """
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
PartitionName=gpu
PartitionName=gpu-h100
PartitionName=gpu-h100-nvl
"""

# As on Stanage, the partitions with GPUs take only jobs with --qos=gpu.
ACCOUNTING = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=NODE
AccountingStorageEnforce=associations,qos
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
PartitionName=gpu AllowQos=gpu
PartitionName=gpu-h100 AllowQos=gpu
PartitionName=gpu-h100-nvl AllowQos=gpu
"""

# Devices that every machine has: with a device Slurm sets CUDA_VISIBLE_DEVICES.
GRES = """
Name=gpu Type=a100 File=/dev/null
Name=gpu Type=a100 File=/dev/zero
"""

SLURMDBD = """
DbdHost=NODE
SlurmUser=root
PidFile=/run/slurm/slurmdbd.pid
LogFile=/run/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageUser=root
"""

MUNGED = [
    "munged", "--force", "--key-file=/etc/slurm/munge.key", "--log-file=/run/log/munged.log",
    "--seed-file=/run/munge/seed",
]  # fmt: skip

# Slurm knows QoS "normal" and an account of root by itself; what the cluster grants holds for them.
QOS = ["add", "qos", "gpu"]
CLUSTER = ["add", "cluster", "stanage", "qos=normal,gpu", "defaultqos=normal"]

# The database has no password: only the cluster can reach it.
DATABASE = [
    "mariadbd", "--no-defaults", "--user=root", "--datadir=/run/mysqld", "--tmpdir=/run/mysqld",
    "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=64M", "--innodb-lock-wait-timeout=900",
]  # fmt: skip
DATABASE_TABLES = "/usr/share/mysql/mysql_system_tables.sql"

FINISHED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL"}


class ClusterError(Exception):
    """The cluster did not start, or a job did not do what was waited for."""


def unavailable() -> str | None:
    """Why there can be no cluster on this machine, in one sentence, or None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a Slurm cluster for tests needs root on Linux"
    if missing := [package for command, package in PACKAGES.items() if not shutil.which(command)]:
        return f"Debian's packages {', '.join(missing)} are not installed; run {Path(__file__).with_name('install')}"
    if subprocess.run([*UNSHARE, "true"], capture_output=True).returncode != 0:
        return "this machine allows no Linux namespaces, which keep a Slurm cluster for tests apart from it"
    return None


def can_account() -> bool:
    """Whether a cluster on this machine can keep accounts: sacct, and QoS that are more than a word."""
    return all(shutil.which(command) for command in ACCOUNTING_PACKAGES)


def until(there: Callable[[], bool], what: str, timeout: float = 120) -> None:
    """Wait until something is there; raises ClusterError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not there():
        if time.monotonic() > deadline:
            raise ClusterError(f"there was not {what} within {timeout:g} seconds")
        time.sleep(0.1)


def has_control_groups() -> bool:
    """Whether this machine has control groups (of version 1, with a freezer) for Slurm to use."""
    return (FREEZER / "release_agent").exists() and os.access(FREEZER, os.W_OK)


class Inside(subprocess.Popen[str]):
    """A command inside the cluster, started as from a terminal: a signal reaches it and all that it started."""

    def send_signal(self, number: int) -> None:
        """Signal the whole process group, as Ctrl-C does."""
        if self.poll() is None:
            os.killpg(self.pid, number)


class Cluster:
    """One node with the partitions sheffield, gpu, gpu-h100 and gpu-h100-nvl, 16 cores, 200 GB and two GPUs.

    State and logs are in `folder`, which must be empty or missing and is kept. With `accounting` jobs leave records
    for sacct, and the partitions with GPUs refuse jobs without `--qos=gpu`; None: where the packages for it are there.
    """

    def __init__(self, folder: Path, accounting: bool | None = None):
        self.folder = Path(folder).resolve()
        self.accounting = can_account() if accounting is None else accounting
        # Control groups are not kept apart by a namespace but by the node's name.
        self.node = f"node-{secrets.token_hex(4)}"
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Bring the cluster up, until its node is idle: a few seconds.

        Raises ClusterError, with the ends of the daemons' logs, when a daemon fails or does not answer.
        """
        try:
            self._write_files()
            self._hold()
            self._daemon(*MUNGED)
            if self.accounting:
                self._start_accounting()
            self._daemon("slurmctld")
            self._daemon("slurmd")
            until(lambda: self._answer("sinfo", "--noheader", "--format=%T") == "idle", "an idle node")
        except BaseException as error:
            self.stop()
            if isinstance(error, subprocess.SubprocessError | OSError | ClusterError):
                raise ClusterError(f"the Slurm cluster did not start: {error}\n{self._log_tails()}") from error
            raise

    def stop(self) -> None:
        """End the cluster and everything in it; all of it has ended when this returns."""
        if self._holder is not None:
            self._holder.communicate()  # closes its standard input
            self._holder = None
            until(self._leave_no_control_group, "the control groups to empty")

    def popen(
        self,
        arguments: Sequence[str | Path],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[str] | None = subprocess.DEVNULL,
        stdout: int | IO[str] | None = subprocess.PIPE,
        stderr: int | IO[str] | None = subprocess.PIPE,
        terminal: bool = False,
    ) -> Inside:
        """Start a command inside the cluster.

        It leads a process group of its own, which `send_signal` and its kin signal as a whole; with `terminal` it
        stays in that of the caller and can read from the caller's terminal.
        """
        if self._holder is None:
            raise ClusterError("the Slurm cluster is not running")
        # nsenter waits for the command outside; signals that are meant for the command must leave it alone.
        enter = ["env", "--ignore-signal=INT,QUIT,TERM,HUP", "nsenter", f"--target={self._holder.pid}", *NAMESPACES]
        enter += [f"--pid=/proc/{self._holder.pid}/ns/pid_for_children"]
        enter += ["env", "--default-signal=INT,QUIT,TERM,HUP", f"--chdir={Path(cwd or '.').resolve()}"]
        return Inside(
            [*enter, *map(str, arguments)],
            env=env, stdin=stdin, stdout=stdout, stderr=stderr, text=True, start_new_session=not terminal,
        )  # fmt: skip

    def run(
        self,
        arguments: Sequence[str | Path],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the cluster; what it printed comes back as text.

        Raises ClusterError with the output when `check` is set and the command fails, and subprocess.TimeoutExpired.
        """
        with self.popen(arguments, cwd, env) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        if check and process.returncode != 0:
            raise ClusterError(f"{' '.join(map(str, arguments))} returned {process.returncode}: {output}{errors}")
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def submit(self, *arguments: str, cwd: Path | None = None) -> str:
        """Submit a job with these arguments of sbatch; returns its id."""
        return self.run(["sbatch", "--parsable", *arguments], cwd).stdout.strip()

    def job(self, job: str) -> dict[str, str]:
        """What `scontrol show job` shows of a job, by its names: JobState, Partition, QOS, Restarts, ..."""
        return _facts(self.run(["scontrol", "show", "job", "--oneliner", job]).stdout)

    def queue(self) -> list[dict[str, str]]:
        """All jobs that Slurm remembers, ended ones too, in the order of their ids."""
        lines = self.run(["scontrol", "show", "job", "--oneliner"]).stdout.splitlines()
        return [_facts(line) for line in lines if line.startswith("JobId=")]

    def wait(self, job: str, *states: str, timeout: float = 240) -> dict[str, str]:
        """Wait until a job is in one of the states; returns what `job` shows.

        Raises ClusterError when it ends in another state or takes more than `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (facts := self.job(job))["JobState"] not in states:
            if facts["JobState"] in FINISHED or time.monotonic() > deadline:
                raise ClusterError(f"job {job} is {facts['JobState']} and not {' or '.join(states)}: {facts}")
            time.sleep(0.2)
        return facts

    def _write_files(self) -> None:
        """Everything that is below /run inside."""
        for name in ("log", "munge", "mysqld", "slurm/state", "slurm/spool", "slurm-etc"):
            (self.folder / name).mkdir(parents=True)
        tracking = CONTROL_GROUPS if has_control_groups() else PROCESS_GROUPS
        accounting = ACCOUNTING if self.accounting else NO_ACCOUNTING
        (self.folder / "hosts").write_text(HOSTS.replace("NODE", self.node))
        for name, text in {
            "slurm.conf": SLURM + tracking + accounting,
            "cgroup.conf": CGROUP,
            "gres.conf": GRES,
            "slurmdbd.conf": SLURMDBD,
            "munge.key": os.urandom(512).hex(),
        }.items():
            path = self.folder / "slurm-etc" / name
            path.touch(mode=0o600)
            path.write_text(text.replace("NODE", self.node))

    def _hold(self) -> None:
        self._holder = subprocess.Popen(
            [*UNSHARE, "sh", "-c", HOLDER, "holder", self.folder, self.node],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout
        if (line := self._holder.stdout.readline()) != b"ready\n":
            raise ClusterError(line.decode() + self._holder.stdout.read().decode())

    def _daemon(self, *arguments: str) -> None:
        """Start a program that leaves by itself for the background."""
        # What it prints goes to a file: it would keep a pipe open for as long as it runs.
        with (self.folder / f"log/{arguments[0]}.out").open("w") as output:
            process = self.popen(arguments, Path("/"), stdout=output, stderr=output)
            if process.wait() != 0:
                raise ClusterError(f"{arguments[0]} returned {process.returncode}")

    def _start_accounting(self) -> None:
        tables = f"CREATE DATABASE mysql;\nUSE mysql;\n{Path(DATABASE_TABLES).read_text()}"
        with self.popen([*DATABASE, "--bootstrap"], Path("/"), stdin=subprocess.PIPE) as process:
            _, errors = process.communicate(tables)
        if process.returncode != 0:
            raise ClusterError(f"mariadbd --bootstrap returned {process.returncode}: {errors}")
        self._daemon(
            "setsid",
            "--fork",
            *DATABASE,
            "--skip-grant-tables",
            "--skip-networking",
            "--log-error=/run/log/mariadbd.log",
        )
        until(lambda: self._answer("test", "-S", "/run/mysqld/mysqld.sock") is not None, "a database")
        self._daemon("slurmdbd")
        add_qos = ["sacctmgr", "--immediate", *QOS]
        until(lambda: self._answer(*add_qos) is not None, "slurmdbd")
        self.run(["sacctmgr", "--immediate", *CLUSTER])

    def _answer(self, *arguments: str) -> str | None:
        """What a command prints, or None if it fails."""
        completed = self.run(arguments, check=False)
        return completed.stdout.strip() if completed.returncode == 0 else None

    def _leave_no_control_group(self) -> bool:
        try:
            for group in sorted(FREEZER.glob(f"slurm_{self.node}/**/"), reverse=True):
                group.rmdir()
        except OSError:  # the kernel is still busy with what ended in it
            return False
        return True

    def _log_tails(self) -> str:
        """The last lines of every daemon's log."""
        tails = {path.name: path.read_text(errors="replace").splitlines()[-20:] for path in self.folder.glob("log/*")}
        return "\n".join("\n".join([f"--- {name}", *lines]) for name, lines in sorted(tails.items()) if lines)


def _facts(line: str) -> dict[str, str]:
    """`Name=value Name=value ...` with spaces in values."""
    return dict(pair.split("=", 1) for pair in re.split(r" (?=[A-Z][A-Za-z/:]*=)", line.strip()) if "=" in pair)


def main(arguments: list[str]) -> int:
    """Bring a cluster up, run a command or a shell inside, take the cluster down; returns the command's exit code."""
    if reason := unavailable():
        print(f"cluster.py: {reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder) / "cluster") as cluster:
        # Ctrl-C is for the command.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        command = arguments or [os.environ.get("SHELL", "/bin/bash")]
        code = cluster.popen(command, stdin=None, stdout=None, stderr=None, terminal=True).wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
