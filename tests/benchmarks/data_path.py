"""How fast, and in how much memory, a delivery is written, read and split: python tests/benchmarks/data_path.py

Each stage runs in a process of its own, so that its peak memory is its own. Writes results/benchmarks/data_path.json.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml


def main() -> None:
    """Write a synthetic delivery, build a corpus from it, split it; print and keep seconds, rates and peak memory."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--documents", type=int, default=200_000, help="abstracts in the delivery (default: 200,000)")
    parser.add_argument("--sample", type=int, default=177_000, help="documents of the corpus (default: 177,000)")
    parser.add_argument("--folder", type=Path, help="folder for the delivery (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/data_path.json"), help="JSON to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        measured = {stage: measure(command) for stage, command in stages(folder, args.documents, args.sample).items()}
        for facts in measured.values():
            facts["documents_per_second"] = round(args.documents / facts["seconds"])
        size = sum(path.stat().st_size for path in (folder / "delivery").iterdir())
    report = {
        "documents": args.documents, "sample": args.sample, "delivery_mib": round(size / 2**20), "stages": measured,
        "machine": f"{platform.machine()}, {len_cores()} cores", "python": platform.python_version(),
    }  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    print(json.dumps(report, indent=2, sort_keys=True))


def stages(folder: Path, documents: int, sample: int) -> dict[str, list[str]]:
    """The command line of each stage, in order; writes the config that they share."""
    delivery, corpus = str(folder / "delivery"), str(folder / "corpus.parquet")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"source": {"demo": {"documents": documents}}, "corpus": {"documents": sample}}))
    commands = {
        "write": ["demo_delivery", "--folder", delivery],
        "corpus": ["corpus", "--source", delivery, "--corpus", corpus, "--funnel", str(folder / "funnel.json")],
        "splits": [
            "splits", "--corpus", corpus, "--splits", str(folder / "splits.parquet"),
            "--audit", str(folder / "audit.json"),
        ],
    }  # fmt: skip
    return {stage: [*command, "--config", str(config)] for stage, command in commands.items()}


def measure(command: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "ipcascade", *command])
    # wait4 gives this one child's peak; RUSAGE_CHILDREN's is the largest of all so far.
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"ipcascade {command[0]} failed")
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mib": round(used.ru_maxrss / 1024)}


def len_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
