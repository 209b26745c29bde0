"""The sample is drawn by hashes that never change: those of SplitMix64, against its published sequence."""

import numpy as np
import polars as pl

from ipcascade.corpus.sampling import Draw, _splitmix64

# The first outputs from the seed 1234567, as rosettacode.org (Pseudo-random numbers/Splitmix64) lists them.
PUBLISHED = [
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
]  # fmt: skip


def test_hashes_are_those_of_splitmix64():
    """Its state grows by a constant per output, so that the output number n is the hash of n."""
    assert _splitmix64(np.arange(1, 6), seed=1234567).tolist() == PUBLISHED


def drawn(amount, *parts):
    draw = Draw(amount, 1234567)
    for numbers in parts:
        draw.add(pl.Series(numbers, dtype=pl.Int64))
    return {number for numbers in parts for number in pl.Series(numbers).filter(draw.is_drawn(pl.Series(numbers)))}


def test_the_documents_with_the_smallest_hashes_are_drawn():
    smallest = (np.argsort(PUBLISHED)[:2] + 1).tolist()
    for parts in (([5, 3, 1, 4, 2],), ([5, 3], [1, 4, 2]), ([4], [5], [3], [2], [1])):
        assert drawn(2, *parts) == set(smallest)
        for amount in (5, 6, None):
            assert drawn(amount, *parts) == {1, 2, 3, 4, 5}


def test_parts_change_nothing_of_a_large_sample():
    numbers = np.random.default_rng(1).choice(10**9, 5000, replace=False)
    expected = set(numbers[np.argsort(_splitmix64(numbers, 1234567))[:300]].tolist())
    assert drawn(300, numbers) == expected
    assert drawn(300, numbers[:100], numbers[100:120], numbers[120:4000], numbers[4000:]) == expected
