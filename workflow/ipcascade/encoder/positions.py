"""Where an encoder begins to count a document's positions."""

from typing import Any

POSITIONS_AFTER_PADDING = frozenset(
    "camembert data2vec-text esm ibert lilt longformer luke mpnet roberta roberta-prelayernorm xlm-roberta"
    " xlm-roberta-xl xmod".split()
)
"""Model types that count positions from the padding token's id on, and so have fewer than their config says."""


def first_position(config: Any) -> int:
    """The position of a document's first token; config: of a transformers encoder.

    0, but for the models of POSITIONS_AFTER_PADDING, where it is the padding token's id plus 1.
    """
    return config.pad_token_id + 1 if config.model_type in POSITIONS_AFTER_PADDING else 0
