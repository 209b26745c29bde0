"""Where a process computes. Nothing here changes a result but through the precision that a device has."""

import os

import numpy as np
import torch
from torch import Tensor

from ipcascade.core.errors import UserError


def choose_device(accelerator: str, section: str) -> torch.device:
    """The device of this process.

    accelerator: `auto`, `cuda` or `cpu`, from the config's `section` (for the message). `auto` takes CUDA where torch
    sees it and the CPU elsewhere, but not in a job that was given a GPU: a day on its CPU is not what was asked for.
    Raises UserError where a GPU is wanted and torch sees none, or fewer than there are ranks.
    """
    if accelerator == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        ranks, seen = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
        if ranks > seen:
            raise UserError(
                f"{section}.devices is {ranks}, but torch sees {seen} GPU(s); give the job as many "
                f"(on Slurm: gres gpu:{ranks}) or set {section}.devices: {seen}"
            )
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        return device
    given = _given_gpus()
    if accelerator == "cuda" or given:
        whose = f"this job was given a GPU ({given})" if given else f"{section}.accelerator is cuda"
        raise UserError(
            f"{whose}, but torch {torch.__version__} sees none: {_why_not(given)}; "
            f"or set {section}.accelerator: cpu to use the CPU"
        )
    return torch.device("cpu")


def _given_gpus() -> str | None:
    """How the scheduler says that the job has a GPU, as NAME=VALUE; None where it says nothing of the kind."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS"):
        value = os.environ.get(name, "")
        if value not in ("", "-1", "NoDevFiles"):
            return f"{name}={value}"
    return None


def _why_not(given: str | None) -> str:
    if torch.version.cuda is None:
        return (
            "it is a build without CUDA; install the CUDA build of the same version into this environment "
            "(docs/stanage.md, 'A GPU that torch does not see')"
        )
    if given is None:
        return "no GPU was asked for; on Slurm the rule needs gres gpu:1 in a GPU partition"
    return (
        f"it was built for CUDA {torch.version.cuda}; see whether `nvidia-smi` shows the GPU inside a job, and whether "
        "its driver is new enough for that CUDA"
    )


def has_flash_attention(device: torch.device) -> bool:
    """Whether flash attention runs on this device: CUDA of compute capability 8.0 and later."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """A tensor of an array; on CUDA copied from pinned memory, without waiting for the device."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
