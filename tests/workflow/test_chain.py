"""The whole chain makes what it promises, and the same bytes a second time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ipcascade import load
from ipcascade.core.files import file_checksum
from ipcascade.core.names import (
    ANALYSIS,
    LABELS,
    MODEL_CONFIG,
    SOURCE_EFFECTS,
    TOKEN_FACTS,
    TOKEN_IDS,
    TOKEN_OFFSETS,
    TOKENIZER,
    WEIGHTS,
)
from ipcascade.core.provenance import read_provenance
from ipcascade.inference.options import ScoringOptions
from latex import needs_latex, typeset
from projects import SHOWN_COMMAND
from support import OF_THE_MACHINE

PROMISED = [
    "results/run_config.yaml",
    "results/corpus/corpus.parquet",
    "results/corpus/funnel.json",
    "results/corpus/quarantine.csv",
    "results/splits/splits.parquet",
    "results/splits/audit.json",
    *(f"results/tokens/{name}" for name in (TOKEN_IDS, TOKEN_OFFSETS, TOKEN_FACTS)),
    *(f"results/model/{name}" for name in (WEIGHTS, MODEL_CONFIG, TOKENIZER, LABELS)),
    "results/training/epochs.parquet",
    "results/training/validation_scores.parquet",
    "results/training/history.parquet",
    *(f"results/scores/{split}.parquet" for split in ("val", "test")),
    "results/thresholds/thresholds.json",
    *(f"results/metrics/{split}.json" for split in ("val", "test")),
    *(f"results/analysis/{name}" for name in (*ANALYSIS, SOURCE_EFFECTS)),
    *(f"results/tables/table{number}.{ending}" for number in (1, 2, 3) for ending in ("csv", "md", "tex")),
    *(f"results/figures/figure{number}.{ending}" for number in (1, 2, 3, 4, 5, 7) for ending in ("pdf", "png", "svg")),
    *(f"results/runs/baseline/metrics/{split}.json" for split in ("val", "test")),
    "results/paper/numbers.tex",
    "results/paper/captions.tex",
    "results/report/index.html",
]
MEASURED_SPEED = ["results/training/epochs.parquet", "results/training/history.parquet"]
pytestmark = pytest.mark.workflow


def test_everything_promised_is_there(finished):
    assert [path for path in PROMISED if not (finished.folder / path).is_file()] == []
    assert finished.planned("all", "baseline") == set()


def test_the_baseline_is_measured_by_the_same_code(finished):
    ours, linear = (
        json.loads((finished.folder / f"results/{run}metrics/test.json").read_text()) for run in ("", "runs/baseline/")
    )
    assert ours.keys() == linear.keys()
    assert ours["documents"] == linear["documents"]
    assert ours["measures"]["reference"]["h_f1_ceiling"] == linear["measures"]["reference"]["h_f1_ceiling"]
    assert ours["measures"]["section"]["f1_micro"] != linear["measures"]["section"]["f1_micro"]


def test_thresholds_depend_on_no_split_but_validation(finished):
    made_of = read_provenance(finished.folder / "results/thresholds/thresholds.json")["inputs"]
    assert made_of["scores"] == file_checksum(finished.folder / "results/scores/val.parquet")
    assert file_checksum(finished.folder / "results/scores/test.parquet") not in made_of.values()


def test_a_second_run_gives_the_same_bytes(finished, fresh):
    fresh.run("all", "baseline")
    differing = [
        path for path in PROMISED if (fresh.folder / path).read_bytes() != (finished.folder / path).read_bytes()
    ]
    # Speed is measured, so these differ in it and in nothing else; and the report, which shows it.
    assert differing == [*MEASURED_SPEED, "results/report/index.html"]
    for path in MEASURED_SPEED:
        one, two = (pl.read_parquet(project.folder / path) for project in (finished, fresh))
        assert one.drop(OF_THE_MACHINE, strict=False).equals(two.drop(OF_THE_MACHINE, strict=False))


def test_a_printed_command_can_be_copied_and_run(finished):
    """In a shell with the virtual environment, without Snakemake."""
    target = finished.folder / "results/tables/table2.csv"
    before = target.read_bytes()
    printed = finished.snakemake(
        "--profile",
        "profiles/local",
        "--configfile",
        "mine.yaml",
        "--dry-run",
        "--force",
        "--",
        "results/tables/table2.csv",
    ).stdout
    (command,) = [line for line in SHOWN_COMMAND.findall(printed) if " table2 " in line]
    target.unlink()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(command, shell=True, cwd=finished.folder, env=environment, check=True, capture_output=True)
    assert target.read_bytes() == before
    assert finished.planned("all", "baseline") == set()


@needs_latex
def test_latex_sets_the_numbers_the_captions_and_the_tables(finished, tmp_path):
    results = finished.folder / "results"
    files = [results / "paper/numbers.tex", results / "paper/captions.tex", *sorted(results.glob("tables/*.tex"))]
    assert len(files) >= 4
    used = r"Of \dataDocuments{} documents: \testClassFOneMicro; \captionFigureOne; see \ref{tab:table2}"
    text = typeset("\n".join([*(f"\\input{{{file}}}" for file in files), used]), tmp_path)
    metrics = json.loads((results / "metrics/test.json").read_text())
    documents = pl.scan_parquet(results / "corpus/corpus.parquet").select(pl.len()).collect().item()
    cited = f"Of {documents:,} documents: {metrics['measures']['class']['f1_micro']:.4f}; "
    assert cited in " ".join(text.split())


def test_a_model_is_released_by_a_target(finished):
    assert finished.run("results/release/manifest.json") == {"release"}
    assert finished.planned("results/release/manifest.json") == set()
    found = load(finished.folder / "results/release", ScoringOptions(accelerator="cpu")).predict(["an antibody"])
    assert found.probabilities.shape == (1, len(found.tree.labels))


def test_new_texts_are_labelled_by_a_target(finished):
    (finished.folder / "new.csv").write_text("document_id,text\nx1,an antibody\nx2,a valve for an engine\n")
    finished.configure(prediction={"inputs": {"new": "new.csv"}})
    assert finished.run("results/predictions/new.parquet") == {"predict", "join_predictions"}
    assert pl.read_parquet(finished.folder / "results/predictions/new.parquet")["document_id"].to_list() == ["x1", "x2"]
    assert finished.run("results/predictions/new.csv") == {"join_predictions"}, "nothing is labelled twice"
    assert pl.read_csv(finished.folder / "results/predictions/new.csv")["document_id"].to_list() == ["x1", "x2"]
    done = finished.snakemake(
        "--cores", "1", "--configfile", "mine.yaml", "-n", "results/predictions/old.parquet", check=False
    )
    finished.configure()
    assert done.returncode == 1
    assert "prediction.inputs has no table 'old' (there is: new)" in done.stdout


def test_every_text_of_the_delivery_is_labelled_by_a_target(finished):
    """More than the corpus: without one per family and without labels. Of a family all have the split."""
    inventions = {"input": "all", "unit": "family_id", "by": ["first_filing_year"], "concordance": "wipo35"}
    prediction = {"inputs": {"all": "corpus"}, "least_confidence": 0.99}
    finished.configure(prediction=prediction, matrices={"inventions": inventions})
    try:
        ran = finished.run("results/predictions/all.facts.json")
        assert finished.run("matrices") == {"matrix", "matrix_figure", "matrices"}
        matrix = pl.read_parquet(finished.folder / "results/matrices/inventions_wide.parquet")
        facts = json.loads((finished.folder / "results/predictions/all.facts.json").read_text())
        labelled = pl.read_parquet(finished.folder / "results/predictions/all.parquet")
    finally:
        finished.configure()
    assert ran == {"delivery_texts", "predict", "join_predictions", "prediction_facts"}
    corpus = pl.read_parquet(finished.folder / "results/corpus/corpus.parquet")
    splits = pl.read_parquet(finished.folder / "results/splits/splits.parquet")
    assert labelled.height == facts["texts"] > corpus.height
    assert corpus.join(labelled, on="document_id", how="anti").is_empty()
    both = splits.join(labelled, on="document_id", suffix="_of_family")
    assert both["split"].equals(both["split_of_family"]) and labelled["split"].null_count() > 0
    unsure = (labelled["confidence"] < 0.99).sum()
    assert facts["unclassifiable"] == unsure > 0, "the bound reached the predictions"
    assert matrix["units"].sum() == labelled["family_id"].n_unique() and matrix["not classifiable"].sum() > 0
