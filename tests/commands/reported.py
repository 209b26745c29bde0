"""A results folder as the workflow lays it out, for the tests of what shows all results."""

import shutil
from pathlib import Path

import polars as pl
from chain import Results, predict_arguments

from ipcascade.cli import main
from ipcascade.core import names
from ipcascade.core.files import write_json
from support import config_file

STRANGE = '<img src="https://example.org/x.png" onerror="alert(1)"> & </script>'
INPUTS = {
    "prediction": {"inputs": {"new": "/home/somebody/new.csv"}},
    "matrices": {"funders": {"input": "new", "by": ["funder"]}},
}
FUNNEL = {
    "steps": [
        {"step": "tls201_appln", "key": None, "removed": 0, "left": 1234, "unit": "applications"},
        {"step": "sample", "key": "corpus.documents", "removed": 1034, "left": 200, "unit": "documents"},
    ],
    "groups": {"groups": 200, "of_several_documents": 0, "documents_in_them": 0, "largest": 1},
    "labels": {
        "section": {"present": 4, "mean_per_document": 1.4}, "class": {"present": 5, "mean_per_document": 1.5},
    },
    "notes": ["the delivery has no RowCount.txt"], "tables": {},
    "symbols": {
        "read": 3000, "of_other_applications": 400, "dropped_by_ipc_value": 0, "dropped_by_weight": 0,
        "dropped_outside_label_tree": 7,        "kept": 2593, "renamed": 0, "distinct_dropped_codes": 1,
        "most_frequent_dropped_codes": [{"code": "C13", "symbols": 7}],
    },
}  # fmt: skip
OF_SPLIT = {
    "documents": 100, "groups": 100, "share": 0.5, "size_error": -0.00004, "labels_present": {"section": 4, "class": 5},
    "mean_labels_per_document": {"section": 1.4, "class": 1.5},
}  # fmt: skip
DRIFT = {
    "total_variation": 0.0123,
    "total_variation_by_chance": 0.0456,
    "moved_labels": [],
    "untrained_labels": {"C07": 3},
}
AUDIT = {
    "splits": dict.fromkeys(names.SPLITS, OF_SPLIT),
    "label_distribution_distance": {"section": 0.001, "class": 0.002}, "label_pair_distribution_distance": 0.003,
    "missing_labels": {split: {"section": [], "class": ["F02", "H01"]} for split in names.SPLITS},
    "drift": {level: dict.fromkeys(names.SCORED_SPLITS, DRIFT) for level in ("section", "class")},
    "groups_in_several_splits": 0, "texts_in_several_splits": 2,
}  # fmt: skip


def make_reported(root: Path, two_levels: Results) -> Path:
    """A folder with results/, with predictions and a matrix of texts with a strange funder, and benchmarks/."""
    results, made, documents = root / "results", two_levels.path, two_levels.files.documents()
    write_json(results / "corpus/funnel.json", FUNNEL)
    write_json(results / "splits/audit.json", AUDIT)
    for folder, source in {
        "tokens": two_levels.files.tokens,
        "model": made("model"),
        "metrics": made("metrics"),
    }.items():
        shutil.copytree(source, results / folder)
    (results / "training").mkdir()
    for table in ("history", "epochs"):
        shutil.copy(made(f"{table}.parquet"), results / f"training/{table}.parquet")
    config = ["--config", str(config_file(root, evaluation={"bootstrap": 20}, figures={"resolution": 72}, **INPUTS))]

    def run(command, *words):
        assert main([command, *map(str, words), *config]) == 0, command

    scores = {split: made(f"{split}.parquet") for split in names.SCORED_SPLITS}
    fitted = ["--thresholds", made("thresholds.json")]
    run(
        "metrics",
        *documents,
        "--split",
        "val",
        "--scores",
        scores["val"],
        *fitted,
        "--metrics",
        results / "metrics/val.json",
    )
    analysis = results / "analysis"
    run("analysis", *documents, "--val", scores["val"], "--test", scores["test"], *fitted, "--analysis", analysis)
    evidence = ["--linear", made("linear"), "--neighbours", made("neighbours"), "--network", made("network")]
    run("source_effects", *documents, *evidence, "--scores", scores["test"], *fitted, "--analysis", analysis)
    figures, of = results / "figures", documents[:2]
    run("figure1", *of, "--stem", figures / "figure1")
    run("figure2", *documents, "--stem", figures / "figure2")
    run("figure7", "--funnel", results / "corpus/funnel.json", "--stem", figures / "figure7")
    run("figure3", "--history", results / "training/history.parquet", "--stem", figures / "figure3")
    tables = {
        "figure4": [names.RELIABILITY, names.CALIBRATION, names.RISK_COVERAGE, names.LEVELS],
        "figure5": [names.BY_FREQUENCY, names.CONFUSION, names.BY_GROUP],
    }
    for figure, read_from in tables.items():
        words = [word for name in read_from for word in (f"--{name[:-4].replace('_', '-')}", analysis / name)]
        run(figure, *words, "--stem", figures / figure)
    texts = pl.DataFrame(
        {
            "document_id": ["1", "2", "3"], "text": ["an antibody", "a circuit", "an acid"],
            "funder": [STRANGE, "North", "North"],
        }
    )  # fmt: skip
    texts.write_csv(root / "new.csv")
    predictions = results / "predictions/new.parquet"
    run(*predict_arguments(two_levels, root / "new.csv", predictions))
    run("prediction_facts", "--predictions", predictions, "--facts", results / "predictions/new.facts.json")
    of_matrix = ["--name", "funders"]
    run(
        "matrix",
        *of_matrix,
        "--predictions",
        predictions,
        "--model",
        made("model"),
        "--stem",
        results / "matrices/funders",
    )
    matrix = ["--matrix", results / "matrices/funders.parquet", "--stem", figures / "matrix_funders"]
    run("matrix_figure", *of_matrix, *matrix)
    (root / "benchmarks").mkdir()
    (root / "benchmarks/corpus.jsonl").write_text('{"s": 7200.4, "max_rss": 3072.0}\n')
    return root
