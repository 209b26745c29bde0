"""The private API of torch does what it is called for: a version that changed it is named by one of these tests."""

import numpy as np
import pytest
import torch

from ipcascade.runtime import torch_private

CHANGED = f"torch {torch.__version__} has changed what runtime/torch_private.py relies on"


def test_softmax_gradient_is_that_of_autograd():
    scores = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.softmax(scores, dim=-1)
    upstream = torch.randn_like(weights)
    (expected,) = torch.autograd.grad(weights, scores, upstream)
    assert torch.allclose(torch_private.softmax_gradient(upstream, weights.detach()), expected), CHANGED


def test_int8_products_are_exact():
    random = np.random.default_rng(0)
    rows, columns = random.integers(-128, 128, (33, 64)), random.integers(-128, 128, (64, 8))
    found = torch_private.int8_products(torch.tensor(rows, dtype=torch.int8), torch.tensor(columns, dtype=torch.int8))
    assert found.dtype == torch.int32 and np.array_equal(found.numpy(), rows @ columns), CHANGED


def test_efficient_attention_takes_what_it_is_given():
    with torch.device("meta"):
        query, key, value = (torch.empty(64, 2, 16, requires_grad=True) for _ in range(3))
        found = torch_private.efficient_attention(query, key, value, torch.empty(5, dtype=torch.int32), 32)
    assert found.shape == query[None].shape or found.shape == query.shape, CHANGED
    assert len(torch.autograd.grad(found.sum(), [query, key, value])) == 3, CHANGED


def test_a_compiled_model_can_be_made_as_it_was():
    model = torch.nn.Linear(2, 2)
    model.compile(backend="eager")
    assert model._compiled_call_impl is not None, CHANGED
    torch_private.undo_compile(model)
    assert model._compiled_call_impl is None and model(torch.zeros(1, 2)).shape == (1, 2)


def test_inductor_has_the_switch_for_determinism(monkeypatch):
    import torch._inductor.config as inductor

    assert hasattr(inductor, "deterministic"), CHANGED
    monkeypatch.setattr(inductor, "deterministic", False)
    torch_private.choose_no_kernel_by_timing()
    assert inductor.deterministic


def test_a_rank_that_a_signal_ended_is_reported(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(torch_private.KilledRank) as killed:
        torch_private.run_torchrun(["--standalone", "--nproc-per-node", "1", "--", str(script)])
    assert killed.value.signal == 9, CHANGED
    script.write_text("import sys\nsys.exit(3)\n")
    assert torch_private.run_torchrun(["--standalone", "--nproc-per-node", "1", "--", str(script)]) == 3, CHANGED
