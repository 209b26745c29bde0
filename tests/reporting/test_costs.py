"""What runs took: from files as Snakemake and the training write them, by hand."""

import json

import polars as pl
import pytest
from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

from ipcascade.cli import main
from ipcascade.core.costs_file import COSTS, read_costs
from ipcascade.core.errors import UserError
from ipcascade.core.files import write_parquet
from ipcascade.core.provenance import read_provenance
from ipcascade.reporting.costs import Cost, job_cost, mean, totals, with_epochs


def record(seconds: float, memory: float | None) -> BenchmarkRecord:
    """As Snakemake measured a job, or without a look at it."""
    made = BenchmarkRecord(running_time=seconds, max_rss=memory)
    made.data_collected = memory is not None
    return made


def write_epochs(path, seconds, utilisation, memory):
    columns = {"epoch": range(1, len(seconds) + 1), "seconds": seconds, "peak_memory_mib": memory}
    write_parquet(path, pl.DataFrame(columns | {"model_flop_utilisation": utilisation}))
    return path


@pytest.mark.parametrize(("memory", "expected"), [(812.5, Cost(12.25, 812.5)), (None, Cost(12.25))])
def test_a_benchmark_is_read_as_snakemake_writes_it(tmp_path, memory, expected):
    write_benchmark_records([record(99, 9.0), record(12.25, memory)], str(tmp_path / "train.jsonl"), False)
    assert job_cost(tmp_path / "train.jsonl") == expected


def test_of_a_benchmark_that_is_not_there_nothing_is_known(tmp_path):
    assert job_cost(tmp_path / "train.jsonl") == Cost()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"s": "NA", "max_rss": 1}', '{"s": -1, "max_rss": 1}', '{"s": 1, "max_rss": "much"}',
        '{"s": NaN, "max_rss": 1}', '{"s": true, "max_rss": 1}', '{"s": 1, "max_rss": -2}',
    ],
)  # fmt: skip
def test_a_damaged_benchmark_is_one_sentence(tmp_path, text):
    (tmp_path / "train.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"train\.jsonl.*delete it"):
        job_cost(tmp_path / "train.jsonl")


def test_of_an_interrupted_training_the_epochs_count(tmp_path):
    """Four epochs of 100 seconds; the last of its jobs took 150, or the only one 430 with start and validation."""
    epochs = write_epochs(tmp_path / "e.parquet", [100.0] * 4, [None] * 4, [3000.0] * 4)
    assert with_epochs(Cost(150, 2000), epochs) == Cost(400, 2000)
    assert with_epochs(Cost(430, 2000), epochs) == Cost(430, 2000)
    assert with_epochs(Cost(), epochs) == Cost(400), "copied without logs"
    assert with_epochs(Cost(430, 2000), tmp_path / "none.parquet") == Cost(430, 2000)


def test_memory_of_a_gpu_is_known_where_its_utilisation_is(tmp_path):
    on_gpu = write_epochs(tmp_path / "e.parquet", [1.0, 1.0], [0.4, 0.5], [30_000.0, 31_000.0])
    assert with_epochs(Cost(3, 2000), on_gpu) == Cost(3, 2000, 31_000)


def test_other_epochs_are_one_sentence(tmp_path):
    write_parquet(tmp_path / "e.parquet", pl.DataFrame({"epoch": [1]}))
    with pytest.raises(UserError, match="lacks the column 'seconds'"):
        with_epochs(Cost(), tmp_path / "e.parquet")


def costs_of(*rows):
    return pl.DataFrame(rows, schema=COSTS.types, orient="row")


def test_a_run_takes_the_seconds_of_all_its_jobs_and_the_highest_of_their_peaks():
    rows = [
        ("b", "train", "-", 100.0, 3000.0, 9000.0), ("a", "fit_linear", "-", 5.5, 700.0, None),
        ("b", "score_val", "-", 10.0, 4000.0, None), ("a", "combine", "-", 2.0, 900.0, None),
    ]  # fmt: skip
    assert totals(costs_of(*rows)) == {"b": Cost(110, 4000, 9000), "a": Cost(7.5, 900)}


def test_what_is_not_known_of_a_job_is_not_known_of_its_run():
    """A sum without the training would look cheap."""
    rows = [("a", "train", "-", None, None, None), ("a", "combine", "-", 2.0, 900.0, None)]
    assert totals(costs_of(*rows)) == {"a": Cost()}
    rows = [("a", "train", "-", 400.0, None, 8000.0), ("a", "combine", "-", 2.0, 900.0, None)]
    assert totals(costs_of(*rows)) == {"a": Cost(402, None, 8000)}


def test_the_mean_of_replicates():
    assert mean([Cost(1, 10, None), Cost(2, 20, None)]) == Cost(1.5, 15)
    assert mean([Cost(1, 10, 5), Cost(None, 20, 7)]) == Cost(None, 15, 6)


def test_the_command_lists_the_jobs_of_each_run(tmp_path):
    for name, seconds in (("train", 50), ("combine", 2.5)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"s": seconds, "max_rss": 1000.5}) + "\n")
    write_epochs(tmp_path / "e.parquet", [40.0, 40.0], [0.3, 0.3], [500.0, 600.0])
    train, combine, missing = (str(tmp_path / f"{name}.jsonl") for name in ("train", "combine", "missing"))
    words = ["--run", "main", train, combine, "--run", "words", missing, combine]
    words += ["--epochs", "main", str(tmp_path / "e.parquet")]
    assert main(["costs", *words, "--costs", str(tmp_path / "costs.csv")]) == 0
    assert read_costs(tmp_path / "costs.csv").rows() == [
        ("main", "train", train, 80.0, 1000.5, 600.0), ("main", "combine", combine, 2.5, 1000.5, None),
        ("words", "missing", missing, None, None, None), ("words", "combine", combine, 2.5, 1000.5, None),
    ]  # fmt: skip
    inputs = read_provenance(tmp_path / "costs.csv")["inputs"]
    assert set(inputs) == {"train of main", "epochs of main", "combine of main", "combine of words"}
