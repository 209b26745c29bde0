"""The command `splits` with options that are not the defaults: they reach the split, the audit and the provenance."""

import polars as pl
import pytest
from corpora import TREE, filed, random_corpus

from ipcascade.cli import main
from ipcascade.core.files import read_json, read_parquet
from ipcascade.core.provenance import read_provenance
from ipcascade.splits.audit import audit
from ipcascade.splits.options import SplitOptions
from ipcascade.splits.split import split
from support import config_file, write_corpus

CORPUS = random_corpus(400, seed=1)
YEARS = [None if number % 50 == 0 else 1990 + number % 25 for number in range(400)]
OFFICES = [("US", "CN", "JP", None)[number % 4] for number in range(400)]


# Made in the tests: Polars starts its threads when it computes, and no module may on being imported (pyproject.toml,
# tool.mutmut).
@pytest.fixture(scope="module")
def corpus_filed():
    return filed(CORPUS, YEARS, OFFICES)


def run(folder, corpus, seed=42, **options):
    write_corpus(folder / "corpus.parquet", corpus, TREE)
    config = config_file(folder, seed=seed, splits={"rare_labels": "keep", **options})
    files = {"--corpus": "corpus.parquet", "--splits": "splits.parquet", "--audit": "audit.json"}
    arguments = [word for option, name in files.items() for word in (option, str(folder / name))]
    return main(["splits", *arguments, "--config", str(config)])


@pytest.mark.parametrize(
    "options",
    [
        {"by": "year"},
        {"by": "year", "train": 0.5, "val": 0.2, "test": 0.3},
        {"by": "office", "test_offices": ["JP"]},
        {"by": "office", "test_offices": ["US", "JP"], "train": 0.4, "val": 0.4},
        {"by": "labels"},
    ],
)
def test_options_reach_the_split_and_its_audit(tmp_path, capsys, corpus_filed, options):
    assert run(tmp_path, corpus_filed, seed=7, **options) == 0
    given = SplitOptions(rare_labels="keep", **options)
    expected = split(corpus_filed, TREE, given, 7)
    assert read_parquet(tmp_path / "splits.parquet").equals(expected)
    content = read_json(tmp_path / "audit.json")
    del content["schema_version"]
    assert content == audit(corpus_filed, expected["split"], TREE, given, 7)
    for name in ("splits.parquet", "audit.json"):
        assert read_provenance(tmp_path / name)["options"]["splits"] == given.model_dump()
    log = capsys.readouterr().err
    assert "train: first filed from 1990 to" in log and "drift from train to test, class: total variation" in log


def test_a_corpus_need_not_have_first_filings_where_labels_decide(tmp_path, corpus_filed):
    assert run(tmp_path, CORPUS) == 0
    assert "first_filings" not in read_json(tmp_path / "audit.json")
    without = read_parquet(tmp_path / "splits.parquet")
    assert run(tmp_path, corpus_filed) == 0
    assert "first_filings" in read_json(tmp_path / "audit.json")
    assert read_parquet(tmp_path / "splits.parquet").equals(without)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (lambda _: CORPUS, {"by": "year"}, "lacks the column 'first_filing_year'"),
        (lambda _: CORPUS, {"by": "office", "test_offices": ["JP"]}, "lacks the column 'first_filing_year'"),
        (
            lambda corpus: corpus.drop("first_filing_office"),
            {"by": "office", "test_offices": ["JP"]},
            "lacks the column 'first_filing_o",
        ),
        (
            lambda corpus: corpus.cast({"first_filing_year": pl.String}),
            {"by": "year"},
            "'first_filing_year' holds String, not whole",
        ),
        (
            lambda corpus: corpus.with_columns(first_filing_office=1),
            {},
            "'first_filing_office' holds Int32, not texts",
        ),
        (lambda corpus: corpus, {"by": "office", "test_offices": ["jp"]}, "first filed at 'jp'; there are CN, JP, US"),
        (lambda _: filed(CORPUS, [None] * 400), {"by": "year"}, "is not known for 400 of 400 documents"),
    ],
)
def test_what_a_user_can_cause_is_one_sentence(tmp_path, capsys, corpus_filed, change, options, sentence):
    assert run(tmp_path, change(corpus_filed), **options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ipcascade splits: ") and sentence in line
    assert not (tmp_path / "splits.parquet").exists() and not (tmp_path / "audit.json").exists()
