"""Checkpoints: safetensors files with everything that resuming needs, replaced atomically.

They are in a folder that no rule declares (a declared output is deleted when its job fails), named after a fingerprint
of options, inputs and code, which `manifest.json` there lists. `checkpoint.safetensors` holds weights, optimizer and
facts; in files of their own beside it are the weights of the best epoch and the validation probabilities of each epoch,
since they change seldom.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ipcascade.core.errors import UserError
from ipcascade.core.files import check_content, dump_json, parse_json, written_whole
from ipcascade.core.schemas import CheckpointFacts
from ipcascade.core.tensors import check_finite, check_tensors, load_tensors, save_tensors

NAME = "checkpoint.safetensors"
MANIFEST = "manifest.json"
OPTIMIZER_STATE = r"optimizer/(.+)/(\w+)"
FROM_THE_BEGINNING = "delete it to train from the beginning"


def folder_for(root: Path, belongs_to: Mapping[str, Any]) -> tuple[Path, str]:
    """The folder below `root` for checkpoints of a training, made with its manifest; and the training's fingerprint.

    belongs_to: JSON-able facts (options, input checksums, code) that, where one differs, make it another training.
    """
    fingerprint = hashlib.sha256(dump_json(belongs_to).encode()).hexdigest()
    folder = root / fingerprint[:16]
    with written_whole(folder / MANIFEST) as temporary:
        temporary.write_text(dump_json(belongs_to), encoding="utf-8")
    return folder, fingerprint


def unused(root: Path, folder: Path) -> list[str]:
    """For each other folder with a checkpoint below `root` a sentence on why it is not used for `folder`'s training."""
    own = _flat(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    sentences = []
    for path in sorted(root.glob(f"*/{NAME}")):
        if path.parent == folder:
            continue
        try:
            other = _flat(parse_json((path.parent / MANIFEST).read_text(encoding="utf-8"), MANIFEST))
        except (OSError, ValueError, UserError):
            sentences.append(f"{path} is not used: it has no readable {MANIFEST}")
            continue
        different = [key for key in sorted(own.keys() | other.keys()) if own.get(key) != other.get(key)]
        named = [
            f"{key} {other.get(key)}, now {own.get(key)}" if key.startswith("options.") else key for key in different
        ]
        sentences.append(
            f"{path} is not used: it was made with other {'; '.join(named)} (delete {path.parent} unless you go back)"
        )
    return sentences


def _flat(facts: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(facts, dict):
        return {prefix: facts}
    return {
        name: value
        for key, inner in facts.items()
        for name, value in _flat(inner, f"{prefix}.{key}" if prefix else key).items()
    }


def save(
    folder: Path,
    fingerprint: str,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: dict[str, Any],
) -> None:
    """Replace the folder's checkpoint; a crash at any moment leaves either the old one or the new one.

    facts: JSON-able; `best_epoch` among them says which best weights belong to it, and `epochs`, a list with one entry
    per finished epoch, how many validation files do; all others are removed.
    """
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()} | _named_state(model, optimizer)
    text = json.dumps({"fingerprint": fingerprint, **facts})  # unsorted: the order of the history's columns is kept
    save_tensors(folder / NAME, tensors, {"ipcascade": text})
    finished = range(1, len(facts["epochs"]) + 1)
    kept = {NAME, _best_name(facts["best_epoch"]), *(_validation_name(epoch) for epoch in finished)}
    for path in folder.glob("*.safetensors"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    for orphan in folder.glob(".*.part"):  # of a process that was killed while it wrote
        orphan.unlink(missing_ok=True)


def load(
    folder: Path, fingerprint: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Put the folder's checkpoint into model and optimizer and return its facts; None where there is none.

    Raises UserError for a broken file or one of another fingerprint (put there by hand).
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = parse_json((file.metadata() or {}).get("ipcascade", "{}"), f"the metadata of {path}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable checkpoint ({error}); {FROM_THE_BEGINNING}") from None
    if facts.get("fingerprint") != fingerprint:
        raise UserError(f"{path} belongs to a training with other options, data or code; delete it to start again")
    check_content(CheckpointFacts, facts, f"the metadata of {path}")
    _check_optimizer(path, model, tensors)
    weights = {n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")}
    check_tensors(path, weights, model.state_dict(), FROM_THE_BEGINNING)
    check_finite(path, weights, FROM_THE_BEGINNING)
    model.load_state_dict(weights)
    _restore_state(model, optimizer, tensors)
    del facts["fingerprint"]
    return facts


def save_best(folder: Path, epoch: int, state: dict[str, Tensor]) -> None:
    """Store the weights of a best epoch; the former ones remain until the next `save`, whose facts name this epoch."""
    save_tensors(folder / _best_name(epoch), state)


def load_best(folder: Path, epoch: int, model: torch.nn.Module) -> dict[str, Tensor]:
    """The weights that `save_best` stored for an epoch of a model.

    Raises UserError where they are missing, broken or another model's.
    """
    path = folder / _best_name(epoch)
    return _checked(path, model.state_dict())


def save_validation(folder: Path, epoch: int, scores: np.ndarray) -> None:
    """Store the validation probabilities of an epoch (from 1), float32 [validation documents, labels]."""
    save_tensors(folder / _validation_name(epoch), {"scores": torch.from_numpy(scores)})


def load_validation(folder: Path, epoch: int, shape: tuple[int, int]) -> np.ndarray:
    """What `save_validation` stored for an epoch: float32 of the shape given.

    Raises UserError where it is missing, broken or of another shape.
    """
    expected = {"scores": torch.empty(shape, dtype=torch.float32, device="meta")}
    return _checked(folder / _validation_name(epoch), expected)["scores"].numpy()


def _checked(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    remedy = f"delete {path.parent} to train from the beginning"
    found = load_tensors(path, remedy)
    check_tensors(path, found, expected, remedy)
    check_finite(path, found, remedy)
    return found


def _check_optimizer(path: Path, model: torch.nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise UserError for a tensor that is neither a weight nor the optimizer's state of one."""
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        of_optimizer = re.fullmatch(OPTIMIZER_STATE, name)
        if name.startswith("model/"):
            continue
        shapes = ((), parameters[of_optimizer[1]].shape) if of_optimizer and of_optimizer[1] in parameters else ()
        if tensor.shape not in shapes or not tensor.is_floating_point():
            raise UserError(
                f"{path}: the tensor {name!r} is not the optimizer's state of a weight; {FROM_THE_BEGINNING}"
            )


def _best_name(epoch: int) -> str:
    return f"best-epoch-{epoch}.safetensors"


def _validation_name(epoch: int) -> str:
    return f"validation-epoch-{epoch}.safetensors"


def _named_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"optimizer/{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def _restore_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        if matched := re.fullmatch(OPTIMIZER_STATE, name):
            parameter = parameters[matched[1]]
            optimizer.state[parameter][matched[2]] = value.to(parameter.device)
