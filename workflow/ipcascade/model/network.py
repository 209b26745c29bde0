"""The classifier: an encoder, and one linear head per level on each document's [CLS] vector."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ipcascade.encoder.positions import first_position
from ipcascade.model.batching import MicroBatch
from ipcascade.runtime.device import has_flash_attention, on_device


class Classifier(nn.Module):
    """An encoder with one linear head per level on the last hidden state of each document's first token."""

    encoder: Any  # a transformers model, of whichever class

    def __init__(self, encoder: nn.Module, sizes: Sequence[int], dropout: float, max_length: int) -> None:
        """sizes: labels per level, from the top down; max_length: most tokens per document."""
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes)
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
        """Logits per level, [documents, labels of the level], of a micro-batch (see `MicroBatch`).

        Padded with `mask`, else packed; packed, there is a row for each of the micro-batch's `cls_positions`.
        with_vectors: the [CLS] vectors, [documents, hidden size], come last.
        """
        if position_ids is None or cls_positions is None:
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        else:
            hidden = self.encoder(
                input_ids=ids[None],
                position_ids=position_ids[None] + self.first_position,
                cu_seq_lens_q=cu_seqlens,
                max_length_q=self.max_length,
                has_flash=self.has_flash,
            ).last_hidden_state[0]
            hidden = hidden.index_select(0, cls_positions)
        vectors = (hidden,) if with_vectors else ()
        hidden = self.dropout(hidden)
        return (*(head(hidden) for head in self.heads), *vectors)

    @property
    def hidden_size(self) -> int:
        """Numbers per [CLS] vector."""
        return self.heads[0].in_features  # type: ignore[return-value]

    @property
    def labels(self) -> int:
        """Outputs of all heads together."""
        return sum(head.out_features for head in self.heads)  # type: ignore[misc]


def is_head(parameter: str) -> bool:
    """Whether a parameter, by its name in the model, belongs to a head rather than to the encoder."""
    return parameter.startswith("heads.")


def inputs_of(batch: MicroBatch, device: torch.device) -> dict[str, Tensor]:
    """What `Classifier.forward` takes for this micro-batch."""
    return {
        name: on_device(array, device)
        for name, array in vars(batch).items()
        if name != "documents" and array is not None
    }
