"""The number format of a forward pass, by device."""

from typing import Literal

import torch

from ipcascade.core.errors import UserError

ResolvedPrecision = Literal["fp16", "bf16", "fp32", "int8"]
# Processor features without which sums of two int8 products are cut off at 16 bits.
EXACT_INT8 = ("avx512_vnni", "avx_vnni", "amx_int8")


def resolve_precision(option: str, device: torch.device, section: str) -> ResolvedPrecision:
    """What the option `precision` of a section of the config means on a device.

    Raises UserError for what the device cannot do.
    """
    if option == "auto":
        if device.type == "cuda":
            return "fp16"
        native = torch.cpu.get_capabilities()
        return "bf16" if native.get("avx512_bf16") or native.get("amx_bf16") else "fp32"
    if option == "fp16" and device.type != "cuda":
        raise UserError(f"{section}.precision: fp16 needs a CUDA device; use auto, bf16 or fp32 on a CPU")
    if option == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        raise UserError(f"{section}.precision: {torch.cuda.get_device_name(device)} has no bf16; use auto or fp16")
    if option == "int8" and device.type != "cpu":
        raise UserError(
            f"{section}.precision: int8 is for CPUs; use auto, fp16 or bf16 on a GPU, or set {section}.accelerator: cpu"
        )
    if option == "int8" and not any(torch.cpu.get_capabilities().get(name) for name in EXACT_INT8):
        raise UserError(
            f"{section}.precision: int8 needs a processor that adds int8 products exactly (VNNI or AMX); use auto"
        )
    return option  # type: ignore[return-value]


def autocast(precision: ResolvedPrecision, device: torch.device) -> torch.autocast:
    """The context in which a forward pass runs in `precision`; weights are converted once within it."""
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)
