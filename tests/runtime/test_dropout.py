"""Dropout for CPUs: the share, the scale, the seed."""

import pytest
import torch
from torch import nn

from ipcascade.runtime.dropout import CpuDropout, use_cpu_dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_elements_are_dropped_independently_at_the_rate(p, dtype):
    torch.manual_seed(0)
    ones = torch.ones(1000, 1001, dtype=dtype, requires_grad=True)
    dropped = CpuDropout(p)(ones)
    zero = (dropped == 0).detach()
    deviation = (p * (1 - p) / zero.numel()) ** 0.5
    assert float(zero.double().mean()) == pytest.approx(p, abs=5 * deviation + 1 / 2**16)
    # Of four numbers drawn together none is like another: rates by place, and neighbours by chance alone.
    for place in range(4):
        of_place = zero.flatten()[place::4].double()
        assert float(of_place.mean()) == pytest.approx(p, abs=10 * deviation + 1 / 2**16)
    both = float((zero[:, 1:] & zero[:, :-1]).double().mean())
    assert both == pytest.approx(p * p, abs=0.005)
    assert dropped[~zero].unique().item() == pytest.approx(1 / (1 - p), rel=0.01)
    (gradient,) = torch.autograd.grad(dropped.sum(), ones)
    assert torch.equal(gradient, dropped)


def test_a_seed_gives_one_mask():
    ones, dropout = torch.ones(64), CpuDropout(0.5)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(dropout(ones))
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])


def test_evaluation_and_zero_change_nothing():
    values = torch.randn(5)
    assert CpuDropout(0.5).eval()(values) is values
    assert CpuDropout(0.0)(values) is values


def test_every_dropout_of_a_model_is_replaced():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2), nn.Sequential(nn.Dropout(0.3))).eval()
    use_cpu_dropout(model)
    found = [module for module in model.modules() if isinstance(module, CpuDropout)]
    assert [module.p for module in found] == [0.2, 0.3]
    assert not any(module.training for module in found)
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
