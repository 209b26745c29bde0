"""The finer level: what a network that learns it, too, says of the labels above it.

A network may learn one level more than those that are reported: with classes the subclasses. Its output for a label l
that has finer ones below it is then the mean of two log-odds: its own, z_l, and those that at least one of the finer
labels k holds, were they independent (a noisy or):

    (z_l + log((1 - q_l) / q_l)) / 2,   where q_l = product over k of 1 / (1 + exp(z_k))
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Of -log(q), whose logarithm is taken.
SMALLEST = 1e-30


class FinerLevel(nn.Module):
    """Which label each finer one is below."""

    below: Tensor  # float32 [finer labels, labels], 1 where a finer label is below a label
    has_finer: Tensor  # bool [labels]

    def __init__(self, parents: Sequence[int], labels: int) -> None:
        """parents: of each finer label the label above it; labels: how many there are above."""
        super().__init__()
        above = torch.tensor(parents, dtype=torch.int64, device="cpu")
        below = functional.one_hot(above, labels).float()
        self.register_buffer("below", below, persistent=False)
        self.register_buffer("has_finer", below.any(dim=0), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        """Log-odds of the labels, float32 [documents, labels], from logits, [documents, labels and finer labels]."""
        with torch.autocast(logits.device.type, enabled=False):
            own, finer = logits.float().tensor_split([len(self.has_finer)], dim=1)
            minus_log_q = (functional.softplus(finer) @ self.below).clamp_min(SMALLEST)
            any_holds = minus_log_q + torch.log(-torch.expm1(-minus_log_q))
            return torch.where(self.has_finer, (own + any_holds) / 2, own)
