"""A trial of a model on two documents: whether its encoder can do what a classifier on the first token asks of it.

The classifier reads the output of a document's first token alone. So that output has to depend on the whole document,
and on nothing else: neither on padding nor on documents beside it. transformers has encoders of which one or the other
is not true (causal models read from left to right; some ignore the mask), and all of them can be trained to nonsense.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ipcascade.model import attention
from ipcascade.model.network import Classifier

# Logits of two passes in fp32 differ by rounding only, relative to the largest of them.
TOLERANCE = 1e-3
# A quarter of a document changes them by more than that of rounding; what is not seen changes nothing.
NOTICED = 1e-6
MIXED = "documents side by side change one another's result"


class Trial(NamedTuple):
    """Two documents as token ids [tokens], the second much shorter; and the first with its last quarter changed."""

    long: Tensor
    short: Tensor
    changed: Tensor
    pad_id: int

    @classmethod
    def of(cls, ids: Tensor, others: Tensor, pad_id: int) -> "Trial":
        """ids, others: [tokens], two documents of as many tokens that differ in each but special ones."""
        kept = len(ids) - len(ids) // 4
        return cls(ids, ids[: max(2, len(ids) // 4)], torch.cat([ids[:kept], others[kept:]]), pad_id)

    def cut(self, length: int) -> "Trial":
        """The same documents with no more than so many tokens."""
        return Trial(self.long[:length], self.short[:length], self.changed[:length], self.pad_id)


class Unsuitable(Exception):
    """The encoder cannot be used: the reason, as part of a sentence."""


@torch.inference_mode()
def logits_alone(model: Classifier, trial: Trial, sees_all: bool = False) -> Tensor:
    """The logits of both documents, each in a pass of its own: [2, labels]; as they should always be.

    sees_all: whether it is known that they depend on the whole document.
    Raises Unsuitable where they are not numbers, depend on padding, or do not depend on a document's last quarter; and
    what the model raises.
    """
    model.eval()
    alone = torch.cat([_padded(model, trial.pad_id, document) for document in (trial.long, trial.short)])
    if not torch.isfinite(alone).all():
        raise Unsuitable("its output is not finite")
    changed, short = _padded(model, trial.pad_id, trial.changed, trial.short)
    if not sees_all and _differ(changed, alone[0]) <= NOTICED:
        raise Unsuitable(
            f"in a text of {len(trial.long)} tokens its output for the first one does not depend on the last quarter: "
            "it reads from left to right, as models that generate text do, or sees only what is near"
        )
    if _differ(short, alone[1]) > TOLERANCE:
        raise Unsuitable("padding changes its output")
    return alone


@torch.inference_mode()
def reason_not_to_pack(model: Classifier, trial: Trial, alone: Tensor) -> str | None:
    """Why a model whose attention is the packed one cannot be packed; None where its logits are those given."""
    try:
        # Attention dropout, whatever its key in the config, shows only in training.
        model.train()(**_packed(trial.short, trial.short))
        found = torch.cat(model.eval()(**_packed(trial.long, trial.short)), dim=1)
    except (attention.UnsupportedAttention, ValueError, TypeError, RuntimeError, IndexError) as error:
        return reason_of(error)
    return None if _differ(found, alone) <= TOLERANCE else MIXED


def reason_of(error: BaseException) -> str:
    """The first line of what a library says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _differ(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest of the second; infinite where one of the first is not finite."""
    if not torch.isfinite(one).all():
        return float("inf")
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-6))


def _padded(model: Classifier, pad_id: int, *documents: Tensor) -> Tensor:
    ids = torch.nn.utils.rnn.pad_sequence(list(documents), batch_first=True, padding_value=pad_id)
    lengths = torch.tensor([len(document) for document in documents])
    return torch.cat(model(ids=ids, mask=torch.arange(ids.shape[1]) < lengths[:, None]), dim=1)


def _packed(*documents: Tensor) -> dict[str, Any]:
    lengths = torch.tensor([len(document) for document in documents])
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return {
        "ids": torch.cat(documents),
        "position_ids": torch.cat([torch.arange(len(document)) for document in documents]),
        "cu_seqlens": starts.to(torch.int32),
        "cls_positions": starts[:-1],
    }
