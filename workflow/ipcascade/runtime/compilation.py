"""Settings of a process before it computes, and torch.compile where it works."""

import logging
import os
from collections.abc import Callable

import torch
from torch import nn

from ipcascade.core.options import Batching
from ipcascade.runtime.memory import keep_freed_memory
from ipcascade.runtime.torch_private import choose_no_kernel_by_timing, undo_compile

log = logging.getLogger(__name__)


def set_up(device: torch.device, deterministic: bool) -> None:
    """Process-wide settings; call it once, before anything is computed.

    CUDA: TF32 where fp32 remains; with `deterministic` only kernels that add in a fixed order. CPU: freed memory is
    kept.
    """
    if device.type == "cpu":
        keep_freed_memory()
        return
    torch.set_float32_matmul_precision("high")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if deterministic:
        choose_no_kernel_by_timing()


def can_compile(model: nn.Module, batching: Batching) -> bool:
    """Whether compiling is of use: on CUDA, packed."""
    return batching == "packed" and next(model.parameters()).device.type == "cuda"


def compiled(model: nn.Module, trial: Callable[[], object]) -> bool:
    """Compile the model in place, for batches of one shape. Whether that worked; where not, a warning says why.

    trial: a first pass with this model, in which it is compiled. A cluster's node without a C compiler is no reason
    to lose a place in its queue: the model then runs as it is, only slower.
    """
    model.compile(dynamic=False)
    try:
        trial()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a first launch may fail in other ways than compiling; an error of ours comes up again
        reason = " ".join(str(error).split("\n", maxsplit=2)[:2])
        log.warning("not compiled, and so slower than it could be: %s", reason)
        undo_compile(model)
        return False
    return True
