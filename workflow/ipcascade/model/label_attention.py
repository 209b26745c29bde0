"""Label-wise attention: each label looks for its own passages, instead of all labels reading one vector.

For label l with query q_l and weights w_l, and a document's token states h_t of size d, the label's logit gets

    sum over t of a_lt * (w_l . h_t),   where a_l = softmax over the document's tokens of s_lt,
    s_lt = CAP * tanh(q_l . h_t / (CAP * sqrt(d)))

(Mullenbach et al. 2018, there with a vector per label in between; both orders give the same sum). Queries that start as
the vectors of the labels' titles know what to look for before the first example (Rios and Kavuluru 2018). Scores within
+-CAP need no maximum to be subtracted, so that no document's result depends on what is computed beside it.

Takes 4 * d * labels operations per token, for 140 labels 1% of what a small encoder does, and keeps a few numbers per
token and label, which decides the memory of trees with thousands of labels.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

CAP = 30.0
# No document's weights sum to less, and those of an empty place in a static batch, whose result nobody reads, to 0.
SMALLEST_SUM = 1e-20


class TokenStates(NamedTuple):
    """The encoder's last hidden states of a micro-batch.

    hidden: [1, tokens, size] packed, or [documents, width, size] padded; first: [documents, size], those of the
    documents' first tokens; membership: float32 [documents, tokens] packed, or [documents, 1, width] padded: 1 where a
    token is a document's.
    """

    hidden: Tensor
    first: Tensor
    membership: Tensor

    def sums(self, values: Tensor) -> Tensor:
        """Sums over each document's tokens: float32 [documents, numbers] of float32 shaped as `hidden`, of any size."""
        with torch.autocast(values.device.type, enabled=False):
            if self.membership.ndim == 2:
                return self.membership @ values[0]
            return (self.membership @ values)[:, 0]


def packed_membership(cu_seqlens: Tensor, documents: int, tokens: int) -> Tensor:
    """`TokenStates.membership` of a packed micro-batch; cu_seqlens: int32 [at least documents + 1]."""
    token = torch.arange(tokens, device=cu_seqlens.device)
    starts, ends = cu_seqlens[:documents, None], cu_seqlens[1 : documents + 1, None]
    return ((starts <= token) & (token < ends)).float()


class LabelAttention(nn.Module):
    """A query and a vector of output weights per label, both [labels, hidden size]; they start with zeros."""

    def __init__(self, hidden_size: int, labels: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(labels, hidden_size))
        self.weights = nn.Parameter(torch.zeros(labels, hidden_size))

    def forward(self, states: TokenStates, dropout: Callable[[Tensor], Tensor]) -> Tensor:
        """What the labels' logits get: float32 [documents, labels]. dropout: on what the logits are made from."""
        scale = self.queries.shape[1] ** -0.5 / CAP
        scores = CAP * torch.tanh(nn.functional.linear(states.hidden, self.queries).float() * scale)
        values = nn.functional.linear(dropout(states.hidden), self.weights).float()
        attention = torch.exp(scores)
        return states.sums(attention * values) / states.sums(attention).clamp_min(SMALLEST_SUM)
