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
    vectors: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities by `Classifier.log_odds`: float32 [documents, labels] in tree order, rows as in `documents`.

    documents: positions in the cache, int64 [documents]. max_tokens: per micro-batch. advance: called with the number
    of documents after each micro-batch. static: all micro-batches have one shape, as a compiled model needs. vectors:
    [documents, hidden size], filled with the [CLS] vectors where it is given. The model is left in the mode (training
    or evaluation) in which it came.
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
                outputs = forward(**inputs_of(batch, device), with_vectors=vectors is not None)
                levels = len(model.heads)
                found = torch.cat([model.log_odds(outputs[:levels]), *outputs[levels:]], dim=1)
                in_flight.append((rows, found[: len(rows)].float()))
                if device.type == "cpu" or len(in_flight) == BATCHES_IN_FLIGHT:
                    _collect(in_flight, result, vectors, advance)
            _collect(in_flight, result, vectors, advance)
    finally:
        model.train(was_training)
    return result


def _collect(
    in_flight: list[tuple[np.ndarray, torch.Tensor]],
    result: np.ndarray,
    vectors: np.ndarray | None,
    advance: Callable[[int], None],
) -> None:
    """Take the outputs of micro-batches, [documents, labels (and hidden size)], from the device to their rows."""
    labels = result.shape[1]
    for rows, outputs in in_flight:
        result[rows] = torch.sigmoid(outputs[:, :labels]).cpu().numpy()
        if vectors is not None:
            vectors[rows] = outputs[:, labels:].cpu().numpy()
        advance(len(rows))
    in_flight.clear()
