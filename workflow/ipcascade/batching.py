"""Which documents form a step, and how they become padded arrays.

The order of an epoch is a pure function of (seed, epoch), so resuming needs no state beyond the step number.
Every step has exactly `batch_size` documents: the last one is filled up from the epoch's own beginning.
Documents of similar length stand together (few padding tokens), and padded lengths are multiples of 32 (few shapes:
CPU kernels for bf16 are compiled anew for each).
"""

import numpy as np

from .randomness import stream
from .tokens import TokenCache

ROUND_TO = 32
# Batches are cut from length-sorted stretches of this many batches: long enough for little padding, short enough
# that an epoch is still well shuffled.
STRETCH = 32


def steps_an_epoch(documents: int, batch_size: int) -> int:
    """Optimizer steps of one epoch."""
    return -(-documents // batch_size)


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The documents of each step of an epoch: int64 [steps, batch_size], positions in `lengths`.

    lengths: tokens a document, int [documents].
    """
    random = stream(seed, "batches", epoch)
    order = random.permutation(len(lengths))
    steps = steps_an_epoch(len(lengths), batch_size)
    order = np.resize(order, steps * batch_size)
    for start in range(0, len(order), STRETCH * batch_size):
        stretch = order[start : start + STRETCH * batch_size]
        stretch[:] = stretch[np.argsort(lengths[stretch], kind="stable")]
    return order.reshape(steps, batch_size)[random.permutation(steps)]


def scoring_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """All documents once, longest first, in batches of similar length; the last may be smaller."""
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def padded(cache: TokenCache, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gather documents of a cache: (ids int64, mask bool), both [documents, padded length]."""
    starts = cache.offsets[documents]
    lengths = cache.offsets[documents + 1] - starts
    width = min(int(-(-lengths.max() // ROUND_TO) * ROUND_TO), cache.facts["max_length"])
    mask = np.arange(width) < lengths[:, None]
    ids = np.full(mask.shape, cache.facts["pad_id"], dtype=np.int64)
    within = np.concatenate([np.arange(start, start + length) for start, length in zip(starts, lengths, strict=True)])
    ids[mask] = cache.ids[within]
    return ids, mask
