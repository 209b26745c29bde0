"""The forward pass over many documents: one function for validation, test and new texts."""

from collections.abc import Callable

import numpy as np
import torch

from ipcascade.core.options import Batching
from ipcascade.encoder.tokens import TokenCache
from ipcascade.model.batching import scoring_batches
from ipcascade.model.network import Classifier, inputs_of
from ipcascade.runtime.precision import ResolvedPrecision, autocast

# Reading a result back waits for the GPU, so it is done once for so many micro-batches.
BATCHES_IN_FLIGHT = 16


@torch.inference_mode()
def probabilities(
    model: Classifier,
    cache: TokenCache,
    documents: np.ndarray,
    batching: Batching,
    max_tokens: int,
    precision: ResolvedPrecision,
    advance: Callable[[int], None] = lambda count: None,
    static: bool = False,
) -> np.ndarray:
    """Sigmoid of all heads' logits: float32 [documents, labels] in tree order, rows in the order of `documents`.

    documents: positions in the cache, int64 [documents]. max_tokens: per micro-batch. advance: called with the number
    of documents after each micro-batch. static: all micro-batches have one shape, as a compiled model needs. The model
    is left in the mode (training or evaluation) in which it came.
    """
    device = next(model.parameters()).device
    result = np.empty((len(documents), model.labels), dtype=np.float32)
    was_training = model.training
    model.eval()
    try:
        # A model compiled for training is not compiled once more for the few documents of a validation.
        forward = model if static else model.forward
        with autocast(precision, device):
            in_flight: list[tuple[np.ndarray, torch.Tensor]] = []
            for rows, batch in scoring_batches(cache, documents, batching, max_tokens, static):
                logits = forward(**inputs_of(batch, device))
                in_flight.append((rows, torch.sigmoid(torch.cat(logits, dim=1)[: len(rows)].float())))
                if device.type == "cpu" or len(in_flight) == BATCHES_IN_FLIGHT:
                    _collect(in_flight, result, advance)
            _collect(in_flight, result, advance)
    finally:
        model.train(was_training)
    return result


def _collect(
    in_flight: list[tuple[np.ndarray, torch.Tensor]], result: np.ndarray, advance: Callable[[int], None]
) -> None:
    for rows, scores in in_flight:
        result[rows] = scores.cpu().numpy()
        advance(len(rows))
    in_flight.clear()
