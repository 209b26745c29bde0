"""Batches: every document, exact sizes, an order that is a function of seed and epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ipcascade.batching import epoch_batches, padded, scoring_batches, steps_an_epoch
from ipcascade.tokens import TokenCache

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=300).map(lambda values: np.array(values))


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_holds_every_document_in_batches_of_one_size(lengths, batch_size, epoch):
    batches = epoch_batches(lengths, batch_size, seed=3, epoch=epoch)
    assert batches.shape == (steps_an_epoch(len(lengths), batch_size), batch_size)
    counts = np.bincount(batches.ravel(), minlength=len(lengths))
    assert counts.min() >= 1
    if batch_size <= len(lengths):
        assert counts.sum() - len(lengths) < batch_size, "only the last batch is filled up"
        assert counts.max() <= 2
    assert np.array_equal(batches, epoch_batches(lengths, batch_size, seed=3, epoch=epoch))


def test_epochs_and_seeds_differ():
    lengths = np.arange(2, 500)
    one = epoch_batches(lengths, 8, seed=1, epoch=0)
    assert not np.array_equal(one, epoch_batches(lengths, 8, seed=1, epoch=1))
    assert not np.array_equal(one, epoch_batches(lengths, 8, seed=2, epoch=0))


def test_bucketing_saves_most_of_the_padding():
    lengths = np.random.default_rng(0).lognormal(5, 0.5, 5000).astype(int).clip(10, 512)
    bucketed = epoch_batches(lengths, 32, seed=1, epoch=0)
    plain = np.random.default_rng(1).permutation(5000)[: 156 * 32].reshape(156, 32)

    def efficiency(batches):
        return lengths[batches].sum() / (lengths[batches].max(axis=1) * batches.shape[1]).sum()

    assert efficiency(bucketed) > 0.9 > efficiency(plain)


@given(LENGTHS, st.integers(1, 40))
def test_scoring_takes_every_document_once(lengths, batch_size):
    batches = scoring_batches(lengths, batch_size)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch_size


@given(LENGTHS, st.data())
def test_padding_keeps_ids_and_masks_the_rest(lengths, data):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.arange(1, offsets[-1] + 1)
    cache = TokenCache(ids, offsets, {"pad_id": 0, "max_length": 60})
    chosen = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=10)))
    batch, mask = padded(cache, chosen)
    assert batch.shape == mask.shape
    assert batch.shape[1] % 32 == 0 or batch.shape[1] == 60
    for row, document in enumerate(chosen):
        assert batch[row][mask[row]].tolist() == ids[offsets[document] : offsets[document + 1]].tolist()
        assert not batch[row][~mask[row]].any()
