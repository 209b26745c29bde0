"""What runs took: time and memory of the jobs that their results come from.

Snakemake measures each job (its wall-clock time, and the resident memory of its processes, in samples) and writes the
file of `benchmark:`. Of a training that was interrupted, this file is of the last job alone, so the seconds that the
training itself wrote per epoch are looked at, too. These are of all its jobs, but without start and validation.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import Kind, check_columns, parse_json, read_parquet


class Cost(NamedTuple):
    """Wall-clock seconds, peak memory of the processes and of the GPU in MiB; None is not known."""

    seconds: float | None = None
    memory_mib: float | None = None
    gpu_memory_mib: float | None = None


def job_cost(benchmark: Path) -> Cost:
    """What a job took, from Snakemake's benchmark file (JSON lines); nothing is known where there is no such file.

    Raises UserError where the file is damaged.
    """
    try:
        lines = benchmark.read_bytes().splitlines()
    except FileNotFoundError:
        return Cost()
    record = parse_json(lines[-1], str(benchmark)) if lines else {}
    seconds, memory = record.get("s"), record.get("max_rss")
    if not _is_amount(seconds) or not (_is_amount(memory) or memory in (None, "NA")):
        raise UserError(f"{benchmark} is not a benchmark that Snakemake wrote; delete it, and its cost is not known")
    # A job that ended before Snakemake looked at it has the text NA.
    return Cost(seconds, memory if _is_amount(memory) else None)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def with_epochs(job: Cost, epochs: Path) -> Cost:
    """The cost of a training from that of its (last) job and from epochs.parquet, where there is such a file.

    The memory of the GPU is known where its utilisation is (docs/engine.md); otherwise the table has the peak memory of
    a CPU's process in its place, or may have. Raises UserError where the file is something else.
    """
    if not epochs.exists():
        return job
    table = read_parquet(epochs, ["seconds", "peak_memory_mib", "model_flop_utilisation"])
    check_columns(epochs, table, {"seconds": Kind.NUMBER, "peak_memory_mib": Kind.NUMBER})
    seconds = math.fsum(table["seconds"])
    on_gpu = table.filter(pl.col("model_flop_utilisation").is_not_null())["peak_memory_mib"].to_list()
    return Cost(max(seconds, job.seconds or 0.0), job.memory_mib, max(on_gpu, default=None))


def totals(costs: pl.DataFrame) -> dict[str, Cost]:
    """The cost of each run, from a table `costs_file.COSTS`: the seconds of all its jobs, and the highest peaks.

    Seconds and memory are not known where those of one job are not; of GPUs the peaks that are known count.
    """
    return {
        str(run): Cost(
            _all_known(jobs["seconds"].to_list(), math.fsum),
            _all_known(jobs["memory_mib"].to_list(), max),
            max(jobs["gpu_memory_mib"].drop_nulls().to_list(), default=None),
        )
        for (run,), jobs in costs.group_by("run", maintain_order=True)
    }


def mean(costs: Iterable[Cost]) -> Cost:
    """The mean of each amount; not known where one of them is not."""
    amounts = list(zip(*costs, strict=True))
    return Cost(*(_all_known(values, lambda known: math.fsum(known) / len(known)) for values in amounts))


def _all_known(values: Sequence[float | None], summary: Callable[[Sequence[float]], float]) -> float | None:
    known = [value for value in values if value is not None]
    return summary(known) if known and len(known) == len(values) else None
