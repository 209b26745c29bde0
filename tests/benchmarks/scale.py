"""The data path beside a DuckDB script and pandas in chunks: python tests/benchmarks/scale.py --documents 5000000

All read the same synthetic delivery, one after the other, each in processes of its own, so that its peak memory is its
own (that of all of them together, looked at five times per second). Rows out are compared. Writes
results/benchmarks/scale.json. DuckDB and pandas: envs/scale.txt.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

SYSTEMS = ("ipcascade", "duckdb", "pandas")
FULL_APPLICATIONS = 140_525_582
"""Applications in PATSTAT Global, Autumn 2025."""


def main() -> None:
    """Write the delivery where it is not there, run each system on it, print and keep what it took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000, help="abstracts in the delivery")
    parser.add_argument("--sample", type=int, default=177_000, help="documents of the corpus (default: 177,000)")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each, in turn")
    parser.add_argument("--delivery", type=Path, help="delivery to use, and to write first where it is not there")
    parser.add_argument("--folder", type=Path, help="folder for everything else (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/scale.json"), help="JSON to write")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        run_contender(args)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        delivery = args.delivery or Path(name) / "delivery"
        if not delivery.exists():
            config = Path(name) / "demo.yaml"
            config.write_text(yaml.safe_dump({"source": {"demo": {"documents": args.documents}}}))
            words = ["demo_delivery", "--folder", str(delivery), "--config", str(config)]
            subprocess.run([sys.executable, "-m", "ipcascade", *words], check=True)
        runs: dict[str, list[dict[str, Any]]] = {system: [] for system in args.systems}
        for _ in range(args.repeats):
            for system in args.systems:
                runs[system].append(measured(system, delivery, Path(name), args))
                print(json.dumps({system: runs[system][-1]}), flush=True)
    report = {
        "documents": args.documents, "sample": args.sample, "threads": args.threads, "runs": runs,
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores", "python": platform.python_version(),
    }  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    print("\n".join(table(report)))


def measured(system: str, delivery: Path, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds, peak memory, scratch space and rows of one run."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    threads = str(args.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
    if system == "ipcascade":
        config = work / "config.yaml"
        config.write_text(yaml.safe_dump({"corpus": {"documents": args.sample}}))
        command = [
            "-m", "ipcascade", "corpus", "--threads", threads, "--source", str(delivery), "--corpus",
            str(work / "out.parquet"), "--funnel", str(work / "facts.json"), "--config", str(config),
        ]  # fmt: skip
    else:
        command = [
            __file__, "--contender", system, "--delivery", str(delivery), "--folder", str(work), "--sample",
            str(args.sample), "--threads", threads,
        ]  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.PIPE, text=True)
    watch = Watch(work, process.pid)
    errors = process.stderr.read() if process.stderr else ""
    # wait4 gives what this one child took; RUSAGE_CHILDREN has all so far.
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    peak, scratch = watch.stop()
    if status != 0:
        sys.exit(f"{system} failed: {errors[-2000:]}")
    import pyarrow.parquet as pq

    facts = json.loads((work / "facts.json").read_text())
    documents = facts["documents"] if "documents" in facts else facts["steps"][-2]["left"]
    return {
        "seconds": round(seconds, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": peak, "scratch_mib": scratch, "documents": documents,
        "rows_out": pq.read_metadata(work / "out.parquet").num_rows,
    }  # fmt: skip


class Watch:
    """Looks how large a folder is, without what is handed on, and how much memory a process and its children have."""

    def __init__(self, folder: Path, process: int) -> None:
        self._folder, self._process, self._ended = folder, psutil.Process(process), threading.Event()
        self._bytes = self._memory = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[int, int]:
        """The most memory, and the most that was in the folder, in MiB."""
        self._ended.set()
        self._thread.join()
        return round(self._memory / 2**20), round(self._bytes / 2**20)

    def _look(self) -> None:
        looks = 0
        while not self._ended.wait(0.2):
            self._memory = max(self._memory, sum(map(self._memory_of, self._processes())))
            if looks % 5 == 0:
                self._bytes = max(self._bytes, sum(map(self._size, self._folder.rglob("*"))))
            looks += 1

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:  # ended meanwhile
            return []

    @staticmethod
    def _memory_of(process: psutil.Process) -> int:
        try:
            return int(process.memory_info().rss)
        except psutil.Error:
            return 0

    @staticmethod
    def _size(path: Path) -> int:
        try:
            return path.stat().st_size if path.is_file() and "out.parquet" not in path.name else 0
        except OSError:  # deleted meanwhile
            return 0


def run_contender(args: argparse.Namespace) -> None:
    """Run one of the other systems in this process."""
    import scale_contenders

    from ipcascade.core.label_tree import IPC, LabelTree

    tree = LabelTree.read(IPC)
    script = getattr(scale_contenders, f"{args.contender}_script")
    out = args.folder / "out.parquet"
    facts = script(args.delivery, set(tree.codes("class")), args.sample, args.folder, args.threads, out)
    (args.folder / "facts.json").write_text(json.dumps(facts))


def table(report: dict[str, Any]) -> list[str]:
    """Medians as a Markdown table, with ratios to ours."""
    runs = report["runs"]
    ours = _median(runs["ipcascade"], "seconds") if "ipcascade" in runs else None
    lines = [
        "| | seconds | against ours | peak MiB | scratch MiB | documents before sampling | rows out |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for system, found in runs.items():
        seconds = _median(found, "seconds")
        ratio = "" if ours is None else f"{seconds / ours:.2f}"
        cells = [f"{_median(found, key):,.0f}" for key in ("peak_mib", "scratch_mib", "documents", "rows_out")]
        lines.append(f"| {system} | {seconds:.1f} | {ratio} | {' | '.join(cells)} |")
    if ours is not None:
        full = ours / report["documents"] * FULL_APPLICATIONS / 60
        lines.append(f"\nIn proportion, {FULL_APPLICATIONS:,} applications: {full:.0f} minutes.")
    return lines


def _median(runs: list[dict[str, Any]], key: str) -> float:
    ordered = sorted(run[key] for run in runs)
    return float(ordered[len(ordered) // 2])


if __name__ == "__main__":
    main()
