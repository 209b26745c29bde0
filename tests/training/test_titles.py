"""Titles of labels as training documents: which, with which tokens and labels, and that training sees them."""

from pathlib import Path

import numpy as np
import pytest
from runs import arguments
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ipcascade.cli import main
from ipcascade.core.documents import Documents
from ipcascade.core.files import read_parquet
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.encoder.tokens import TokenCache
from ipcascade.training.loop import TrainingData
from ipcascade.training.titles import with_titles

TITLES = 132 + 654
# One epoch of few steps, with titles.
SHORT = {"epochs": 1, "batch_size": 100, "title_examples": True}


@pytest.fixture
def data(files):
    documents = Documents.read(files.corpus, files.splits)
    cache = TokenCache.open(files.tokens, documents.ids)
    tree = documents.tree
    return TrainingData(tree, tree, cache, documents.truth, documents.positions("train"), documents.positions("val"))


def test_titles_come_after_all_documents_and_are_trained_on(files, data):
    table = LabelTree.read(IPC)
    found = with_titles(data, table, files.encoder)
    documents = len(data.truth)
    assert np.array_equal(found.truth[:documents], data.truth)
    assert np.array_equal(found.val, data.val) and found.tree == data.tree
    assert np.array_equal(found.train, [*data.train, *range(documents, documents + TITLES)])
    tokens = [
        found.cache.ids[start:end] for start, end in zip(found.cache.offsets, found.cache.offsets[1:], strict=False)
    ]
    before = [data.cache.ids[start:end] for start, end in zip(data.cache.offsets, data.cache.offsets[1:], strict=False)]
    assert all(np.array_equal(one, other) for one, other in zip(tokens, before, strict=False))
    tokenizer, column = load_tokenizer(files.encoder, 32), data.tree.index["A01"]
    of_class = np.flatnonzero(found.truth[documents:, column])
    titles = [title for code, title in zip(table.labels, table.titles, strict=True) if code.startswith("A01")]
    assert len(of_class) == len(titles)
    for row, title in zip(of_class, titles, strict=True):
        expected = tokenizer(title.lower(), truncation=True, max_length=32)["input_ids"]
        assert tokens[documents + row].tolist() == expected


def test_a_training_has_the_steps_of_documents_and_titles(files, tmp_path):
    """And validates on the validation documents alone."""
    steps = []
    handle = register_optimizer_step_pre_hook(lambda *_: steps.append(1))
    try:
        assert main(arguments(files, tmp_path, **SHORT)) == 0
    finally:
        handle.remove()
    assert len(steps) == -(-(140 + TITLES) // 100)
    assert read_parquet(tmp_path / "validation.parquet").height == 20
    card = (tmp_path / "model/README.md").read_text()
    assert "on 140 documents" in card


def tree_table(folder: Path, old: str, new: str) -> list[str]:
    """The IPC with a title changed, as an argument."""
    text = IPC.read_text(encoding="utf-8")
    assert old in text
    (folder / "tree.tsv").write_text(text.replace(old, new), encoding="utf-8")
    return ["--label-tree", str(folder / "tree.tsv")]


@pytest.mark.parametrize(("title", "differs"), [("PLANTING; SOWING", True), ("PLANTING; SOWING; FERTILISING", False)])
def test_a_title_below_the_learned_levels_decides_weights(files, tmp_path, title, differs):
    """The second one is what it was."""
    weights = []
    for number, table in enumerate([[], tree_table(tmp_path, "PLANTING; SOWING; FERTILISING", title)]):
        folder = tmp_path / str(number)
        assert main([*arguments(files, folder, **SHORT), *table]) == 0
        weights.append((folder / "model/model.safetensors").read_bytes())
    assert (weights[0] != weights[1]) == differs


def test_checkpoints_belong_to_the_titles(files, tmp_path, monkeypatch):
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ipcascade.commands.train.fine_tune", stopped)
    for table in ([], tree_table(tmp_path, "PLANTING; SOWING; FERTILISING", "PLANTING")):
        assert main([*arguments(files, tmp_path, **SHORT), *table]) == 130
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
