"""The sample is drawn by hashes that never change: those of SplitMix64, against its published sequence."""

import numpy as np
import polars as pl

from ipcascade.corpus.sampling import _splitmix64, draw

# The first outputs from the seed 1234567, as rosettacode.org (Pseudo-random numbers/Splitmix64) lists them.
PUBLISHED = [
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
]  # fmt: skip


def test_hashes_are_those_of_splitmix64():
    """Its state grows by a constant per output, so that the output number n is the hash of n."""
    assert _splitmix64(np.arange(1, 6), seed=1234567).tolist() == PUBLISHED


def test_the_documents_with_the_smallest_hashes_are_drawn():
    documents = pl.DataFrame({"application": [5, 3, 1, 4, 2]})
    smallest = np.argsort(PUBLISHED)[:2] + 1
    assert draw(documents, 2, 1234567)["application"].to_list() == sorted(smallest.tolist())
    for amount in (5, 6, None):
        assert draw(documents, amount, 1234567)["application"].to_list() == [1, 2, 3, 4, 5]
