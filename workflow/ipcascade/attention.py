"""Packed attention: documents end to end in one row, none of which sees another, and no padding token computed.

Registered under a name of its own in transformers' `AttentionInterface`, so that any encoder whose layers call that
interface can use it with its own weights. Per device:

- CUDA, fp16 and bf16, from compute capability 8.0 on: flash attention (`torch.nn.attention.varlen`);
- other CUDA: the memory-efficient kernel, which takes the same offsets;
- CPU: `cpu_attention` below, matrix products document by document. torch's own CPU kernel is much slower in bf16,
  mostly in the backward pass (tests/benchmarks/cpu_choices.py).

None of them has attention dropout.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "ipcascade_packed"
# The CPU's kernels for bf16 are made anew for each shape: documents of like length share one.
ROUND_TO = 32
# Whether the GPU has flash attention; `engine.set_up` finds out, since a compiled model cannot ask.
gpu_has_flash = True
# Of kernels on GPUs; on a CPU, too, so that a model that was trained there can score on a GPU.
HEAD_SIZE_MULTIPLE = 8
# What an encoder may hand to its attention function and we would have to heed.
UNKNOWN_TO_US = ("sliding_window", "softcap", "position_bias", "head_mask", "s_aux")


class UnsupportedAttention(Exception):
    """The encoder's layers ask for something that packed attention does not do."""


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function for transformers.

    query, key, value: [1, heads, tokens, head size]. cu_seq_lens_q: int32 [documents + 1], where each document
    starts, from 0 on to `tokens`. max_length_q: at least the longest document's tokens.
    Returns [1, tokens, heads, head size], and no weights.
    """
    asked = [name for name in UNKNOWN_TO_US if others.get(name) is not None]
    if dropout:
        asked.append("dropout")
    if attention_mask is not None:
        asked.append("a mask of its own")
    if key.shape != query.shape:
        asked.append("fewer heads for keys than for queries")
    if query.shape[-1] % HEAD_SIZE_MULTIPLE:
        asked.append(f"heads of a size that is no multiple of {HEAD_SIZE_MULTIPLE}")
    if asked:
        raise UnsupportedAttention(", ".join(asked))
    usual = query.shape[-1] ** -0.5
    scale = usual if scaling is None else scaling
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    longest = min(max_length_q, query.shape[0])  # the memory-efficient kernel's backward pass refuses more
    if query.device.type == "cpu":
        attended = cpu_attention(query, key, value, cu_seq_lens_q, scale)
    elif gpu_has_flash and query.dtype != torch.float32:
        attended = varlen_attn(query, key, value, cu_seq_lens_q, cu_seq_lens_q, longest, longest, scale=scale)
    else:
        # Not public, but what nested tensors' attention runs on; a test on CUDA holds it to the padded result. With a
        # scale of its own its backward pass cannot be compiled (torch 2.13), so that the query brings the scale along.
        attended = torch.ops.aten._efficient_attention_forward(
            query[None] * (scale / usual), key[None], value[None], None, cu_seq_lens_q, cu_seq_lens_q, longest, longest,
            0.0, 0, torch.is_grad_enabled(),
        )[0][0]  # fmt: skip
    return attended[None], None


@torch.library.custom_op("ipcascade::cpu_attention", mutates_args=())
def cpu_attention(query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float) -> Tensor:
    """Softmax attention within each document.

    query, key, value: [tokens, heads, head size]; starts: int32 [documents + 1], the last being `tokens`.
    Returns the same shape. Attention weights are computed again for the backward pass rather than kept.
    """
    tokens, heads, size = query.shape
    query, key, value = _with_room(query * scale, key, value)
    attended = query.new_empty(heads, tokens, size)
    for start, length in _documents(starts):
        rows = slice(start, start + _round_up(length))
        weights = _weights(query[:, rows], key[:, rows], length)
        attended[:, start : start + length] = torch.bmm(weights, value[:, rows])[:, :length]
    return attended.transpose(0, 1)


@torch.library.custom_op("ipcascade::cpu_attention_backward", mutates_args=())
def cpu_attention_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of query, key and value, given that of the result; all [tokens, heads, head size]."""
    tokens, heads, size = query.shape
    query, key, value, gradient = _with_room(query * scale, key, value, gradient)
    of_query, of_key, of_value = (query.new_empty(heads, tokens, size) for _ in range(3))
    for start, length in _documents(starts):
        rows, own = slice(start, start + _round_up(length)), slice(start, start + length)
        weights = _weights(query[:, rows], key[:, rows], length)
        of_weights = torch.bmm(gradient[:, rows], value[:, rows].transpose(1, 2))
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
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
    return -(-length // ROUND_TO) * ROUND_TO


def _with_room(*parts: Tensor) -> list[Tensor]:
    """Each [heads, tokens + ROUND_TO - 1, head size], contiguous, so that the last document can be rounded up, too."""
    return [functional.pad(part.transpose(0, 1), (0, 0, 0, ROUND_TO - 1)) for part in parts]


def _documents(starts: Tensor) -> list[tuple[int, int]]:
    """Start and length of each document that has tokens."""
    numbers = starts.tolist()
    return [(start, end - start) for start, end in pairwise(numbers) if end > start]


@cpu_attention.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float) -> Tensor:
    return _empty_like(query)


@cpu_attention_backward.register_fake
def _(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_like(query), _empty_like(query), _empty_like(query)


def _empty_like(part: Tensor) -> Tensor:
    tokens, heads, size = part.shape
    return part.new_empty(heads, tokens, size).transpose(0, 1)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.scale = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    return *cpu_attention_backward(gradient, *ctx.saved_tensors, ctx.scale), None, None


cpu_attention.register_autograd(_backward, setup_context=_keep)
AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, lambda *_, **__: None)
