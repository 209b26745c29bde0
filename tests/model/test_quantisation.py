"""An int8 layer against integer arithmetic."""

import numpy as np
import pytest
import torch

from ipcascade.model.quantisation import Int8Linear
from ipcascade.runtime.precision import EXACT_INT8

needs_vnni = pytest.mark.skipif(
    not any(torch.cpu.get_capabilities().get(name) for name in EXACT_INT8), reason="needs a processor with VNNI or AMX"
)


@needs_vnni
@pytest.mark.parametrize("bias", [True, False])
def test_an_int8_layer_is_integer_arithmetic_with_one_scale_per_row_and_output(bias):
    torch.manual_seed(0)
    linear = torch.nn.Linear(24, 7, bias=bias)
    inputs = torch.randn(3, 5, 24)
    inputs[1] *= 1000
    inputs[2, 4] = 0
    with torch.no_grad():
        found = Int8Linear(linear)(inputs).numpy()
        rows, weight = inputs.numpy().reshape(15, 24), linear.weight.numpy()
        exact = linear(inputs).numpy()
    of_rows = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-30) / 127
    of_outputs = np.abs(weight).max(axis=1, keepdims=True) / 127
    products = np.round(rows / of_rows).astype(int) @ np.round(weight / of_outputs).astype(int).T
    expected = products * of_rows * of_outputs.T + (linear.bias.detach().numpy() if bias else 0)
    np.testing.assert_allclose(found.reshape(15, 7), expected, rtol=1e-4, atol=1e-5)
    # Half a unit of input and of weight each: at most so much of every product.
    bound = (24 * 127 + 6) * of_rows * of_outputs.T
    assert (np.abs(found - exact).reshape(15, 7) <= bound + 1e-5).all()
