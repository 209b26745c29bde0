"""What of the data and the options reaches a training, and where: seen from outside, in steps, weights and files."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from runs import OPTIONS, arguments, epochs_of
from safetensors.torch import load_file, save_file
from sklearn.metrics import log_loss
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ipcascade.cli import main
from ipcascade.core.documents import Documents
from ipcascade.core.files import read_parquet, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream_seed
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evaluation.history import measures_of_epoch
from ipcascade.inference.forward import probabilities
from ipcascade.model.export import load_model
from ipcascade.training import checkpoint
from support import Files, config_file, write_corpus

# Seven steps of 20 of the 140 training documents.
SHORT = {"epochs": 1, "batch_size": 20}


def relabelled(files: Files, folder: Path, tree: LabelTree, chosen: pl.Expr) -> Files:
    """The same documents, with a label that no document had in place of the labels of the chosen ones.

    So the number of documents with each label is another one, as it would not be if labels changed places.
    """
    corpus = read_parquet(files.corpus).join(read_parquet(files.splits, ["document_id", "split"]), on="document_id")
    new = {"section": "B", "class": "B60"}
    columns = {level: pl.when(chosen).then(pl.lit([code])).otherwise(level) for level, code in new.items()}
    write_corpus(folder / "corpus.parquet", corpus.with_columns(**columns).drop("split"), tree)
    return replace(files, corpus=folder / "corpus.parquet")


# ---- No label of val and test reaches the weights ----


@pytest.mark.parametrize("split", ["val", "test"])
def test_labels_outside_of_train_change_no_weight(files, tree, tmp_path, split):
    """Neither through the biases that the heads start with, nor through label weights."""
    weights, losses = [], []
    for number, given in enumerate([files, relabelled(files, tmp_path, tree, pl.col("split") == split)]):
        folder = tmp_path / str(number)
        assert main(arguments(given, folder, **SHORT, head_bias="prior", label_weights="inverse_frequency")) == 0
        weights.append((folder / "model/model.safetensors").read_bytes())
        losses.append(epochs_of(folder)["val_loss"].item())
    assert weights[0] == weights[1]
    assert (losses[0] != losses[1]) == (split == "val"), "the other labels were read"


# ---- Checkpoints belong to all that decides the weights ----


def with_another_label_in_train(files: Files, folder: Path, tree: LabelTree) -> Files:
    return relabelled(files, folder, tree, pl.int_range(pl.len()) == 0)


def with_a_document_moved_to_test(files: Files, folder: Path, tree: LabelTree) -> Files:
    splits = read_parquet(files.splits)
    first = pl.int_range(pl.len()) == 0
    moved = splits.with_columns(split=pl.when(first).then(pl.lit("test")).otherwise("split"))
    write_parquet(folder / "splits.parquet", moved)
    return replace(files, splits=folder / "splits.parquet")


def with_shorter_documents(files: Files, folder: Path, tree: LabelTree) -> Files:
    config = config_file(folder, tokens={"max_length": 24})
    read = ["--corpus", str(files.corpus), "--encoder", str(files.encoder)]
    assert main(["tokens", *read, "--tokens", str(folder / "tokens"), "--config", str(config)]) == 0
    return replace(files, tokens=folder / "tokens")


def with_other_weights(files: Files, folder: Path, tree: LabelTree) -> Files:
    encoder = Path(shutil.copytree(files.encoder, folder / "encoder"))
    weights = load_file(encoder / "model.safetensors")
    name = min(weights)
    save_file({**weights, name: weights[name] + 1}, encoder / "model.safetensors")
    return replace(files, encoder=encoder)


def with_another_dropout_in_the_encoder(files: Files, folder: Path, tree: LabelTree) -> Files:
    encoder = Path(shutil.copytree(files.encoder, folder / "encoder"))
    described = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps({**described, "hidden_dropout_prob": 0.2}))
    return replace(files, encoder=encoder)


def in_another_folder(files: Files, folder: Path, tree: LabelTree) -> Files:
    copies = {
        name: Path((shutil.copytree if place.is_dir() else shutil.copyfile)(place, folder / place.name))
        for name, place in vars(files).items()
    }
    return Files(**copies)


@pytest.mark.parametrize(
    ("change", "folders"),
    [
        (with_another_label_in_train, 2),
        (with_a_document_moved_to_test, 2),
        (with_shorter_documents, 2),
        (with_other_weights, 2),
        (with_another_dropout_in_the_encoder, 2),
        (in_another_folder, 1),
    ],
)
def test_checkpoints_belong_to_the_contents_of_all_inputs(files, tree, tmp_path, monkeypatch, change, folders):
    """Of a training that is stopped as it starts, since its checkpoints have their folder by then."""

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ipcascade.commands.train.fine_tune", stopped)
    for given in (files, change(files, tmp_path, tree)):
        assert main(arguments(given, tmp_path)) == 130
    assert len(list((tmp_path / "checkpoints").iterdir())) == folders


# ---- Steps ----


@pytest.fixture
def steps() -> Iterator[list[tuple[list[float], float]]]:
    """Of each step that AdamW does: its learning rates, ascending, and the L2 norm of the gradient of all weights."""
    seen = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        groups = optimizer.param_groups
        gradient = torch.cat([weight.grad.flatten() for group in groups for weight in group["params"]])
        seen.append((sorted({group["lr"] for group in groups}), float(gradient.norm())))

    handle = register_optimizer_step_pre_hook(note)
    yield seen
    handle.remove()


def test_the_learning_rate_rises_from_the_first_step_and_falls_to_the_last(files, tmp_path, steps):
    """14 steps, of which 0.2 * 14, so three, rise; of the other eleven the last one is a step away from 0."""
    assert main(arguments(files, tmp_path, epochs=2, batch_size=20, warmup=0.2)) == 0
    factors = [1 / 3, 2 / 3, 1, *(rest / 11 for rest in range(11, 0, -1))]
    peaks = OPTIONS["encoder_learning_rate"], OPTIONS["head_learning_rate"]
    assert [rates for rates, _ in steps] == [[pytest.approx(peak * factor) for peak in peaks] for factor in factors]
    assert epochs_of(tmp_path)["learning_rate"].to_list() == pytest.approx([peaks[0] * 8 / 11, peaks[0] / 11])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_gradient_of_a_step_has_the_norm_that_is_asked_for(files, tmp_path, steps, precision, request):
    """Of all weights together, after the scale of fp16 is taken out: cut off before, it would vanish."""
    if precision == "fp16":
        request.getfixturevalue("fp16_on_cpu")
    assert main(arguments(files, tmp_path / "unclipped", **SHORT, gradient_clip=1e6)) == 0
    norms = [norm for _, norm in steps]
    assert min(norms) > 0.1
    steps.clear()
    assert main(arguments(files, tmp_path / "clipped", **SHORT, gradient_clip=0.01)) == 0
    assert [norm for _, norm in steps] == pytest.approx([0.01] * len(norms), rel=1e-3)


def test_the_dropout_of_a_step_is_drawn_by_a_stream_of_its_own(files, tmp_path, monkeypatch):
    """The numbers stay when randomness is used elsewhere, and from version to version."""
    seeds, seeded = [], torch.manual_seed

    def note(seed: int) -> torch.Generator:
        seeds.append(seed)
        return seeded(seed)

    monkeypatch.setattr(torch, "manual_seed", note)
    assert main(arguments(files, tmp_path, seed=5, **SHORT)) == 0
    assert seeds[-7:] == [stream_seed(5, "dropout", step) for step in range(7)]


@pytest.mark.parametrize(("minutes", "saved"), [("1000", [7, 14]), ("0", [*range(1, 8), *range(7, 15), 14])])
def test_checkpoints_are_saved_as_often_as_asked_and_after_each_epoch(files, tmp_path, monkeypatch, minutes, saved):
    steps, save = [], checkpoint.save

    def note(*given: object) -> None:
        steps.append(given[-1]["step"])
        save(*given)

    monkeypatch.setattr(checkpoint, "save", note)
    assert main([*arguments(files, tmp_path, epochs=2, batch_size=20), "--checkpoint-minutes", minutes]) == 0
    assert steps == saved


@pytest.mark.parametrize(("seconds", "last"), [(55, 6), (65, 7), (75, 7), (85, None)])
def test_after_an_epochs_last_step_validation_must_fit_too(files, tmp_path, monkeypatch, capsys, seconds, last):
    """Seven steps of ten seconds on 140 documents, so validation on 20 is taken to need another ten."""

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    for module in ("commands.train", "training.loop"):
        monkeypatch.setattr(f"ipcascade.{module}.time", clock)
    monkeypatch.setenv("IPCASCADE_SUBMITTED", "1")
    handle = register_optimizer_step_pre_hook(lambda *_: setattr(clock, "now", clock.now + 10))
    # Of so short a limit four fifths are left for training.
    given = [*arguments(files, tmp_path, **SHORT), "--time-limit", str(seconds / 60 / 0.8)]
    try:
        assert main(given) == (0 if last is None else 1)
    finally:
        handle.remove()
    if last is not None:
        assert f"stopped after step {last} of 7" in capsys.readouterr().err


# ---- The loss ----


def without_dropout(files: Files, folder: Path) -> Files:
    encoder = Path(shutil.copytree(files.encoder, folder / "encoder"))
    described = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps({**described, "hidden_dropout_prob": 0.0}))
    return replace(files, encoder=encoder)


def literal_training_loss(truth: np.ndarray, scores: np.ndarray, tree: LabelTree) -> float:
    """Of a document on average: with the options of the test below, from float64 logits."""
    logits = np.log(scores) - np.log1p(-scores)
    total = 0.0
    for level, weight in (("section", 0.2), ("class", 0.9)):
        columns = tree.columns[level]
        labels = range(columns.start, columns.stop)
        damped = [scores[:, tree.parents[label]] <= 0.24 if level == "class" else np.False_ for label in labels]
        of_level = np.stack(
            [np.where(low, 0.3, 1) * logits[:, label] for low, label in zip(damped, labels, strict=True)], axis=1
        )
        rarity = len(truth) / (truth[:, columns].sum(axis=0) + 1)
        positives = rarity / rarity.mean() * np.logaddexp(0, -of_level)
        total += weight * np.where(truth[:, columns], positives, np.logaddexp(0, of_level)).mean()
    return total


def test_training_minimises_the_loss_that_the_options_describe(files, tmp_path):
    """With rates of next to nothing and no dropout each step sees the weights that the training starts with."""
    options = {
        **SHORT, "encoder_learning_rate": 1e-12, "head_learning_rate": 1e-12, "dropout": 0,
        "loss_weights": {"section": 0.2, "default": 0.9}, "loss_reduction": "mean",
        "label_weights": "inverse_frequency", "head_bias": -1.25, "soft_mask": {"confidence": 0.24, "factor": 0.3},
    }  # fmt: skip
    assert main(arguments(without_dropout(files, tmp_path), tmp_path, **options)) == 0
    documents = Documents.read(files.corpus, files.splits)
    train = documents.positions("train")
    model, tree, _ = load_model(tmp_path / "model", "packed")
    assert all(torch.allclose(head.bias, torch.tensor(-1.25)) for head in model.heads)
    scores = probabilities(model, TokenCache.open(files.tokens), train, "packed", 4096, "fp32").astype(float)
    sections = scores[:, tree.columns["section"]]
    assert 0.1 < (sections <= 0.24).mean() < 0.9, "the soft mask damps some classes, but not all"
    expected = literal_training_loss(documents.truth[train], scores, tree)
    assert epochs_of(tmp_path)["train_loss"].item() == pytest.approx(expected, rel=1e-4)


# ---- Validation ----


def literal_loss(truth: np.ndarray, scores: np.ndarray, tree: LabelTree, weights: dict, reduction: str) -> float:
    """scikit-learn's log loss of the cells of each level, times the labels where their losses are added up."""
    total = 0.0
    for level, columns in tree.columns.items():
        cells = log_loss(truth[:, columns].ravel(), scores[:, columns].ravel().astype(float), labels=[False, True])
        total += weights[level] * cells * (columns.stop - columns.start if reduction == "sum" else 1)
    return total


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_validation_follows_the_options_of_training(files, tmp_path, reduction):
    """The loss has the weights and the reduction of training, and the measure that chooses the epoch the mask."""
    weights, confidence, measure = {"section": 0.2, "class": 0.9}, 0.0, "global.hierarchical.f1_micro"
    options = {
        "epochs": 3, "batch_size": 20, "loss_weights": weights, "loss_reduction": reduction, "select_by": measure,
        "mask_confidence": confidence,
    }  # fmt: skip
    assert main(arguments(files, tmp_path, **options)) == 0
    documents = Documents.read(files.corpus, files.splits)
    tree, truth = documents.tree, documents.truth[documents.positions("val")]
    table = read_parquet(tmp_path / "validation.parquet")
    scores = [table.filter(pl.col("epoch") == epoch).select(tree.labels).to_numpy() for epoch in (1, 2, 3)]
    expected = [literal_loss(truth, of_epoch, tree, weights, reduction) for of_epoch in scores]
    assert epochs_of(tmp_path)["val_loss"].to_list() == pytest.approx(expected, rel=1e-5)
    fixed = dict.fromkeys(tree.levels, 0.5)
    values, unmasked = (
        [measures_of_epoch(truth, of_epoch, tree, fixed, mask)[measure] for of_epoch in scores]
        for mask in (confidence, None)
    )
    best = epochs_of(tmp_path)["selected"].arg_max()
    assert values[best] == max(values)
    chosen = re.search(r"chosen by `(.+)` on the validation split: (\S+)\.", (tmp_path / "model/README.md").read_text())
    assert chosen[1] == measure and float(chosen[2]) == pytest.approx(values[best], abs=5e-5)
    assert abs(values[best] - unmasked[best]) > 0.01, "it makes a difference that all parents are confident"
