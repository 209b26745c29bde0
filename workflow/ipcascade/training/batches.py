"""Which documents form a step of an epoch.

The order is a pure function of (seed, epoch), so resuming needs no state beyond the step number. Every step has exactly
`batch_size` documents, one of each length bucket, so that all steps have about the same number of tokens.
"""

import numpy as np

from ipcascade.core.random_streams import stream


def steps_per_epoch(documents: int, batch_size: int) -> int:
    """Optimizer steps of one epoch."""
    return -(-documents // batch_size)


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The documents of each step of an epoch: int64 [steps, batch_size], positions in `lengths`.

    lengths: tokens per document, int [documents]. Sorted by length (ties at random), documents form `batch_size`
    buckets of `steps` documents each; every step gets one of each bucket, drawn without replacement. Where documents do
    not fill all steps, some, drawn at random, come twice.
    """
    random = stream(seed, "batches", epoch)
    steps = steps_per_epoch(len(lengths), batch_size)
    order = np.resize(random.permutation(len(lengths)), steps * batch_size)
    buckets = order[np.argsort(lengths[order], kind="stable")].reshape(batch_size, steps)
    return random.permuted(buckets, axis=1).T.copy()
