"""What an epoch took, and the figures that the history says of it (docs/engine.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .batching import Pass
from .engine import Precision, forward_flops, peak_flops, peak_memory


@dataclass
class EpochCounts:
    """An epoch so far; it goes into checkpoints, so that a resumed epoch's figures tell of all of it.

    seconds: of training, without validation; collating: of these, until passes were put together. documents, tokens,
    squares (sum of squared lengths): of all ranks. own_tokens, computed_tokens (with padding and inert ones): of this
    rank's passes, whose share is like any other's.
    """

    seconds: float = 0.0
    collating: float = 0.0
    documents: int = 0
    tokens: int = 0
    squares: int = 0
    own_tokens: int = 0
    computed_tokens: int = 0

    def add_step(self, lengths: np.ndarray, own_lengths: np.ndarray, passes: Sequence[Pass], collating: float) -> None:
        """Count a step. lengths, own_lengths: of the documents of all ranks and of this one; collating: seconds."""
        self.collating += collating
        self.documents += len(lengths)
        self.tokens += int(lengths.sum())
        self.squares += int((lengths**2).sum())
        self.own_tokens += int(own_lengths.sum())
        self.computed_tokens += sum(one.computed_tokens for one in passes)

    def figures(
        self, encoder: nn.Module, device: torch.device, devices: int, precision: Precision
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
            "peak_memory_mib": peak_memory(device),
        }
