"""Dropout for CPUs: torch draws 32 bits per element, this 16. What it is worth: tests/benchmarks/cpu_choices.py."""

import torch
from torch import Tensor, nn

VALUES = 2**16


class CpuDropout(nn.Module):
    """As `nn.Dropout`, from 16 random bits per element of torch's generator; `p` is rounded to 1/65,536."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.dropped = round(p * VALUES)

    def forward(self, hidden: Tensor) -> Tensor:
        """Zero each element with probability `p` and scale the others up; any shape. In evaluation the identity."""
        if not self.training or self.dropped == 0:
            return hidden
        # From the smallest number on, or the sign bit would never be drawn.
        numbers = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
        kept = numbers.view(torch.int16)[: hidden.numel()].view(hidden.shape) >= self.dropped - VALUES // 2
        return hidden * kept.to(hidden.dtype).mul_(VALUES / (VALUES - self.dropped))


def use_cpu_dropout(model: nn.Module) -> None:
    """Replace every `nn.Dropout` in a model that trains on a CPU."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, CpuDropout(child.p).train(child.training))
