"""What an epoch took, and the figures of speed and memory in the history (docs/engine.md)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ipcascade.model.batching import MicroBatch
from ipcascade.runtime.memory import peak_memory
from ipcascade.runtime.precision import ResolvedPrecision

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


@dataclass
class EpochCounts:
    """An epoch so far; it goes into checkpoints, so that a resumed epoch's figures cover all of it.

    seconds: of training, without validation; collating: of these, on putting micro-batches together. documents, tokens,
    squares (sum of squared lengths): of all ranks. own_tokens, computed_tokens (with padding and unused ones): of this
    rank's micro-batches, whose share is like any other's. peak_memory_mib: as of the last `note_peak_memory`.
    """

    seconds: float = 0.0
    collating: float = 0.0
    documents: int = 0
    tokens: int = 0
    squares: int = 0
    own_tokens: int = 0
    computed_tokens: int = 0
    peak_memory_mib: float = 0.0

    def add_step(
        self, lengths: np.ndarray, own_lengths: np.ndarray, batches: Sequence[MicroBatch], collating: float
    ) -> None:
        """Count a step. lengths, own_lengths: of the documents of all ranks and of this one; collating: seconds."""
        self.collating += collating
        self.documents += len(lengths)
        self.tokens += int(lengths.sum())
        self.squares += int((lengths**2).sum())
        self.own_tokens += int(own_lengths.sum())
        self.computed_tokens += sum(batch.computed_tokens for batch in batches)

    def note_peak_memory(self, device: torch.device) -> None:
        """Keep the highest peak of the processes that trained this epoch."""
        self.peak_memory_mib = max(self.peak_memory_mib, peak_memory(device))

    def figures(
        self, encoder: nn.Module, device: torch.device, devices: int, precision: ResolvedPrecision
    ) -> dict[str, float | None]:
        """The history's columns. Peak memory, padding and the share of collating are those of this rank."""
        flops = 3 * forward_flops(encoder, self.tokens, self.squares) / self.seconds / devices
        peak = peak_flops(device, precision)
        return {
            "seconds": self.seconds,
            "documents_per_second": self.documents / self.seconds,
            "tokens_per_second": self.tokens / self.seconds,
            "padding_efficiency": self.own_tokens / self.computed_tokens,
            "tflops_per_device": flops / 1e12,
            "model_flop_utilisation": None if peak is None else flops / peak,
            "data_wait_share": self.collating / self.seconds,
            "peak_memory_mib": self.peak_memory_mib,
        }


def forward_flops(encoder: Any, tokens: float, squares: float) -> float:
    """Floating-point operations of the encoder's matrix products in one forward pass; training takes three times that.

    tokens: of all documents; squares: sum of their squared lengths, for attention. Two operations per multiplication
    and addition, as is customary (Chowdhery et al. 2022, appendix B); embeddings, norms and heads are left out.
    """
    weights = sum(layer.weight.numel() for layer in encoder.modules() if isinstance(layer, nn.Linear))
    config = encoder.config
    return 2.0 * weights * tokens + 4.0 * config.num_hidden_layers * config.hidden_size * squares


def peak_flops(device: torch.device, precision: ResolvedPrecision) -> float | None:
    """The device's dense peak in operations per second; None where it is not known (CPUs, fp32, other GPUs)."""
    if device.type != "cuda" or precision == "fp32":
        return None
    name = torch.cuda.get_device_name(device)
    words = set(re.split(r"[ -]", name)) - {"NVIDIA", "Tesla"}
    known = [peak for key, peak in PEAK_TFLOPS.items() if set(key.split()) <= words]
    return min(known) * 1e12 if known and "NVL" not in words else None
