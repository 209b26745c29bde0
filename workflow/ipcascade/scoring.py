"""From documents to probabilities: one function for validation, test and new texts."""

from collections.abc import Callable

import numpy as np
import torch

from .batching import Batching, scoring_passes
from .config import ScoringOptions
from .engine import (
    Precision,
    autocast,
    can_compile,
    compiled,
    inputs_of,
    resolve_precision,
    set_up,
    too_little_memory_said,
)
from .errors import UserError
from .model import CascadeModel
from .quantisation import quantise
from .tokens import TokenCache

# To look at a result means to wait for the GPU, so that it is done once in so many passes.
PASSES_UNDER_WAY = 16


@torch.inference_mode()
def probabilities(
    model: CascadeModel,
    cache: TokenCache,
    documents: np.ndarray,
    batching: Batching,
    token_budget: int,
    precision: Precision,
    advance: Callable[[int], None] = lambda count: None,
    static: bool = False,
) -> np.ndarray:
    """Sigmoid of both heads' logits: float32 [documents, labels] in taxonomy order, rows in the order of `documents`.

    documents: positions in the cache, int64 [documents]. token_budget: most tokens a pass. advance: told the number of
    documents after each pass. static: all passes have one shape, as a compiled model wants. The model is left in the
    mode (training or evaluation) in which it came.
    """
    device = next(model.parameters()).device
    labels = model.section_head.out_features + model.class_head.out_features
    result = np.empty((len(documents), labels), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        # A model compiled for training is not compiled once more for the few documents of a validation.
        forward = model if static else model.forward
        with autocast(precision, device):
            waiting: list[tuple[np.ndarray, torch.Tensor]] = []
            for rows, one in scoring_passes(cache, documents, batching, token_budget, static):
                logits = forward(**inputs_of(one, device))
                waiting.append((rows, torch.sigmoid(torch.cat(logits, dim=1)[: len(rows)].float())))
                if device.type == "cpu" or len(waiting) == PASSES_UNDER_WAY:
                    _collect(waiting, result, advance)
            _collect(waiting, result, advance)
    finally:
        model.train(was_training)
    return result


def _collect(
    waiting: list[tuple[np.ndarray, torch.Tensor]], result: np.ndarray, advance: Callable[[int], None]
) -> None:
    for rows, scores in waiting:
        result[rows] = scores.cpu().numpy()
        advance(len(rows))
    waiting.clear()


def scores_of_released(
    model: CascadeModel,
    cache: TokenCache,
    documents: np.ndarray,
    options: ScoringOptions,
    device: torch.device,
    advance: Callable[[int], None],
) -> np.ndarray:
    """`probabilities` with a model as `load_model` gives it, computed on `device` in the way that the options say.

    Raises UserError for a precision that the device does not have, for documents longer than the model takes, and
    where the GPU's memory is too little.
    """
    lengths = cache.lengths_of(documents)
    longest, known = lengths.max(initial=0), model.max_length
    if longest > known:
        raise UserError(
            f"the token cache has documents of {longest} tokens, but the model was trained on {known}; make the cache "
            f"again with tokens.max_length: {known}"
        )
    precision = resolve_precision(options.precision, device)
    set_up(device, deterministic=True)
    if precision == "int8":
        quantise(model.encoder)
    budget = options.token_budget
    tokens = min(budget, int(lengths.sum()))
    with too_little_memory_said("scoring.token_budget", tokens, "scores stay the same but for rounding"):
        model.to(device)
        static = options.compile and can_compile(model, options.batching)
        if static:
            _, first = next(scoring_passes(cache, documents, options.batching, budget, static))
            with torch.inference_mode(), autocast(precision, device):
                compiled(model, trial=lambda: model(**inputs_of(first, device)))
        return probabilities(model, cache, documents, options.batching, budget, precision, advance, static)
