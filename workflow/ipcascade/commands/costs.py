"""Command: list what the runs of a comparison took, job by job."""

import argparse
import logging
from pathlib import Path
from typing import Any

from ipcascade.config import Config
from ipcascade.core.costs_file import COSTS
from ipcascade.core.csv_tables import write_csv_table
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting.costs import job_cost, with_epochs

log = logging.getLogger(__name__)

TRAINING = "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The runs with the benchmarks of their jobs, and the table to write."""
    parser.add_argument(
        "--run", nargs="+", action="append", default=[], metavar=("NAME", "BENCHMARK"), dest="runs",
        help="a run and Snakemake's benchmark files (.jsonl) of the jobs that its results come from, named as these; "
        "once per run; files that are not there leave cells empty",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", nargs=2, action="append", default=[], metavar=("NAME", "EPOCHS"),
        help="epochs.parquet of a run's training, which counts where the training was interrupted",
    )  # fmt: skip
    parser.add_argument("--costs", type=Path, required=True, help="costs.csv to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write one row per run and job. What is not known is an empty cell."""
    epochs = {name: Path(path) for name, path in args.epochs}
    records: list[dict[str, Any]] = []
    inputs: dict[str, Path] = {}
    for name, *benchmarks in args.runs:
        for path in map(Path, benchmarks):
            cost, used = job_cost(path), {f"{path.stem} of {name}": path}
            if path.stem == TRAINING and name in epochs:
                cost = with_epochs(cost, epochs[name])
                used[f"epochs of {name}"] = epochs[name]
            if cost.seconds is None:
                log.info("%s is not there: what this job of the run %s took is not known", path, name)
            inputs |= {role: file for role, file in used.items() if file.exists()}
            records.append({"run": name, "job": path.stem, "benchmark": str(path), **cost._asdict()})
    write_csv_table(args.costs, COSTS, records)
    write_provenance(args.costs, {}, inputs)
