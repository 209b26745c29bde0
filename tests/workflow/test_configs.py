"""Whole runs with configs whose values differ from the defaults: each value reaches the place where it counts.

Snakemake merges the configs and names the commands; they run in this process, where they need not start anew.
"""

import contextlib
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from sklearn.metrics import log_loss

from ipcascade import config as settings
from ipcascade.cli import main
from ipcascade.core.documents import Documents
from ipcascade.evaluation.bootstrap import confidence_intervals
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.history import measures_of_epoch
from ipcascade.evaluation.metrics import evaluate
from ipcascade.evaluation.options import BlendOptions, DecodingOptions, PerLabelOptions, ThresholdOptions
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from ipcascade.evidence.combiner import cross_fitted, fit_combiner
from ipcascade.evidence.linear import LinearModel, fit_linear
from ipcascade.evidence.log_odds import log_odds
from ipcascade.evidence.neighbours import NeighbourIndex
from ipcascade.evidence.options import LinearOptions
from ipcascade.evidence.vectors import read_vectors
from projects import SHOWN_COMMAND, copy_of_project

pytestmark = pytest.mark.workflow

# The sections, and the keys of training, in which OTHER has no default value.
COVERED = ("evidence", "thresholds", "decoding", "history", "evaluation")
COVERED_OF_TRAINING = (
    "loss_weights", "loss_reduction", "label_weights", "head_bias", "soft_mask", "early_stopping", "select_by",
    "mask_confidence", "label_attention", "title_examples", "finer_level_weight",
    "token_dropout",
)  # fmt: skip
AFTER_TOKENS = {
    "train", "score", "fit_linear", "index_neighbours", "combine", "thresholds", "metrics", "history"
}  # fmt: skip
OTHER: dict[str, Any] = {
    "training": {
        "epochs": 4,
        "encoder_learning_rate": 1e-3,
        "head_learning_rate": 1e-2,
        "loss_weights": {"section": 0.6, "class": 0.8, "default": 0.4},
        "loss_reduction": "mean",
        "label_weights": "inverse_frequency",
        "head_bias": -1.5,
        "soft_mask": {"confidence": 0.2, "factor": 0.3},
        "early_stopping": 1,
        "label_attention": False,
        "title_examples": False,
        "finer_level_weight": 0.5,
        "token_dropout": 0.3,
        "select_by": "global.hierarchical.f1_micro",
        "mask_confidence": 0.15,
    },
    "evidence": {
        "sources": ["neighbours", "network"],
        "calibration": "level",
        "folds": 3,
        "linear": {
            "ngrams": 1,
            "minimum_documents": 1,
            "maximum_features": 500,
            "c": 0.3,
            "smallest_weight": 0.05,
            "title_examples": False,
        },
        "neighbours": {"count": 7, "temperature": 0.2},
    },
    "history": {"fixed": {"section": 0.35, "class": 0.05, "default": 0.2}},
    "thresholds": {
        "method": "per_label",
        "fixed": {"section": 0.4, "class": 0.15, "default": 0.2},
        "per_label": {"guard": "joint", "floor": 0.2, "minimum_positives": 4, "folds": 2},
        "blend": {"share": 0.25},
    },
    "decoding": {"method": "mask", "confidence": 0.25, "at_least_one": True, "at_most": {"class": 3, "default": 2}},
    "evaluation": {"bootstrap": 15, "confidence": 0.8},
}


class Run:
    """The results of a whole run, and what they were made from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = settings.read(folder / "results/run_config.yaml")
        corpus, splits = (folder / f"results/{name}.parquet" for name in ("corpus/corpus", "splits/splits"))
        self.documents = Documents.read(corpus, splits)
        self.tree = self.documents.tree

    def json(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / "results" / name).read_text())

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "results" / name)

    def truth(self, split: str) -> np.ndarray:
        return self.documents.truth[self.documents.positions(split)]

    def scores(self, split: str) -> np.ndarray:
        return self.documents.scores_of(split, self.folder / f"results/scores/{split}.parquet")

    def scores_of_epochs(self) -> list[np.ndarray]:
        table = self.table("training/validation_scores.parquet")
        return [part.select(self.tree.labels).to_numpy() for part in table.partition_by("epoch", maintain_order=True)]

    def thresholds(self) -> np.ndarray:
        values = self.json("thresholds/thresholds.json")["thresholds"]
        return np.array([values[code] for code in self.tree.labels])


@pytest.fixture(scope="module")
def commands(tmp_path_factory, encoder_folder) -> list[list[str]]:
    """The arguments of the commands of a whole run, in their order."""
    project = copy_of_project(tmp_path_factory.mktemp("commands"), encoder_folder)
    options = ["--configfile", "mine.yaml", "--cores", "1", "--dry-run", "--printshellcmds"]
    lines = SHOWN_COMMAND.findall(project.snakemake(*options, "--", "all").stdout)
    shown = [line.removeprefix("python -m ipcascade ") for line in lines if line.startswith("python -m ipcascade ")]
    assert {shlex.split(line)[0] for line in shown} >= {"corpus", "train", "thresholds", "metrics", "history", "table2"}
    return [shlex.split(line) for line in shown]


def run_all(folder: Path, commands: list[list[str]]) -> Run:
    with contextlib.chdir(folder):
        for command in commands:
            # Which is a path in the project's copy of the workflow, and what is taken without it.
            words = [word for word in command if not word.startswith("--label-tree=")]
            assert main(words) == 0, command[0]
    return Run(folder)


@pytest.fixture(scope="module")
def published(tmp_path_factory, encoder_folder, commands) -> Run:
    """The published recipe, with fewer epochs and documents."""
    project = copy_of_project(tmp_path_factory.mktemp("published"), encoder_folder)
    project.configure(training={"epochs": 2}, source={"demo": {"documents": 300}})
    configs = ["--configfile", "config/reference.yaml", "mine.yaml"]
    project.snakemake("--cores", "1", *configs, "--", "results/run_config.yaml")
    return run_all(project.folder, commands)


@pytest.fixture(scope="module")
def other(tmp_path_factory, published, commands) -> Run:
    """Another training on the documents and tokens of the published recipe, whose options are the same."""
    folder = tmp_path_factory.mktemp("other")
    for name in ("corpus", "splits", "encoder", "tokens"):
        shutil.copytree(published.folder / "results" / name, folder / "results" / name)
    settings.write(settings.load(OTHER), folder / "results/run_config.yaml")
    return run_all(folder, [words for words in commands if words[0] in AFTER_TOKENS])


# ---- The published recipe ----


def test_the_published_recipe_runs_to_its_end(published):
    recipe = yaml.safe_load((published.folder / "config/reference.yaml").read_text())
    of_run = published.config.model_dump(mode="json")
    assert (
        of_run["training"]["batching"] == "padded"
        and of_run["training"]["soft_mask"] == recipe["training"]["soft_mask"]
    )
    for number in (1, 2, 3):
        assert (published.folder / f"results/figures/figure{number}.pdf").stat().st_size > 5000
    table = pl.read_csv(published.folder / "results/tables/table2.csv")
    assert table.height > 0


def test_the_published_thresholds_are_a_pair_of_the_grid_fitted_below_confident_parents(published):
    found = published.json("thresholds/thresholds.json")
    decoding = {"method": "mask", "confidence": 0.1, "at_least_one": False, "at_most": None}
    assert found["method"] == "reference" and found["decoding"] == decoding
    case = published.truth("val"), published.scores("val"), published.tree
    options = ThresholdOptions(method="reference")
    expected = fit_thresholds(*case, options, DecodingOptions(method="mask", confidence=0.1), seed=42)
    assert published.thresholds().tolist() == expected.values.tolist()
    assert {round(found["facts"][level] * 20, 9) for level in ("section", "class")} <= set(range(2, 15))
    scores = published.scores("test")
    predicted = decode(scores, expected.values, published.tree, DecodingOptions(method="mask", confidence=0.1))
    measures = evaluate(published.truth("test"), predicted, scores, published.tree)
    assert published.json("metrics/test.json")["measures"] == measures


def test_the_published_recipe_takes_the_networks_probabilities_as_they_are(published):
    for split in ("val", "test"):
        network = published.documents.scores_of(split, published.folder / f"results/network/{split}.parquet")
        np.testing.assert_allclose(published.scores(split), network, atol=1e-6)


def test_the_published_history_has_the_published_thresholds_and_chooses_the_epoch(published):
    history = published.table("training/history.parquet")
    fixed = {"section": 0.35, "class": 0.1}
    for row, scores in zip(history.to_dicts(), published.scores_of_epochs(), strict=True):
        expected = measures_of_epoch(published.truth("val"), scores, published.tree, fixed, 0.1)
        assert {name: row[name] for name in expected} == expected
    best = history["reference.reference.h_f1"].arg_max()
    assert history["selected"].to_list() == [row == best for row in range(2)]
    assert "chosen by `reference.reference.h_f1`" in (published.folder / "results/model/README.md").read_text()


# ---- No default value ----


def leaves(values: Any, key: str) -> dict[str, Any]:
    """Values by their keys with dots."""
    if not isinstance(values, dict):
        return {key: values}
    return {name: leaf for inner, value in values.items() for name, leaf in leaves(value, f"{key}.{inner}").items()}


def test_the_other_config_has_no_default_value(other):
    """So that a new option is added to it."""
    now, default = (config.model_dump(mode="json") for config in (other.config, settings.Config()))
    sections = {name: (now[name], default[name]) for name in COVERED}
    sections["training"] = tuple(
        {key: of[key] for key in COVERED_OF_TRAINING} for of in (now["training"], default["training"])
    )
    unchanged = [
        key
        for name, (found, usual) in sections.items()
        for key, value in leaves(found, name).items()
        if leaves(usual, name).get(key, "missing") == value
    ]
    assert not unchanged


def test_options_of_evidence_reach_the_scores(other):
    """Neighbours and network by hand, with the library's functions: other count, temperature, folds, sources."""
    documents, network = other.documents, other.folder / "results/network"
    index = NeighbourIndex.read(other.folder / "results/neighbours", other.tree)
    assert index.ids == documents.ids_of("train")
    scores = {}
    for split in ("val", "test"):
        vectors = read_vectors(network / f"{split}_vectors.safetensors", documents.ids_of(split))
        nearest = index.search(vectors, 7, torch.device("cpu"))
        scores[split] = {
            "network": log_odds(documents.scores_of(split, network / f"{split}.parquet")),
            "neighbours": index.scores(nearest, 0.2),
        }
    groups = documents.groups[documents.positions("val")]
    of_val = cross_fitted(scores["val"], other.truth("val"), groups, other.tree, folds=3, seed=42)
    assert np.array_equal(other.scores("val"), of_val)
    combiner = fit_combiner(scores["val"], other.truth("val"), other.tree)
    assert np.array_equal(other.scores("test"), combiner.probabilities(scores["test"], other.tree))
    assert other.json("evidence/combiner.json")["neighbours"] == {"count": 7, "temperature": 0.2}


def test_options_of_the_linear_model_reach_it(other):
    texts = np.array(other.table("corpus/corpus.parquet")["text"].to_list())
    train = other.documents.positions("train")
    options = LinearOptions(ngrams=1, minimum_documents=1, maximum_features=500, c=0.3, smallest_weight=0.05)
    expected = fit_linear(list(texts[train]), other.truth("train"), options, seed=42)
    found = LinearModel.read(other.folder / "results/linear", len(other.tree.labels))
    assert np.array_equal(found.decisions(texts), expected.decisions(texts))


def test_thresholds_and_decoding_reach_the_files_and_the_measures(other):
    stored, measured = other.json("thresholds/thresholds.json"), other.json("metrics/test.json")
    decoding = DecodingOptions.model_validate(OTHER["decoding"])
    options = ThresholdOptions(method="per_label", per_label=PerLabelOptions(guard="joint", folds=2))
    fitted = fit_thresholds(other.truth("val"), other.scores("val"), other.tree, options, decoding, seed=42)
    assert stored["method"] == measured["thresholds"] == "per_label" and stored["facts"]["guard"] == "joint"
    assert stored["decoding"] == measured["decoding"] == OTHER["decoding"]
    assert other.thresholds().tolist() == fitted.values.tolist()
    truth, scores = other.truth("test"), other.scores("test")
    predicted = decode(scores, fitted.values, other.tree, decoding)
    assert measured["measures"] == evaluate(truth, predicted, scores, other.tree)
    groups = other.documents.groups[other.documents.positions("test")]
    intervals = confidence_intervals(truth, predicted, groups, other.tree, 15, 0.8, seed=42)
    assert (measured["confidence"], measured["bootstrap_samples"]) == (0.8, 15)
    assert measured["confidence_intervals"] == intervals


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"method": "fixed"}, ThresholdOptions(method="fixed", fixed={"section": 0.4, "class": 0.15})),
        (
            {"per_label": {"guard": "scutfbr", "floor": 0.2, "minimum_positives": 4}},
            ThresholdOptions(method="per_label", per_label=PerLabelOptions(floor=0.2, minimum_positives=4)),
        ),
        ({"method": "expected_f1"}, ThresholdOptions(method="expected_f1")),
        ({"method": "blend"}, ThresholdOptions(method="blend", blend=BlendOptions(share=0.25))),
    ],
)
def test_options_of_other_threshold_methods_reach_them(other, commands, tmp_path, given, options):
    """Those that the method of the run does not use."""
    sections = {**OTHER, "thresholds": {**OTHER["thresholds"], **given}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(sections))
    (command,) = [list(words) for words in commands if words[0] == "thresholds"]
    command[command.index("--config") + 1] = str(tmp_path / "config.yaml")
    command[command.index("--thresholds") + 1] = str(tmp_path / "thresholds.json")
    with contextlib.chdir(other.folder):
        assert main(command) == 0
    found = json.loads((tmp_path / "thresholds.json").read_text())
    expected = fit_thresholds(
        other.truth("val"), other.scores("val"), other.tree, options, DecodingOptions(method="mask"), seed=42
    )
    assert [found["thresholds"][code] for code in other.tree.labels] == expected.values.tolist()
    assert found["facts"] == json.loads(json.dumps(expected.facts))


def test_validation_follows_its_options(other):
    history, truth, tree = other.table("training/history.parquet"), other.truth("val"), other.tree
    fixed = {"section": 0.35, "class": 0.05}
    values = []
    for row, scores in zip(history.to_dicts(), other.scores_of_epochs(), strict=True):
        expected = measures_of_epoch(truth, scores, tree, fixed, 0.15)
        assert {name: row[name] for name in expected} == expected
        values.append(expected["global.hierarchical.f1_micro"])
        losses = {
            level: log_loss(truth[:, columns].ravel(), scores[:, columns].ravel().astype(float), labels=[False, True])
            for level, columns in tree.columns.items()
        }
        assert row["val_loss"] == pytest.approx(0.6 * losses["section"] + 0.8 * losses["class"], rel=1e-5)
    best = values.index(max(values))
    assert history["selected"].to_list() == [row == best for row in range(len(values))]
    stopped = next((epoch for epoch in range(1, 4) if max(values[:epoch]) >= values[epoch]), 3)
    assert len(values) == stopped + 1, "it stops at the first epoch that is no better"
