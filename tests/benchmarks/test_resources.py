"""The table of resources that rules used, from files that Snakemake's own writer made."""

import pytest
from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

from benchmarks import resources


def write(path, extended=True, sampled=True, **facts):
    """A benchmark file as Snakemake writes it after a job."""
    record = BenchmarkRecord(running_time=120.0, max_rss=1536.0, cpu_time=180.0, cpu_usage=9000.0)
    record.data_collected = sampled
    source = path.parent / "input.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(bytes(3 << 20))
    described = {
        "jobid": 1, "rule_name": "corpus", "wildcards": {}, "params": {}, "threads": 8,
        "resources": {"mem_mb": 64000, "runtime": 480, "tmpdir": "/tmp"}, "input": [str(source)],
    }  # fmt: skip
    for name, value in {**described, **facts}.items():
        setattr(record, name, value)
    write_benchmark_records([record], str(path), extended)


def rows(folder):
    """The cells of the table below its header."""
    lines = resources.markdown(folder).splitlines()
    assert lines[0].startswith("| rule |") and lines[0].count("|") == lines[1].count("|")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_used_and_declared_resources_are_in_one_row(tmp_path):
    write(tmp_path / "corpus.jsonl")
    assert rows(tmp_path) == [["corpus", "3", "120", "1.5", "8", "1,536", "64,000", "2%", "480", "0%"]]


def test_jobs_of_one_rule_differ_by_their_wildcards(tmp_path):
    for run in ("", "/runs/baseline"):
        write(
            tmp_path / f"logs{run}/benchmarks/metrics_val.jsonl", rule_name="metrics",
            wildcards={"run": run, "split": "val"}, resources={"mem_mb": 2000, "runtime": 5},
        )  # fmt: skip
    table = rows(tmp_path)
    assert [row[0] for row in table] == ["metrics val", "metrics runs/baseline val"]
    assert [row[-3:] for row in table] == [["77%", "5", "40%"]] * 2


def test_a_job_too_short_to_sample_and_a_rule_that_declares_nothing_have_empty_cells(tmp_path):
    write(tmp_path / "run_config.jsonl", sampled=False, rule_name="run_config", resources={"tmpdir": "/tmp"})
    assert rows(tmp_path) == [["run_config", "3", "120", "–", "8", *"–––––"]]


def test_plain_benchmark_files_are_refused_naming_the_missing_flag(tmp_path):
    write(tmp_path / "corpus.jsonl", extended=False)
    with pytest.raises(SystemExit, match=r"corpus\.jsonl.*--benchmark-extended"):
        resources.main([str(tmp_path)])


def test_a_folder_without_benchmarks_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="has no benchmark files"):
        resources.main([str(tmp_path)])
