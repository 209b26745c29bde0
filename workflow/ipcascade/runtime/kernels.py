"""Attention within documents that are packed end to end: one kernel for CPUs, two for GPUs."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn

from ipcascade.runtime.torch_private import efficient_attention, softmax_gradient

# The CPU's kernels for bf16 are prepared anew for each shape: documents of similar length share one.
ROUND_LENGTH_TO = 32


def attention_within_documents(
    query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, longest: int, scale: float, has_flash: bool
) -> Tensor:
    """Softmax attention in which no document sees another.

    query, key, value: [tokens, heads, head size]; cu_seqlens: int32 [documents + 1], where each document starts, from 0
    to `tokens`; longest: at least the tokens of the longest document; has_flash: whether the GPU has flash attention.
    Returns the shape of the query.
    """
    if query.device.type == "cpu":
        return cpu_attention(query, key, value, cu_seqlens, scale)
    longest = min(longest, query.shape[0])  # the memory-efficient kernel's backward pass refuses more
    if has_flash and query.dtype != torch.float32:
        attended = varlen_attn(query, key, value, cu_seqlens, cu_seqlens, longest, longest, scale=scale)
        assert isinstance(attended, Tensor)  # it returns more only where it is asked to
        return attended
    # With a scale of its own its backward pass cannot be compiled (torch 2.13), so the query is scaled instead.
    usual = query.shape[-1] ** -0.5
    return efficient_attention(query * (scale / usual), key, value, cu_seqlens, longest)


@torch.library.custom_op("ipcascade::cpu_attention", mutates_args=())
def cpu_attention(query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, scale: float) -> Tensor:
    """Softmax attention within each document, as matrix products document by document.

    query, key, value: [tokens, heads, head size]; cu_seqlens: int32 [documents + 1], the last being `tokens`.
    Returns the same shape. Attention weights are computed again for the backward pass rather than kept. torch's own CPU
    kernel is much slower in bf16, mostly in the backward pass (tests/benchmarks/cpu_choices.py).
    """
    tokens, heads, size = query.shape
    query, key, value = _with_room(query * scale, key, value)
    attended = query.new_empty(heads, tokens, size)
    for start, length in _documents(cu_seqlens):
        rows = slice(start, start + _round_up(length))
        weights = _weights(query[:, rows], key[:, rows], length)
        attended[:, start : start + length] = torch.bmm(weights, value[:, rows])[:, :length]
    return attended.transpose(0, 1)


@torch.library.custom_op("ipcascade::cpu_attention_backward", mutates_args=())
def cpu_attention_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of query, key and value, given that of the result; all [tokens, heads, head size]."""
    tokens, heads, size = query.shape
    query, key, value, gradient = _with_room(query * scale, key, value, gradient)
    of_query, of_key, of_value = (query.new_empty(heads, tokens, size) for _ in range(3))
    for start, length in _documents(cu_seqlens):
        rows, own = slice(start, start + _round_up(length)), slice(start, start + length)
        weights = _weights(query[:, rows], key[:, rows], length)
        of_scores = softmax_gradient(torch.bmm(gradient[:, rows], value[:, rows].transpose(1, 2)), weights)
        of_query[:, own] = torch.bmm(of_scores, key[:, rows])[:, :length]
        of_key[:, own] = torch.bmm(of_scores.transpose(1, 2), query[:, rows])[:, :length]
        of_value[:, own] = torch.bmm(weights.transpose(1, 2), gradient[:, rows])[:, :length]
    of_query *= scale
    return of_query.transpose(0, 1), of_key.transpose(0, 1), of_value.transpose(0, 1)


def _weights(query: Tensor, key: Tensor, length: int) -> Tensor:
    """A document's attention weights [heads, rows, rows]; rows from `length` on are another's and have none."""
    scores = torch.bmm(query, key.transpose(1, 2))
    scores[:, :, length:] = -torch.inf
    weights = torch.softmax(scores, dim=-1)
    weights[:, length:] = 0
    return weights


def _round_up(length: int) -> int:
    return -(-length // ROUND_LENGTH_TO) * ROUND_LENGTH_TO


def _with_room(*parts: Tensor) -> list[Tensor]:
    """Each [heads, tokens + ROUND_LENGTH_TO - 1, head size], contiguous: the last document can be rounded up."""
    return [functional.pad(part.transpose(0, 1), (0, 0, 0, ROUND_LENGTH_TO - 1)) for part in parts]


def _documents(cu_seqlens: Tensor) -> list[tuple[int, int]]:
    """Start and length of each document that has tokens."""
    return [(start, end - start) for start, end in pairwise(cu_seqlens.tolist()) if end > start]


@cpu_attention.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, scale: float) -> Tensor:
    return _empty_like(query)


@cpu_attention_backward.register_fake
def _(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_like(query), _empty_like(query), _empty_like(query)


def _empty_like(part: Tensor) -> Tensor:
    tokens, heads, size = part.shape
    return part.new_empty(heads, tokens, size).transpose(0, 1)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.scale = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    return *cpu_attention_backward(gradient, *ctx.saved_tensors, ctx.scale), None, None


cpu_attention.register_autograd(_backward, setup_context=_save_for_backward)
