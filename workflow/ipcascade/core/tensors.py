"""Named tensors to disk, whole or not at all, and back, checked; without pickle."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ipcascade.core.errors import UserError
from ipcascade.core.files import final_path, written_whole


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file. Raises UserError where the disk is full or may not be written."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(on_cpu, temporary, metadata=dict(metadata or {"format": "pt"}))
    except SafetensorError as error:  # its own kind of error, also for what the operating system refuses
        raise UserError(f"{final_path(path)} could not be written: {error}") from error


def load_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises UserError, which ends with what to do, where it cannot be read."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a complete safetensors file ({_first_line(error)}); {remedy}") from error


def check_tensors(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], remedy: str) -> None:
    """Raise UserError where tensors that were read from `path` are not those expected: by name, type and shape.

    The tensors of `expected` may be on the device `meta`: their values play no part.
    """
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise UserError(f"{path} lacks the tensor {name!r}; {remedy}")
        if name not in expected:
            raise UserError(f"{path} has the tensor {name!r}, which does not belong there; {remedy}")
        here, there = found[name], expected[name]
        if (here.dtype, here.shape) != (there.dtype, there.shape):
            raise UserError(f"{path}: the tensor {name!r} is {_type_of(here)}, not {_type_of(there)}; {remedy}")


def check_finite(path: Path, tensors: Mapping[str, Tensor], remedy: str) -> None:
    """Raise UserError where a tensor, which was read from `path`, holds NaN or infinities."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"{path} holds values that are not finite numbers, in {name!r} first; {remedy}")


def _type_of(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
