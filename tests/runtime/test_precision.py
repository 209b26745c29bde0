"""Precision by device: what `auto` means, and what is refused."""

import pytest
import torch

from ipcascade.core.errors import UserError
from ipcascade.runtime.precision import resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_precision_by_device():
    assert resolve_precision("auto", CUDA, "training") == "fp16"
    assert resolve_precision("auto", CPU, "training") in ("bf16", "fp32")
    with pytest.raises(UserError, match=r"^training\.precision: fp16 needs a CUDA device"):
        resolve_precision("fp16", CPU, "training")
    with pytest.raises(UserError, match=r"^scoring\.precision: int8 is for CPUs.*scoring\.accelerator: cpu"):
        resolve_precision("int8", CUDA, "scoring")


def test_int8_needs_a_processor_that_adds_exactly(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_f": True, "avx512_vnni": False})
    with pytest.raises(UserError, match="int8 needs a processor that adds int8 products exactly"):
        resolve_precision("int8", CPU, "scoring")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    assert resolve_precision("int8", CPU, "scoring") == "int8"
