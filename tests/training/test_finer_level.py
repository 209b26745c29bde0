"""Training on the level below the lowest reported one: what it learns from, and what it reports."""

import json

import numpy as np
import polars as pl
import pytest
from runs import arguments, epochs_of
from safetensors.torch import load_file

from ipcascade.cli import main
from ipcascade.core.files import read_parquet
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.training.loss import Loss
from ipcascade.training.options import TrainingOptions
from support import corpus_frame, write_corpus

SUBCLASSES = 654
# Weights that stay where they start, so that the first epoch's loss is that of the start.
STILL = {"epochs": 1, "encoder_learning_rate": 1e-30, "head_learning_rate": 1e-30, "dropout": 0.0}


def trained(files, folder, **options):
    assert main(arguments(files, folder, **options)) == 0
    return json.loads((folder / "model/labels.json").read_text()), load_file(folder / "model/model.safetensors")


def test_a_third_head_is_learned_and_two_levels_are_reported(files, tmp_path, tree):
    labels, weights = trained(files, tmp_path, epochs=2, finer_level_weight=1.0)
    assert LabelTree.from_json(labels["label_tree"]) == tree
    assert [label["code"] for label in labels["finer_labels"]] == list(LabelTree.read(IPC).codes("subclass"))
    assert weights["heads.2.weight"].shape[0] == SUBCLASSES
    assert weights["label_attention.queries"].shape[0] == 140 + SUBCLASSES
    assert read_parquet(tmp_path / "validation.parquet").columns == ["epoch", "document_id", *tree.labels]
    # All documents of A61 have the subclass A61B, and none another one of it.
    subclasses = LabelTree.read(IPC).codes("subclass")
    bias = dict(zip(subclasses, weights["heads.2.bias"].tolist(), strict=True))
    assert bias["A61B"] > max(
        value for code, value in bias.items() if code not in ("C07B", "F02B", "H01B", "H04B", "A61B")
    )


def test_the_loss_that_is_reported_is_that_of_the_reported_levels(files, tmp_path):
    """As that of validation is, beside which the figure shows it."""
    losses = []
    for weight in (0, 1.0, 50.0):
        trained(files, tmp_path / str(weight), **STILL, finer_level_weight=weight)
        losses.append(epochs_of(tmp_path / str(weight))["train_loss"][0])
    assert losses[1] == losses[2] == pytest.approx(losses[0], rel=1e-6)


def test_its_weight_is_its_own(tree):
    """That of `default` is for levels that are reported."""
    import torch

    finer = tree.with_level_below(LabelTree.read(IPC))
    truth = np.zeros((2, len(finer.labels)), dtype=bool)
    logits = [torch.zeros(2, size) for size in finer.sizes]
    found = {}
    for weight in (1.0, 0.25):
        options = TrainingOptions(loss_weights={"default": 3.0}, finer_level_weight=weight)
        loss = Loss(options, finer, truth, torch.device("cpu"), has_finer_level=True)
        found[weight] = loss(logits, torch.zeros(2, len(finer.labels)), of=2)
    each = [3.0 * 8, 3.0 * 132, 0.25 * SUBCLASSES]
    assert found[0.25].tolist() == pytest.approx([np.log(2) * amount for amount in each], rel=1e-5)
    assert found[1.0][2] == pytest.approx(float(4 * found[0.25][2]), rel=1e-6)


def test_where_the_tree_has_no_level_below_there_is_none(files, tmp_path):
    folder, tree = tmp_path, LabelTree.read(IPC)
    write_corpus(folder / "corpus.parquet", corpus_frame(200), tree)
    options = {"epochs": 1, "finer_level_weight": 1.0}
    words = arguments(files, folder, **options)
    words[words.index("--corpus") + 1] = str(folder / "corpus.parquet")
    (folder / "levels.yaml").write_text(
        f"{{corpus: {{levels: [section, class, subclass]}}, training: {json.dumps(options | {'precision': 'fp32'})}}}"
    )
    words[words.index("--config") + 1] = str(folder / "levels.yaml")
    assert main(words) == 0
    assert json.loads((folder / "model/labels.json").read_text())["finer_labels"] is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda corpus: corpus.drop("subclass"), "'subclass'"),
        (lambda corpus: corpus.with_columns(subclass=pl.lit(["X99Z"])), "has the subclass 'X99Z', which is not in its"),
    ],
)
def test_a_corpus_without_the_finer_level_is_one_sentence(files, tmp_path, tree, capsys, change, sentence):
    write_corpus(tmp_path / "corpus.parquet", change(corpus_frame(200)), tree)
    words = arguments(files, tmp_path, finer_level_weight=1.0)
    words[words.index("--corpus") + 1] = str(tmp_path / "corpus.parquet")
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert str(tmp_path / "corpus.parquet") in line and sentence in line
    assert not (tmp_path / "model").exists()
