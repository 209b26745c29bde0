"""Packed attention for transformers: documents end to end in one row, none of which sees another.

Registered under a name of its own in transformers' `AttentionInterface`, so that any encoder whose layers call that
interface can use it with its own weights. Kernels: runtime/kernels.py. None of them has attention dropout.
"""

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface

from ipcascade.runtime.kernels import attention_within_documents

NAME = "ipcascade_packed"
# Of kernels on GPUs; on a CPU, too, so that a model that was trained there can score on a GPU.
HEAD_SIZE_MULTIPLE = 8
# What an encoder may hand to its attention function, and what packed attention does not do.
UNSUPPORTED_ARGUMENTS = ("sliding_window", "softcap", "position_bias", "head_mask", "s_aux")


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
    has_flash: bool = False,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function for transformers.

    query, key, value: [1, heads, tokens, head size]. cu_seq_lens_q: int32 [documents + 1], where each document
    starts, from 0 on to `tokens`. max_length_q: at least the longest document's tokens. has_flash: whether the device
    has flash attention.
    Returns [1, tokens, heads, head size], and no weights.
    """
    asked = [name for name in UNSUPPORTED_ARGUMENTS if others.get(name) is not None]
    if dropout:
        asked.append("dropout")
    if attention_mask is not None:
        asked.append("a mask of its own")
    if key.shape != query.shape:
        asked.append("fewer heads for keys than for queries")
    if query.shape[-1] % HEAD_SIZE_MULTIPLE:
        asked.append(f"heads of a size that is not a multiple of {HEAD_SIZE_MULTIPLE}")
    if asked:
        raise UnsupportedAttention(", ".join(asked))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    attended = attention_within_documents(query, key, value, cu_seq_lens_q, max_length_q, scale, has_flash)
    return attended[None], None


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, lambda *_, **__: None)
