"""Batches of an epoch: every document, exact sizes, an order that is a function of seed and epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ipcascade.core.random_streams import stream
from ipcascade.training.batches import epoch_batches, steps_per_epoch

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=300).map(lambda values: np.array(values))


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_holds_every_document_in_batches_of_one_size(lengths, batch_size, epoch):
    batches = epoch_batches(lengths, batch_size, seed=3, epoch=epoch)
    assert batches.shape == (steps_per_epoch(len(lengths), batch_size), batch_size)
    counts = np.bincount(batches.ravel(), minlength=len(lengths))
    assert counts.min() >= 1
    if batch_size <= len(lengths):
        assert counts.sum() - len(lengths) < batch_size, "only what fills the last batch comes twice"
        assert counts.max() <= 2
    assert np.array_equal(batches, epoch_batches(lengths, batch_size, seed=3, epoch=epoch))


@given(LENGTHS, st.integers(1, 40))
def test_a_step_has_one_document_of_each_length_bucket(lengths, batch_size):
    of_length = lengths[epoch_batches(lengths, batch_size, seed=3, epoch=0)]
    for shorter, longer in zip(of_length.T, of_length.T[1:], strict=False):
        assert shorter.max() <= longer.min()


def test_epochs_and_seeds_differ():
    lengths = np.arange(2, 500)
    one = epoch_batches(lengths, 8, seed=1, epoch=0)
    assert not np.array_equal(one, epoch_batches(lengths, 8, seed=1, epoch=1))
    assert not np.array_equal(one, epoch_batches(lengths, 8, seed=2, epoch=0))


def test_batches_are_drawn_by_a_stream_of_their_own():
    """The numbers stay when randomness is used elsewhere, and from version to version."""
    lengths = [7, 5, 5, 7, 5, 7, 5, 7, 5, 7]
    generator = stream(1, "batches", 4)
    drawn = generator.permutation(10).tolist()
    by_length = sorted([*drawn, *drawn[:2]], key=lambda document: lengths[document])
    buckets = generator.permuted([by_length[start : start + 4] for start in (0, 4, 8)], axis=1)
    steps = [list(step) for step in zip(*buckets.tolist(), strict=True)]
    assert epoch_batches(np.array(lengths), 3, seed=1, epoch=4).tolist() == steps


def test_documents_of_one_length_are_paired_at_random():
    """With equal lengths nothing is left of the buckets: each pair is as likely to meet as any other."""
    met = np.zeros((12, 12))
    for epoch in range(3000):
        for one, other in epoch_batches(np.full(12, 7), 2, seed=1, epoch=epoch):
            met[one, other] += 1
            met[other, one] += 1
    expected = 3000 / 11
    off_diagonal = met[~np.eye(12, dtype=bool)]
    assert not met.diagonal().any()
    assert np.abs(off_diagonal - expected).max() < 5 * np.sqrt(expected)
