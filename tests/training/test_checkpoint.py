"""Files of a checkpoint: which ones a new one replaces, and what is said of those of other trainings."""

import json

import numpy as np
import pytest
import torch

from ipcascade.training import checkpoint


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
