"""Whether an encoder can be used with a config: one trial at full length when it is prepared, before any job waits."""

from pathlib import Path
from typing import Any

import torch

from ipcascade.core.errors import UserError
from ipcascade.core.options import Batching
from ipcascade.core.random_streams import stream
from ipcascade.encoder.tokenizer import NoTokenizer, read_tokenizer
from ipcascade.model.compatibility import use_batching
from ipcascade.model.export import NotAnEncoder, read_encoder
from ipcascade.model.network import Classifier
from ipcascade.model.trial import Trial, logits_alone

# A head with random weights, through which the output for the first token is seen.
OUTPUTS = 16


def check_encoder(folder: Path, name: str, max_length: int, batching: Batching) -> None:
    """Try the encoder in a folder on documents of `max_length` tokens, on the CPU; packed includes padded.

    name: what messages call it. Raises UserError where it or its tokenizer cannot be used with these options.
    """
    where = f"encoder.name: {name}"
    try:
        tokenizer = read_tokenizer(folder, max_length)
        encoder = read_encoder(folder, attention_dropout=0.0)
        known, wanted = _embeddings(encoder), max(tokenizer.get_vocab().values()) + 1
        if wanted > known:
            raise NotAnEncoder(f"its tokenizer has {wanted} tokens, of which it knows only the first {known}")
        torch.manual_seed(0)
        model = Classifier(encoder, [OUTPUTS], 0.0, max_length, label_attention=False)
        trial = _trial(tokenizer, max_length)
        try:
            use_batching(model, batching, trial)
        except UserError as error:
            longest = _longest(model, trial) if error.__cause__ is not None else None
            if longest is None:
                raise
            raise UserError(
                f"tokens.max_length is {max_length}, but the encoder takes at most {longest} tokens "
                f"({error.__cause__}); set tokens.max_length to {longest}"
            ) from error
    except (NoTokenizer, NotAnEncoder) as reason:
        raise UserError(f"{where} cannot be used as the encoder: {reason}") from reason
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _embeddings(encoder: Any) -> int:
    try:
        return int(encoder.get_input_embeddings().num_embeddings)
    except (AttributeError, NotImplementedError):  # models that read no tokens
        raise NotAnEncoder(f"the model type {encoder.config.model_type} reads no tokens") from None


def _trial(tokenizer: Any, max_length: int) -> Trial:
    """Documents of random words, between the tokens that the tokenizer puts around a text."""
    special = set(tokenizer.all_special_ids)
    words = sorted(id_ for id_ in tokenizer.get_vocab().values() if id_ not in special) or sorted(special)
    around = tokenizer.backend_tokenizer.encode("").ids
    before, after = around[:1], around[1:]
    random = stream(0, "trial").integers(len(words), size=max_length - len(around))
    first, second = ([words[(place + shift) % len(words)] for place in random.tolist()] for shift in (0, 1))
    ids, others = (torch.tensor([*before, *between, *after]) for between in (first, second))
    return Trial.of(ids, others, tokenizer.pad_token_id or 0)


def _longest(model: Classifier, trial: Trial) -> int | None:
    """The most tokens of which a document does not make the model fail; None where the shortest one does."""
    works, fails = 0, len(trial.long)
    while fails - works > 1:
        length = (works + fails) // 2
        try:
            logits_alone(model, trial.cut(length), sees_all=True)
            works = length
        except Exception:  # libraries raise many kinds for a text that is too long; the first one is in the message
            fails = length
    return works or None
