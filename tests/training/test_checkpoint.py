"""Files of a checkpoint: what they hold, which ones a new one replaces, what is said of those of other trainings."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ipcascade.core.errors import UserError
from ipcascade.training import checkpoint
from ipcascade.training.throughput import EpochCounts


@pytest.fixture
def model_and_optimizer():
    model = torch.nn.Linear(2, 3)
    return model, torch.optim.AdamW(model.parameters())


def test_a_checkpoint_removes_the_files_that_do_not_belong_to_it(model_and_optimizer, tmp_path):
    """Weights of an epoch that is no longer the best, validation of an epoch that is trained again, and half a file."""
    model, _ = model_and_optimizer
    for epoch in (1, 2, 3):
        checkpoint.save_best(tmp_path, epoch, model.state_dict())
        checkpoint.save_validation(tmp_path, epoch, np.zeros((1, 2), dtype=np.float32))
    for name in (".checkpoint.safetensors.123.part", "manifest.json", "notes.txt"):
        (tmp_path / name).touch()
    checkpoint.save(tmp_path, "a training", *model_and_optimizer, {"best_epoch": 1, "epochs": ["first", "second"]})
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint.safetensors",
        "best-epoch-1.safetensors",
        "validation-epoch-1.safetensors",
        "validation-epoch-2.safetensors",
        "manifest.json",
        "notes.txt",
    }


FACTS = {
    "step": 2, "epoch_loss": 0.5, "counts": asdict(EpochCounts(tokens=7)), "best_epoch": 0, "best_value": None,
    "compiled": False, "epochs": [], "scaler": {},
}  # fmt: skip


def after_steps(steps, model=None, optimizer=None):
    """A model and its optimizer after steps on inputs that are always the same."""
    if model is None:
        torch.manual_seed(1)
        model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.tensor([[1.0, 2.0], [3.0, -1.0]])).square().sum(dim=1)[0].backward()
        optimizer.step()
    return model, optimizer


def test_what_is_loaded_goes_on_as_what_was_saved(tmp_path):
    checkpoint.save(tmp_path, "a training", *after_steps(2), FACTS)
    torch.manual_seed(2)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    assert checkpoint.load(tmp_path, "a training", model, optimizer) == FACTS
    resumed, undisturbed = after_steps(3, model, optimizer)[0].state_dict(), after_steps(5)[0].state_dict()
    assert resumed.keys() == undisturbed.keys()
    for name, tensor in undisturbed.items():
        assert torch.equal(resumed[name], tensor)


def test_where_there_is_no_checkpoint_there_is_nothing_to_load(tmp_path):
    assert checkpoint.load(tmp_path, "a training", *after_steps(0)) is None


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (
            {"optimizer/0.weight/exp_avg": torch.zeros(6)},
            "'optimizer/0.weight/exp_avg' is not the optimizer's state of",
        ),
        ({"optimizer/0.weight/step": torch.tensor(2)}, "'optimizer/0.weight/step' is not"),
        ({"optimizer/2.weight/step": torch.tensor(2.0)}, "'optimizer/2.weight/step' is not"),
        ({"more": torch.tensor(2.0)}, "'more' is not"),
        ({"optimizer/0.weight": torch.zeros(3, 2)}, "'optimizer/0.weight' is not"),
        ({"model/0.weight": torch.zeros(2, 3)}, "0.weight"),
        ({"model/2.weight": torch.zeros(2, 3)}, "2.weight"),
        ({"model/0.weight": torch.full((3, 2), torch.nan)}, "0.weight"),
    ],
)
def test_a_changed_tensor_is_one_sentence_and_nothing_is_loaded(tmp_path, tensors, sentence):
    checkpoint.save(tmp_path, "a training", *after_steps(2), FACTS)
    path = tmp_path / "checkpoint.safetensors"
    save_file(load_file(path) | tensors, path, {"ipcascade": json.dumps({"fingerprint": "a training", **FACTS})})
    model, optimizer = after_steps(0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError) as error:
        checkpoint.load(tmp_path, "a training", model, optimizer)
    assert str(path) in str(error.value) and sentence in str(error.value)
    assert str(error.value).endswith("; delete it to train from the beginning")
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert not optimizer.state


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "belongs to a training with other options, data or code"),
        ({}, "belongs to a training with other options, data or code"),
        ({"fingerprint": "another training", **FACTS}, "belongs to a training with other options, data or code"),
        ({"fingerprint": "a training", **FACTS, "step": "x"}, "step"),
    ],
)
def test_facts_of_another_training_are_one_sentence(tmp_path, content, sentence):
    checkpoint.save(tmp_path, "a training", *after_steps(2), FACTS)
    path = tmp_path / "checkpoint.safetensors"
    save_file(load_file(path), path, None if content is None else {"ipcascade": json.dumps(content)})
    with pytest.raises(UserError) as error:
        checkpoint.load(tmp_path, "a training", *after_steps(0))
    assert str(path) in str(error.value) and sentence in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x08" + bytes(7) + b"{}      "])
def test_a_broken_file_is_one_sentence(tmp_path, content):
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="delete it to") as error:
        checkpoint.load(tmp_path, "a training", *after_steps(0))
    assert str(tmp_path / "checkpoint.safetensors") in str(error.value)


def test_weights_and_validation_of_an_epoch_come_back_or_are_refused(tmp_path):
    model, _ = after_steps(1)
    scores = np.array([[0.25, 0.5]], dtype=np.float32)
    checkpoint.save_best(tmp_path, 3, model.state_dict())
    checkpoint.save_validation(tmp_path, 3, scores)
    weights = checkpoint.load_best(tmp_path, 3, after_steps(0)[0])
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert np.array_equal(checkpoint.load_validation(tmp_path, 3, (1, 2)), scores)
    remedy = f"delete {tmp_path} to train from the beginning$"
    for load in (
        lambda: checkpoint.load_best(tmp_path, 2, model),
        lambda: checkpoint.load_best(tmp_path, 3, torch.nn.Linear(2, 3)),
        lambda: checkpoint.load_validation(tmp_path, 2, (1, 2)),
        lambda: checkpoint.load_validation(tmp_path, 3, (2, 2)),
    ):
        with pytest.raises(UserError, match=remedy):
            load()


def test_the_folder_follows_from_the_facts_alone(tmp_path):
    facts = {"options": {"epochs": 3, "seed": 1}, "code": "abc"}
    folder, fingerprint = checkpoint.folder_for(tmp_path, facts)
    assert checkpoint.folder_for(tmp_path, {"code": "abc", "options": {"seed": 1, "epochs": 3}}) == (
        folder,
        fingerprint,
    )
    assert (folder.parent, folder.name) == (tmp_path, fingerprint[:16])
    assert json.loads((folder / "manifest.json").read_text()) == facts
    assert checkpoint.folder_for(tmp_path, {**facts, "code": "abd"})[1] != fingerprint


@pytest.mark.parametrize("manifest", [None, b"", b"{", b"[]", b"\xff", b'{"a": NaN}'])
def test_a_checkpoint_without_a_readable_manifest_is_not_used(tmp_path, manifest):
    folder, _ = checkpoint.folder_for(tmp_path, {"code": "abc"})
    (folder / "checkpoint.safetensors").touch()
    other = tmp_path / "other"
    other.mkdir()
    (other / "checkpoint.safetensors").touch()
    if manifest is not None:
        (other / "manifest.json").write_bytes(manifest)
    sentence = f"{other}/checkpoint.safetensors is not used: it has no readable manifest.json"
    assert checkpoint.unused(tmp_path, folder) == [sentence]


def test_every_difference_of_every_other_training_is_named(tmp_path):
    own, _ = checkpoint.folder_for(tmp_path, {"options": {"a": {"b": 1, "same": 0}}, "inputs": {"x": "1"}, "new": 1})
    other, _ = checkpoint.folder_for(tmp_path, {"options": {"a": {"b": 2, "same": 0}}, "inputs": {"x": "2"}, "old": 1})
    checkpoint.folder_for(tmp_path, {"without": "a checkpoint"})
    first, last = tmp_path / "!first", tmp_path / "last"  # before and after all fingerprints
    for folder in (own, other, first, last):
        folder.mkdir(exist_ok=True)
        (folder / "checkpoint.safetensors").touch()
    unreadable = "/checkpoint.safetensors is not used: it has no readable manifest.json"
    assert checkpoint.unused(tmp_path, own) == [
        f"{first}{unreadable}",
        f"{other}/checkpoint.safetensors is not used: it was made with other inputs.x; new; old; options.a.b 2, now 1 "
        f"(delete {other} unless you go back)",
        f"{last}{unreadable}",
    ]
