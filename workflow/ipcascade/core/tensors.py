"""Named tensors to disk, whole or not at all, without pickle."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ipcascade.core.errors import UserError
from ipcascade.core.files import written_whole


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file. Raises UserError where the disk is full or may not be written."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(on_cpu, temporary, metadata=dict(metadata or {"format": "pt"}))
    except SafetensorError as error:  # its own kind of error, also for what the operating system refuses
        raise UserError(f"{path} could not be written: {error}") from error
