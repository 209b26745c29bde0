"""From documents to probabilities: one function for validation, test and new texts."""

from collections.abc import Callable

import numpy as np
import torch

from .batching import padded, scoring_batches
from .model import CascadeModel, Precision, autocast
from .tokens import TokenCache


@torch.inference_mode()
def probabilities(
    model: CascadeModel,
    cache: TokenCache,
    documents: np.ndarray,
    batch_size: int,
    precision: Precision,
    advance: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Sigmoid of both heads' logits: float32 [documents, labels] in taxonomy order, rows in the order of `documents`.

    documents: positions in the cache, int64 [documents]. advance: told the number of documents after each batch.
    The model is left in the mode (training or evaluation) in which it came.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    labels = model.section_head.out_features + model.class_head.out_features
    result = np.empty((len(documents), labels), dtype=np.float32)
    try:
        for batch in scoring_batches(cache.lengths[documents], batch_size):
            ids, mask = padded(cache, documents[batch])
            with autocast(precision, device):
                logits = model(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
            result[batch] = torch.sigmoid(torch.cat(logits, dim=1).float()).cpu().numpy()
            advance(len(batch))
    finally:
        model.train(was_training)
    return result
