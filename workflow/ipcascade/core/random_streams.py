"""Named random streams, all derived from the one seed in the config.

A stream's name is part of its seed, so that a new use of randomness never shifts the numbers of an old one.
"""

import hashlib

import numpy as np


def stream_seed(seed: int, *name: object) -> int:
    """A 63-bit seed for the stream called `name`, the same on every machine and in every process."""
    text = "/".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(seed: int, *name: object) -> np.random.Generator:
    """A NumPy generator for the stream called `name`."""
    return np.random.Generator(np.random.PCG64(stream_seed(seed, *name)))
