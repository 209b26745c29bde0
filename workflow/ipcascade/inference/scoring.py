"""Probabilities by an exported model, computed on a device in the way that the options say."""

from collections.abc import Callable

import numpy as np
import torch

from ipcascade.core.errors import UserError
from ipcascade.encoder.tokens import TokenCache
from ipcascade.inference.forward import probabilities
from ipcascade.inference.options import ScoringOptions
from ipcascade.model.batching import scoring_batches
from ipcascade.model.network import Classifier, inputs_of
from ipcascade.model.quantisation import quantise
from ipcascade.runtime.compilation import can_compile, compiled, set_up
from ipcascade.runtime.memory import out_of_memory_explained
from ipcascade.runtime.precision import autocast, resolve_precision


def score(
    model: Classifier,
    cache: TokenCache,
    documents: np.ndarray,
    options: ScoringOptions,
    device: torch.device,
    advance: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray]:
    """`probabilities` with a model as `load_model` gives it: float32 [documents, labels].

    And the [CLS] vectors, float16 [documents, hidden size], by which neighbours are found.

    Raises UserError for a precision that the device does not have, for documents longer than the model takes, where
    the GPU's memory is too little, and for probabilities that are not numbers.
    """
    lengths = cache.lengths_of(documents)
    longest, known = lengths.max(initial=0), model.max_length
    if longest > known:
        raise UserError(
            f"the token cache has documents of {longest} tokens, but the model was trained on {known}; make the cache "
            f"again with tokens.max_length: {known}"
        )
    precision = resolve_precision(options.precision, device, "scoring")
    set_up(device, deterministic=True)
    if precision == "int8":
        quantise(model.encoder)
    limit = options.max_tokens
    tokens = min(limit, int(lengths.sum()))
    with out_of_memory_explained("scoring.max_tokens", tokens, "scores stay the same but for rounding"):
        model.place(device)
        static = options.compile and can_compile(model, options.batching)
        if static:
            _, first = next(scoring_batches(cache, documents, options.batching, limit, static))
            with torch.inference_mode(), autocast(precision, device):
                compiled(model, trial=lambda: model(**inputs_of(first, device), with_vectors=True))
        vectors = np.empty((len(documents), model.hidden_size), dtype=np.float16)
        found = probabilities(model, cache, documents, options.batching, limit, precision, advance, static, vectors)
    if not np.isfinite(found).all():
        raise UserError(
            f"the model gives probabilities that are not numbers, for {int((~np.isfinite(found)).any(axis=1).sum()):,} "
            f"of {len(found):,} documents, in {precision}; set scoring.precision to bf16 or fp32, and if that does not "
            "help, train again"
        )
    return found, vectors
