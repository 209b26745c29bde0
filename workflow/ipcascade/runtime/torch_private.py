"""All private API of torch that ipcascade uses, behind functions of its own.

tests/runtime/test_torch_private.py calls each of them, so that a version of torch that changed one is named at once.
"""

import logging
import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def efficient_attention(query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, longest: int) -> Tensor:
    """Memory-efficient attention within documents on CUDA, scaled by head size ** -0.5.

    query, key, value: [tokens, heads, head size]; cu_seqlens: int32 [documents + 1]; longest: at least the tokens of
    the longest document. Returns the shape of the query. Nested tensors' attention runs on the same operator.
    """
    return torch.ops.aten._efficient_attention_forward(
        query[None], key[None], value[None], None, cu_seqlens, cu_seqlens, longest, longest, 0.0, 0,
        torch.is_grad_enabled(),
    )[0][0]  # fmt: skip


def softmax_gradient(gradient: Tensor, weights: Tensor) -> Tensor:
    """The gradient of softmax's inputs over the last dimension, given that of its outputs, and the outputs."""
    return torch.ops.aten._softmax_backward_data(gradient, weights, -1, weights.dtype)


def int8_products(rows: Tensor, columns: Tensor) -> Tensor:
    """The matrix product of int8 [n, k] and int8 [k, m], summed exactly: int32 [n, m]."""
    return torch._int_mm(rows, columns)


def choose_no_kernel_by_timing() -> None:
    """Let compiled code be the same in every process: torch.compile takes no kernel because it was fastest once."""
    import torch._inductor.config as inductor

    inductor.deterministic = True


def undo_compile(model: nn.Module) -> None:
    """Make a model that `model.compile()` changed as it was before."""
    model._compiled_call_impl = None


def run_torchrun(options: Sequence[str]) -> int:
    """Run `torchrun OPTIONS` in this process, without its own messages; return the exit code.

    In this process rather than by its command, whose answer to a rank's exit code is a page of traceback.
    Raises KilledRank where a signal ended a rank.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        torchrun(list(options))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            raise KilledRank(rank, -failure.exitcode) from None
        return failure.exitcode
    except SignalException as received:
        return 128 + received.sigval
    return 0


class KilledRank(Exception):
    """A rank was ended by a signal (its number)."""

    def __init__(self, rank: int, signal: int) -> None:
        super().__init__(rank, signal)
        self.rank, self.signal = rank, signal
