"""AdamW's parameter groups, and the learning rate over a run."""

import math
from typing import Any

from torch import nn

from ipcascade.model.network import Classifier, is_head


def parameter_groups(model: Classifier, encoder_rate: float, head_rate: float, decay: float) -> list[dict[str, Any]]:
    """AdamW's groups: encoder and heads at their own rates; biases and norms without decay.

    Each group has its peak learning rate as `peak`.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((is_head(name), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": 0.0,
            "peak": head_rate if of_heads else encoder_rate,
            "weight_decay": decay if decays else 0.0,
        }
        for (of_heads, decays), parameters in groups.items()
    ]


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over a share `warmup` of all steps, then linear decay to 0; `step` counts from 0."""
    rising = max(1, math.ceil(steps * warmup)) if warmup > 0 else 0
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (steps - step) / max(1, steps - rising))
