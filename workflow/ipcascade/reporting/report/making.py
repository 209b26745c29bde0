"""The section on how the results were made: settings, versions, times and memory per rule, checksums."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN
from ipcascade.core.provenance import provenance_file, read_provenance
from ipcascade.reporting.costs import job_cost, with_epochs
from ipcascade.reporting.report.elements import (
    NOTHING,
    Cell,
    Code,
    Column,
    Facts,
    Part,
    Section,
    Table,
    Text,
    known,
)
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.words import duration, gibibytes

TRAINING = "train"
# The results that others are made from, in the order in which they are made.
TRACED = (
    "corpus/corpus.parquet", "splits/splits.parquet", "encoder", "tokens", "model", "network/val.parquet",
    "network/test.parquet", "linear", "neighbours", "evidence/combiner.json", "scores/val.parquet",
    "scores/test.parquet", "thresholds/thresholds.json", "metrics/val.json", "metrics/test.json",
)  # fmt: skip


def section(
    results: Results,
    settings: str,
    changed: Mapping[str, tuple[Any, Any]],
    versions: Mapping[str, str],
    benchmarks: Path,
) -> Section:
    """How the results were made.

    settings: the config as YAML, without paths; changed: keys that differ from their defaults, each with its value and
    its default; versions: of the packages; benchmarks: the folder in which Snakemake wrote what jobs took.
    """
    rows = [[Cell(key), Cell(_shown(value)), Cell(_shown(default))] for key, (value, default) in changed.items()]
    parts: list[Part] = [
        Table("settings", "Settings that are not the defaults.", list(map(Column, ("Key", "Value", "Default"))), rows),
        Code("All settings, as results/run_config.yaml but without paths", settings),
        Text("Versions with which this page was made:"),
        Facts(list(versions.items())),
        _times(results, benchmarks),
        _checksums(results),
    ]
    return Section("making", "How it was made", parts)


def _shown(value: Any) -> str:
    return NOTHING if value is None else str(value)


def _times(results: Results, benchmarks: Path) -> Table | Text:
    rows = []
    for path in sorted(benchmarks.glob("*.jsonl")):
        cost = job_cost(path)
        if path.stem == TRAINING:
            cost = with_epochs(cost, results.folder / "training" / "epochs.parquet")
        rows.append(
            [
                Cell(path.stem),
                known(cost.seconds, duration),
                known(cost.memory_mib, gibibytes),
                known(cost.gpu_memory_mib, gibibytes),
            ]
        )
    if not rows:
        return Text("What the jobs took is not known: logs/benchmarks is not there.")
    columns = [Column("Job"), Column("Time", True), Column("Peak memory", True), Column("Peak memory of the GPU", True)]
    caption = "What each job took when it ran last. A peak of less than 30 seconds may be missed."
    return Table("times", caption, columns, rows)


def _checksums(results: Results) -> Table:
    rows = []
    for name in TRACED:
        path = results.folder / name
        if not provenance_file(path).exists():
            continue
        made_of = read_provenance(path)
        rows += [[Cell(name), Cell(role), Cell(_digest(path, value))] for role, value in made_of["inputs"].items()]
    caption = "What each result was made from, by SHA-256. The options of each are beside it, in *.provenance.json."
    return Table("checksums", caption, [Column("Result"), Column("Made from"), Column("SHA-256")], rows)


def _digest(path: Path, value: str) -> str:
    if not value.isalnum():
        raise UserError(f"{provenance_file(path)}: 'inputs' has {value!r}, which is no checksum; {MAKE_AGAIN}")
    return value
