"""The classifier: an encoder, one linear head per level on each document's [CLS] vector, and label-wise attention."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ipcascade.encoder.positions import first_position
from ipcascade.model.batching import MicroBatch
from ipcascade.model.finer_level import FinerLevel
from ipcascade.model.label_attention import LabelAttention, TokenStates, packed_membership
from ipcascade.runtime.device import has_flash_attention, on_device


class Classifier(nn.Module):
    """An encoder with one linear head per level on the last hidden state of each document's first token.

    With `label_attention` each label's logit gets what the label finds in the states of all tokens, too. With a finer
    level, which is the last one, `log_odds` are what the levels above it get from it.
    """

    encoder: Any  # a transformers model, of whichever class
    labels: int  # of all levels but the finer one

    def __init__(
        self,
        encoder: nn.Module,
        sizes: Sequence[int],
        dropout: float,
        max_length: int,
        label_attention: bool,
        finer_parents: Sequence[int] | None = None,
    ) -> None:
        """sizes: labels per level, from the top down; max_length: most tokens per document.

        finer_parents: where the last level is a finer one, the column of the label above each of its labels.
        """
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
        self.label_attention = LabelAttention(hidden, sum(sizes)) if label_attention else None
        self.labels = sum(sizes[:-1]) if finer_parents is not None else sum(sizes)
        self.finer_level = FinerLevel(finer_parents, self.labels) if finer_parents is not None else None
        self.max_length = max_length
        self.first_position = first_position(encoder.config)
        self.has_flash = False

    def place(self, device: torch.device) -> "Classifier":
        """Move to a device, and use the attention kernel that it has."""
        self.has_flash = has_flash_attention(device)
        return self.to(device)

    def forward(
        self,
        ids: Tensor,
        mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        cls_positions: Tensor | None = None,
        with_vectors: bool = False,
    ) -> tuple[Tensor, ...]:
        """Logits per level, the finer one included, [documents, labels of the level], of a micro-batch.

        Padded with `mask`, else packed (see `MicroBatch`); packed, there is a row for each of its `cls_positions`.
        with_vectors: the [CLS] vectors, [documents, hidden size], come last.
        """
        states = self.token_states(ids, mask, position_ids, cu_seqlens, cls_positions)
        first = self.dropout(states.first)
        logits = [head(first) for head in self.heads]
        if self.label_attention is not None:
            found = self.label_attention(states, self.dropout).split([of_level.shape[1] for of_level in logits], dim=1)
            logits = [of_level + more for of_level, more in zip(logits, found, strict=True)]
        return (*logits, states.first) if with_vectors else tuple(logits)

    def log_odds(self, logits: Sequence[Tensor]) -> Tensor:
        """The log-odds of all labels but those of the finer level, [documents, labels], from logits per level."""
        together = torch.cat(list(logits), dim=1)
        return together if self.finer_level is None else self.finer_level(together)

    def token_states(
        self,
        ids: Tensor,
        mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        cls_positions: Tensor | None = None,
    ) -> TokenStates:
        """The encoder's last hidden states of a micro-batch."""
        if mask is not None:
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            return TokenStates(hidden, hidden[:, 0], mask[:, None].float())
        assert position_ids is not None and cu_seqlens is not None and cls_positions is not None
        hidden = self.encoder(
            input_ids=ids[None],
            position_ids=position_ids[None] + self.first_position,
            cu_seq_lens_q=cu_seqlens,
            max_length_q=self.max_length,
            has_flash=self.has_flash,
        ).last_hidden_state
        first = hidden[0].index_select(0, cls_positions)
        return TokenStates(hidden, first, packed_membership(cu_seqlens, len(cls_positions), len(ids)))

    @property
    def hidden_size(self) -> int:
        """Numbers per [CLS] vector."""
        return self.heads[0].in_features  # type: ignore[return-value]


def is_head(parameter: str) -> bool:
    """Whether a parameter, by its name in the model, is of a head or of label attention, and not of the encoder."""
    return parameter.startswith(("heads.", "label_attention."))


def inputs_of(batch: MicroBatch, device: torch.device) -> dict[str, Tensor]:
    """What `Classifier.forward` takes for this micro-batch."""
    return {
        name: on_device(array, device)
        for name, array in vars(batch).items()
        if name != "documents" and array is not None
    }
