"""Memory: how it is allocated on CPUs, how much was used, and the message where a GPU has too little."""

import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from ipcascade.core.errors import UserError

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """On Linux, keep freed memory for the next tensor instead of giving it back and getting it anew, page by page.

    What it is worth: tests/benchmarks/cpu_choices.py.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library than glibc
            c_library = ctypes.CDLL(None)
            c_library.mallopt(M_MMAP_MAX, 0)
            c_library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
            c_library.mallopt(M_TOP_PAD, 64 * 2**20)


@contextmanager
def out_of_memory_explained(key: str, tokens: int, effect: str) -> Iterator[None]:
    """Where a GPU's memory runs out for passes of `tokens`, a UserError: lower the config's `key`, to what effect."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the GPU has too little memory for passes of {tokens} tokens: set {key} to {tokens // 2} and submit "
            f"again; {effect}"
        ) from error


def peak_memory(device: torch.device) -> float:
    """MiB: the most that torch had allocated on a GPU, or the most memory that this process had on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in bytes on macOS
    # Not getrusage, which on Linux may give the peak of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
