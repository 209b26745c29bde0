"""Resources that each rule of a finished run used and declared: python tests/benchmarks/resources.py

Reads the files that Snakemake writes for `benchmark:` (all .jsonl below logs/, or below the folder given) and prints a
Markdown table. Plain files hold only what was used; with `benchmark-extended: true` in the profile, or
--benchmark-extended, they also hold the rule's name, threads, memory and runtime, which the table needs.

What Snakemake measures, and so the limits of the table:
- It samples the processes of a job every half second for some 15 seconds, and every 30 seconds after that. A short
  peak between two samples is missed, as are the last seconds of CPU time, and a job of about a second shows next to
  nothing.
- Memory is the resident set: it includes pages of memory-mapped files (the token cache, weights, libraries), though
  the kernel drops them where memory is short. So it may be more than the memory that must be requested.
- Slurm counts all of a job's processes, two of Snakemake's own among them (about 0.2 GB each), which are not included.
- Peaks are in MiB, and so is `mem_mb` once it has become Slurm's --mem.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HEADER = (
    "rule", "input MB", "wall s", "CPU cores", "threads", "peak MB", "declared MB", "used", "declared min", "used",
)  # fmt: skip
NONE = "–"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("logs"), help="(default: %(default)s)")
    print(markdown(parser.parse_args(arguments).folder))


def markdown(folder: Path) -> str:
    """The table of all records below a folder, one row per job, sorted by file."""
    rows = [HEADER, ("---", *("---:" for _ in HEADER[1:])), *(_row(record) for record in _records(folder))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    paths = sorted(folder.rglob("*.jsonl"))
    if not paths:
        sys.exit(f"{folder} has no benchmark files (.jsonl); give the folder logs of a finished run")
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if "rule_name" not in record:
                sys.exit(
                    f"{path} lacks what the rule declared; run it again with --benchmark-extended "
                    "(benchmark-extended: true in the profile)"
                )
            yield record


def _row(record: dict[str, Any]) -> tuple[str, ...]:
    seconds, declared = record["s"], record["resources"]
    # A job that ends before the first sample has the text NA for everything but its wall time.
    peak, cpu = (None if record[key] == "NA" else record[key] for key in ("max_rss", "cpu_time"))
    memory, minutes = declared.get("mem_mb"), declared.get("runtime")
    return (
        " ".join([record["rule_name"], *(value.lstrip("/") for value in record["wildcards"].values() if value)]),
        f"{sum(record['input_size_mb'].values()):,.0f}",
        f"{seconds:,.0f}",
        # From CPU seconds: `mean_load` leaves out everything before the second sample.
        NONE if cpu is None else f"{cpu / seconds:.1f}",
        str(record["threads"]),
        NONE if peak is None else f"{peak:,.0f}",
        NONE if memory is None else f"{memory:,}",
        _share(peak, memory),
        NONE if minutes is None else f"{minutes:,}",
        _share(seconds / 60, minutes),
    )


def _share(used: float | None, declared: float | None) -> str:
    return NONE if used is None or declared is None else f"{used / declared:.0%}"


if __name__ == "__main__":
    main()
