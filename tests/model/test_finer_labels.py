"""Labels from those below them: against products of probabilities, and through a model's folder."""

import json

import numpy as np
import pytest
import torch

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.encoder.tokens import TokenCache
from ipcascade.inference.forward import probabilities
from ipcascade.model.export import export_model, finer_parents_of, load_model
from ipcascade.model.finer_level import FinerLevel
from ipcascade.training.initialisation import new_classifier
from ipcascade.training.options import TrainingOptions

TEXT = {"content": "abstract", "max_length": 32}
WHOLE = LabelTree.read(IPC)


def literal(own, finer, parents):
    """Log-odds of labels, a document and a label at a time, from probabilities."""
    result = np.array(own, dtype=np.float64)
    for label in range(own.shape[1]):
        below = [place for place, parent in enumerate(parents) if parent == label]
        if below:
            any_holds = 1 - np.prod(1 - 1 / (1 + np.exp(-finer[:, below].astype(np.float64))), axis=1)
            result[:, label] = (own[:, label] + np.log(any_holds / (1 - any_holds))) / 2
    return result


def test_each_label_is_as_probable_as_itself_and_those_below():
    random = np.random.default_rng(1)
    parents = [1, 3, 1, 4, 1]  # labels 0 and 2 have none below
    own, finer = random.normal(-1, 2, (6, 5)), random.normal(-2, 2, (6, 5))
    level = FinerLevel(parents, 5)
    found = level(torch.from_numpy(np.concatenate([own, finer], axis=1).astype(np.float32))).numpy()
    assert found == pytest.approx(literal(own, finer, parents), abs=1e-5)
    assert np.array_equal(found[:, [0, 2]], own[:, [0, 2]].astype(np.float32))
    assert not level.state_dict(), "nothing of it is in weights files"


def test_nothing_is_lost_where_labels_are_sure():
    """In bf16, as autocast would have it, e-30 and e30 would be 0 and infinite."""
    logits = torch.tensor([[0.0, -30.0], [0.0, -200.0], [0.0, 30.0], [0.0, 200.0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = FinerLevel([0], 1)(logits)
    assert found.dtype == torch.float32
    assert found[:, 0].tolist() == pytest.approx([-15.0, np.log(1e-30) / 2, 15.0, 100.0], rel=1e-5)


@pytest.fixture
def model(encoder_folder, tree):
    finer = tree.with_level_below(WHOLE)
    truth = np.zeros((1, len(finer.labels)), dtype=bool)
    model = new_classifier(encoder_folder, finer, truth, TrainingOptions(), 1, 32, has_finer_level=True).eval()
    with torch.no_grad():
        for head in model.heads:
            head.bias.normal_(-2, 1, generator=torch.Generator().manual_seed(3))
    return model


CACHE = TokenCache(
    np.tile(np.arange(5, 17), 3), np.array([0, 12, 20, 36]), {"pad_id": 0, "max_length": 32, "documents": 3}
)


@pytest.mark.parametrize("batching", ["packed", "padded"])
def test_scores_are_of_the_reported_labels_and_a_folder_keeps_them(model, encoder_folder, tree, tmp_path, batching):
    finer = tree.with_level_below(WHOLE)
    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "", tmp_path / "model", finer)
    loaded, read, _ = load_model(tmp_path / "model", batching)
    assert read == tree and loaded.labels == len(tree.labels)
    vectors = np.empty((3, loaded.hidden_size), dtype=np.float32)
    found = probabilities(loaded, CACHE, np.arange(3), batching, 64, "fp32", vectors=vectors)
    assert found.shape == (3, 140)
    for row in range(3):
        ids = torch.from_numpy(CACHE.ids[CACHE.offsets[row] : CACHE.offsets[row + 1]][None])
        model_of_one = load_model(tmp_path / "model", "padded")[0]
        *logits, vector = model_of_one(ids, torch.ones_like(ids, dtype=torch.bool), with_vectors=True)
        own = torch.cat(logits[:2], dim=1).detach().numpy()
        expected = literal(own, logits[2].detach().numpy(), finer_parents_of(finer))
        assert found[row] == pytest.approx(1 / (1 + np.exp(-expected[0])), abs=1e-5)
        assert vectors[row] == pytest.approx(vector[0].detach().numpy(), abs=1e-4)


def test_without_a_finer_level_the_folder_says_so(encoder_folder, tree, tmp_path):
    truth = np.zeros((1, len(tree.labels)), dtype=bool)
    plain = new_classifier(encoder_folder, tree, truth, TrainingOptions(), 1, 32)
    export_model(plain, plain.state_dict(), encoder_folder, tree, TEXT, "", tmp_path / "model")
    assert json.loads((tmp_path / "model/labels.json").read_text())["finer_labels"] is None
    assert load_model(tmp_path / "model", "packed")[0].finer_level is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda labels: labels[0].update(parent="X99"), "X99"),
        (lambda labels: labels[0].update(level="class"), "class"),
        (lambda labels: labels[-1].update(level="group"), "group"),
        (lambda labels: labels[0].update(code="A01"), "A01"),
        (lambda labels: labels.pop(), "654|653"),
    ],
)
def test_changed_labels_of_the_finer_level_are_one_sentence(model, encoder_folder, tree, tmp_path, change, sentence):
    folder = tmp_path / "model"
    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "", folder, tree.with_level_below(WHOLE))
    content = json.loads((folder / "labels.json").read_text())
    change(content["finer_labels"])
    (folder / "labels.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=sentence) as error:
        load_model(folder, "packed")
    assert str(folder) in str(error.value)
