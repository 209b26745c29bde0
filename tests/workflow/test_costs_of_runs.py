"""What the runs of a comparison took, with Snakemake's own records; of runs without a network, which take seconds."""

import json
import shutil

import polars as pl
import pytest

pytestmark = pytest.mark.workflow
# What the baseline is.
ALONE = {"sources": ["linear"], "calibration": "level", "linear": {"title_examples": False}}
LINEAR = {"evidence": ALONE, "runs": {"words": {"evidence": {"linear": {"ngrams": 1}}}}}
COMPARISON, COSTS = "results/comparison/test.json", "results/comparison/costs.csv"


def test_costs_come_from_the_records_of_jobs_and_never_run_one_again(fresh):
    fresh.configure(**LINEAR)
    fresh.run(COMPARISON)
    costs = pl.read_csv(fresh.folder / COSTS)
    # The main run is that of the baseline here, and both are one row; `words` has a linear model of its own.
    assert set(costs.select("run", "job", "benchmark").rows()) == {
        ("main", "fit_linear", "logs/benchmarks/fit_linear.jsonl"),
        ("main", "combine", "logs/benchmarks/combine.jsonl"),
        ("main", "thresholds", "logs/benchmarks/thresholds.jsonl"),
        ("baseline", "fit_linear", "logs/benchmarks/fit_linear.jsonl"),
        ("baseline", "combine", "logs/benchmarks/combine.jsonl"),
        ("baseline", "thresholds", "logs/benchmarks/thresholds.jsonl"),
        ("words", "fit_linear", "logs/runs/words/benchmarks/fit_linear.jsonl"),
        ("words", "combine", "logs/runs/words/benchmarks/combine.jsonl"),
        ("words", "thresholds", "logs/runs/words/benchmarks/thresholds.jsonl"),
    }
    for path, seconds, memory in costs.select("benchmark", "seconds", "memory_mib").iter_rows():
        record = json.loads((fresh.folder / path).read_text())
        assert (seconds, memory) == (record["s"], record["max_rss"])
    rows = json.loads((fresh.folder / COMPARISON).read_text())["rows"]
    for row, run in zip(rows, ("main", "words"), strict=True):
        assert row["seconds"] == pytest.approx(costs.filter(run=run)["seconds"].sum())
        assert row["memory_mib"] == pytest.approx(costs.filter(run=run)["memory_mib"].max())
    assert fresh.planned(COMPARISON) == set()

    shutil.rmtree(fresh.folder / "logs")
    assert fresh.planned(COMPARISON) == set(), "logs may be deleted"
    shutil.rmtree(fresh.folder / "results/comparison")
    assert fresh.run(COMPARISON) == {"costs", "comparison"}, "of results that were copied without logs"
    rows = json.loads((fresh.folder / COMPARISON).read_text())["rows"]
    assert {row["seconds"] for row in rows} == {None} and rows[0]["measures"]
