"""What training and scoring set up alike: precision, the shape of passes, memory, kernels, speed figures."""

import ctypes
import logging
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from . import attention
from .batching import Batching, Pass
from .errors import UserError

log = logging.getLogger(__name__)
Precision = Literal["fp16", "bf16", "fp32", "int8"]
# Dense, with fp16 or bf16 inputs: the makers' data sheets, for boards with full power.
PEAK_TFLOPS = {
    "A100": 312.0,
    "A30": 165.0,
    "A40": 150.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "H200": 989.0,
    "L40S": 362.0,
    "V100": 125.0,
}
# Instructions without which sums of two products are cut off at 16 bits.
EXACT_INT8 = ("avx512_vnni", "avx_vnni", "amx_int8")
# malloc.h of glibc
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def resolve_precision(option: str, device: torch.device) -> Precision:
    """What `auto` means on this device. Raises UserError for what the device cannot do."""
    if option == "auto":
        if device.type == "cuda":
            return "fp16"
        native = torch.cpu.get_capabilities()
        return "bf16" if native.get("avx512_bf16") or native.get("amx_bf16") else "fp32"
    if option == "fp16" and device.type != "cuda":
        raise UserError("precision: fp16 needs a CUDA device; use auto, bf16 or fp32 on a CPU")
    if option == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        raise UserError(f"precision: {torch.cuda.get_device_name(device)} has no bf16; use auto or fp16")
    if option == "int8" and device.type != "cpu":
        raise UserError("precision: int8 is for CPUs; use auto, fp16 or bf16 on a GPU, or set scoring.accelerator: cpu")
    if option == "int8" and not any(torch.cpu.get_capabilities().get(name) for name in EXACT_INT8):
        raise UserError("precision: int8 needs a processor that adds int8 products exactly (VNNI or AMX); use auto")
    return option  # type: ignore[return-value]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context in which a forward pass runs in `precision`; weights are converted once within it."""
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def set_up(device: torch.device, deterministic: bool) -> None:
    """Process-wide settings; call it once, before anything is computed.

    CUDA: TF32 where fp32 remains; with `deterministic` only kernels that add in a fixed order. CPU: freed memory is
    kept for the next tensor instead of being given back and got anew, page by page (tests/benchmarks/cpu_choices.py).
    """
    if device.type == "cuda":
        attention.gpu_has_flash = torch.cuda.get_device_capability(device) >= (8, 0)
        torch.set_float32_matmul_precision("high")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if deterministic:
            import torch._inductor.config as inductor

            inductor.deterministic = True  # no kernel of compiled code is chosen by timing
    elif sys.platform == "linux":
        with suppress(AttributeError):  # another C library than glibc
            c_library = ctypes.CDLL(None)
            c_library.mallopt(M_MMAP_MAX, 0)
            c_library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            c_library.mallopt(M_TOP_PAD, 64 * 2**20)


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """A tensor of an array; on CUDA copied from pinned memory, without waiting for the device."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def inputs_of(one: Pass, device: torch.device) -> dict[str, Tensor]:
    """What `CascadeModel.forward` takes for this pass."""
    return {
        name: on_device(array, device) for name, array in vars(one).items() if name != "documents" and array is not None
    }


def can_compile(model: nn.Module, batching: Batching) -> bool:
    """Whether compiling is of use: on CUDA, packed."""
    return batching == "packed" and next(model.parameters()).device.type == "cuda"


def compiled(model: nn.Module, trial: Callable[[], object]) -> bool:
    """Compile the model in place, for passes of one shape. Whether that worked; where not, a warning says why.

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
        model._compiled_call_impl = None  # as it was before
        return False
    return True


@contextmanager
def too_little_memory_said(key: str, tokens: int, effect: str) -> Iterator[None]:
    """Where the GPU's memory runs out for passes of `tokens`, a UserError: lower the config's `key`, to what effect."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU has too little memory for passes of {tokens} tokens: set {key} to {tokens // 2} and submit "
            f"again; {effect}"
        ) from error


def forward_flops(encoder: Any, tokens: float, squares: float) -> float:
    """Floating-point operations of the encoder's matrix products in one forward pass; training takes three times that.

    tokens: of all documents; squares: sum of their squared lengths, for attention. Two operations a multiplication
    and addition, as is customary (Chowdhery et al. 2022, appendix B); embeddings, norms and heads are left out.
    """
    weights = sum(layer.weight.numel() for layer in encoder.modules() if isinstance(layer, nn.Linear))
    config = encoder.config
    return 2.0 * weights * tokens + 4.0 * config.num_hidden_layers * config.hidden_size * squares


def peak_flops(device: torch.device, precision: Precision) -> float | None:
    """The device's dense peak in operations a second; None where it is not known (CPUs, fp32, other GPUs)."""
    if device.type != "cuda" or precision == "fp32":
        return None
    name = torch.cuda.get_device_name(device)
    words = set(re.split(r"[ -]", name)) - {"NVIDIA", "Tesla"}
    known = [peak for key, peak in PEAK_TFLOPS.items() if set(key.split()) <= words]
    return min(known) * 1e12 if known and "NVL" not in words else None


def peak_memory(device: torch.device) -> float:
    """MiB: the most that torch had allocated on a GPU, or the most memory that this process had on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in bytes on macOS
    # Not getrusage, in which on Linux the peak of the process that started this one may stand.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
