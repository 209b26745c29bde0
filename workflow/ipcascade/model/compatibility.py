"""Attention for packed or padded batches, tried on two documents before anything is trained or scored."""

import torch

from ipcascade.core.errors import UserError
from ipcascade.core.options import Batching
from ipcascade.model import attention
from ipcascade.model.network import Classifier
from ipcascade.model.trial import Trial, Unsuitable, logits_alone, reason_not_to_pack, reason_of

# How the configs of encoders call the dropout of attention probabilities.
ATTENTION_DROPOUT_KEYS = ("attention_probs_dropout_prob", "attention_dropout")
PADDED_INSTEAD = "set training.batching and scoring.batching to padded"
SHORT = 8


def use_batching(model: Classifier, batching: Batching, trial: Trial | None = None, is_trained: bool = False) -> None:
    """Choose the encoder's attention for packed or padded batches, and check that it does what a classifier needs.

    trial: the documents to try it on; by default short ones of the first tokens of the vocabulary. is_trained: whether
    the model was tried before it was trained; whether it sees its whole text is then no question.
    Raises UserError for an encoder that fails, that does not see its whole text, or whose result changes with padding;
    and where batches are packed, for one that cannot be packed (it has attention of its own, no `position_ids`, or
    attention dropout), and leaves it as it was.
    """
    config, was_training = model.encoder.config, model.training
    if batching == "packed" and any(getattr(config, key, 0.0) for key in ATTENTION_DROPOUT_KEYS):
        raise UserError(f"training.attention_dropout must be 0 with packed batches; or {PADDED_INSTEAD}")
    trial = trial or _short_trial(config.pad_token_id)
    try:
        alone = logits_alone(model, trial, sees_all=is_trained)
    except Unsuitable as fault:
        raise UserError(f"a model of the type {config.model_type} cannot be the encoder: {fault}") from None
    except Exception as error:  # models raise all kinds, for what they lack and for values of their config
        raise UserError(
            f"a model of the type {config.model_type} fails on a text ({type(error).__name__}: {reason_of(error)}), so "
            "it cannot be the encoder"
        ) from error
    if batching == "packed":
        before = config._attn_implementation
        try:
            model.encoder.set_attn_implementation(attention.NAME)
            reason = reason_not_to_pack(model, trial, alone)
        except ValueError as error:
            reason = reason_of(error)
        if reason is not None:
            model.encoder.set_attn_implementation(before)
            model.train(was_training)
            raise UserError(f"encoders of the type {config.model_type} cannot be packed ({reason}); {PADDED_INSTEAD}")
    model.train(was_training)


def _short_trial(pad_id: int | None) -> Trial:
    # Not the padding token, after which some encoders count positions.
    tokens = torch.tensor([token for token in range(2 * SHORT + 1) if token != pad_id])
    return Trial.of(tokens[:SHORT], tokens[SHORT : 2 * SHORT], pad_id or 0)
