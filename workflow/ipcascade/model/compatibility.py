"""Whether an encoder can be packed: it is tried on two short documents before anything is trained or scored."""

from typing import Any

import torch

from ipcascade.core.errors import UserError
from ipcascade.core.options import Batching
from ipcascade.model import attention
from ipcascade.model.network import Classifier

# How the configs of encoders call the dropout of attention probabilities.
ATTENTION_DROPOUT_KEYS = ("attention_probs_dropout_prob", "attention_dropout")
# Logits of packed and padded passes in fp32 differ by rounding only.
TOLERANCE = 1e-3
PADDED_INSTEAD = "set training.batching and scoring.batching to padded"
MIXED = "documents side by side change one another's result"


def use_batching(model: Classifier, batching: Batching) -> None:
    """Choose the encoder's attention for packed or padded batches; packed, check that packing changes no result.

    Raises UserError for an encoder that cannot be packed (it has attention of its own, no `position_ids`, or attention
    dropout), and leaves it as it was.
    """
    if batching == "padded":
        return
    config = model.encoder.config
    if any(getattr(config, key, 0.0) for key in ATTENTION_DROPOUT_KEYS):
        raise UserError(f"training.attention_dropout must be 0 with packed batches; or {PADDED_INSTEAD}")
    padded, packed = _two_documents(config.pad_token_id)
    before, was_training = config._attn_implementation, model.training
    with torch.inference_mode():
        expected = torch.cat(model.eval()(**padded), dim=1)
        try:
            model.encoder.set_attn_implementation(attention.NAME)
            model.train()(**packed)  # attention dropout, whatever its key in the config, shows only here
            found = torch.cat(model.eval()(**packed), dim=1)
            reason = None if torch.allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE) else MIXED
        except (attention.UnsupportedAttention, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
    model.train(was_training)
    if reason is not None:
        model.encoder.set_attn_implementation(before)
        raise UserError(f"encoders of the type {config.model_type} cannot be packed ({reason}); {PADDED_INSTEAD}")


def _two_documents(pad_id: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model's inputs for two documents of five and three tokens, padded and packed."""
    # Not the padding token, after which some encoders count positions.
    tokens = torch.tensor([token for token in range(9) if token != pad_id][:8])
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    ids = torch.stack([tokens[:5], tokens[3:]]).masked_fill(~mask, pad_id or 0)
    starts = torch.tensor([0, 5, 8], dtype=torch.int32)
    packed = {
        "ids": torch.cat([tokens[:5], tokens[3:6]]),
        "position_ids": torch.tensor([0, 1, 2, 3, 4, 0, 1, 2]),
        "cu_seqlens": starts,
        "cls_positions": starts[:2].long(),
    }
    return {"ids": ids, "mask": mask}, packed
