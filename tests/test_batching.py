"""Batches: every document, exact sizes, an order that is a function of seed and epoch; passes that hold them all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcascade.batching import Packing, Padding, epoch_batches, scoring_passes, steps_an_epoch
from ipcascade.tokens import TokenCache

LONGEST = 60
LENGTHS = st.lists(st.integers(2, LONGEST), min_size=1, max_size=300).map(lambda values: np.array(values))


def cache_of(lengths: np.ndarray) -> TokenCache:
    """Documents whose tokens are 1, 2, 3, ... throughout the cache, so that each tells where it comes from."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return TokenCache(np.arange(1, offsets[-1] + 1), offsets, {"pad_id": 0, "max_length": LONGEST})


def tokens_of(cache: TokenCache, document: int) -> list[int]:
    return cache.ids[cache.offsets[document] : cache.offsets[document + 1]].tolist()


@given(LENGTHS, st.integers(1, 40), st.integers(0, 5))
def test_an_epoch_holds_every_document_in_batches_of_one_size(lengths, batch_size, epoch):
    batches = epoch_batches(lengths, batch_size, seed=3, epoch=epoch)
    assert batches.shape == (steps_an_epoch(len(lengths), batch_size), batch_size)
    counts = np.bincount(batches.ravel(), minlength=len(lengths))
    assert counts.min() >= 1
    if batch_size <= len(lengths):
        assert counts.sum() - len(lengths) < batch_size, "only what fills the last batch comes twice"
        assert counts.max() <= 2
    assert np.array_equal(batches, epoch_batches(lengths, batch_size, seed=3, epoch=epoch))


@given(LENGTHS, st.integers(1, 40))
def test_a_step_has_one_document_of_each_length_class(lengths, batch_size):
    of_length = lengths[epoch_batches(lengths, batch_size, seed=3, epoch=0)]
    for shorter, longer in zip(of_length.T, of_length.T[1:], strict=False):
        assert shorter.max() <= longer.min()


def test_epochs_and_seeds_differ():
    lengths = np.arange(2, 500)
    one = epoch_batches(lengths, 8, seed=1, epoch=0)
    assert not np.array_equal(one, epoch_batches(lengths, 8, seed=1, epoch=1))
    assert not np.array_equal(one, epoch_batches(lengths, 8, seed=2, epoch=0))


def test_documents_of_one_length_are_paired_at_random():
    """With equal lengths nothing is left of the classes: each pair is as likely to meet as any other."""
    met = np.zeros((12, 12))
    for epoch in range(3000):
        for one, other in epoch_batches(np.full(12, 7), 2, seed=1, epoch=epoch):
            met[one, other] += 1
            met[other, one] += 1
    expected = 3000 / 11
    off_diagonal = met[~np.eye(12, dtype=bool)]
    assert not met.diagonal().any()
    assert np.abs(off_diagonal - expected).max() < 5 * np.sqrt(expected)


def test_steps_hold_about_the_same_number_of_tokens():
    lengths = np.random.default_rng(0).lognormal(5, 0.5, 5000).astype(int).clip(10, 512)
    tokens = lengths[epoch_batches(lengths, 32, seed=1, epoch=0)].sum(axis=1)
    at_random = lengths[np.random.default_rng(1).permutation(5000)[: 156 * 32].reshape(156, 32)].sum(axis=1)
    assert tokens.std() < at_random.std() / 4
    packing = Packing.for_steps(lengths, 32, budget=4096, static=True)
    passes = [packing.split(lengths[batch]) for batch in epoch_batches(lengths, 32, seed=1, epoch=0)]
    computed = sum(map(len, passes)) * packing.rows
    assert tokens.sum() / computed > 0.9, "static shapes"


@given(LENGTHS, st.integers(1, 40), st.integers(1, 400), st.booleans())
def test_passes_of_a_step_hold_its_documents_once(lengths, batch_size, budget, static):
    cache = cache_of(lengths)
    packing = Packing.for_steps(lengths, batch_size, budget, static)
    for batch in epoch_batches(lengths, batch_size, seed=1, epoch=0)[:3]:
        chosen = packing.split(lengths[batch])
        assert sorted(np.concatenate(chosen)) == list(range(batch_size))
        for one in chosen:
            check_packed(cache, packing, batch[one])


def check_packed(cache: TokenCache, packing: Packing, documents: np.ndarray) -> None:
    one = packing.collate(cache, documents)
    lengths = cache.lengths[documents]
    tokens = int(lengths.sum())
    assert one.ids.shape == one.positions.shape
    assert len(one.ids) <= packing.rows and len(one.ids) % 64 == 0
    if packing.static:
        assert len(one.ids) == packing.rows
        assert len(one.starts) == packing.slots + packing.rows // packing.longest + 2
        assert len(one.firsts) == packing.slots
    assert one.ids[:tokens].tolist() == [token for document in documents for token in tokens_of(cache, document)]
    assert not one.ids[tokens:].any()
    assert one.starts[0] == 0 and one.starts[-1] == len(one.ids)
    parts = np.diff(one.starts)
    assert parts.min() >= 0 and parts.max() <= packing.longest
    assert parts[: len(documents)].tolist() == lengths.tolist()
    assert one.positions.tolist() == [place for part in parts for place in range(part)]
    assert one.firsts[: len(documents)].tolist() == one.starts[: len(documents)].tolist()
    assert one.computed_tokens == len(one.ids)


@given(LENGTHS, st.integers(1, 400), st.sampled_from(["packed", "padded"]), st.booleans(), st.randoms())
def test_scoring_takes_every_document_once(lengths, budget, batching, static, random):
    cache = cache_of(lengths)
    documents = np.array(random.sample(range(len(lengths)), random.randint(1, len(lengths))))
    rows = []
    shapes = set()
    for chosen, one in scoring_passes(cache, documents, batching, budget, static):
        assert one.documents.tolist() == documents[chosen].tolist()
        shapes.add(one.ids.shape)
        rows += chosen.tolist()
    assert sorted(rows) == list(range(len(documents)))
    if batching == "packed" and static:
        assert len(shapes) == 1


def test_scoring_leaves_next_to_no_gaps():
    lengths = np.random.default_rng(0).lognormal(5, 0.5, 5000).astype(int).clip(10, 512)
    cache = TokenCache(
        np.ones(lengths.sum(), dtype=np.int32), np.concatenate([[0], np.cumsum(lengths)]),
        {"pad_id": 0, "max_length": 512},
    )  # fmt: skip
    passes = scoring_passes(cache, np.arange(5000), "packed", 8192, static=True)
    assert lengths.sum() / sum(one.computed_tokens for _, one in passes) > 0.95


@given(LENGTHS, st.integers(1, 400))
def test_padded_passes_keep_ids_and_mask_the_rest(lengths, budget):
    cache = cache_of(lengths)
    padding = Padding(budget)
    chosen = padding.split(lengths)
    assert sorted(np.concatenate(chosen)) == list(range(len(lengths)))
    for documents in chosen:
        one = padding.collate(cache, documents)
        assert one.ids.shape == one.mask.shape
        assert one.ids.shape[1] % 32 == 0 or one.ids.shape[1] == LONGEST
        assert one.computed_tokens <= budget or len(documents) == 1
        for row, document in enumerate(documents):
            assert one.ids[row][one.mask[row]].tolist() == tokens_of(cache, document)
            assert not one.ids[row][~one.mask[row]].any()
        assert (one.mask[:, :-1] >= one.mask[:, 1:]).all(), "padding stands at the end"


@pytest.mark.parametrize("budget", [1, 60, 1000])
def test_the_longest_document_always_fits(budget):
    lengths = np.array([60, 2, 3])
    assert Packing.for_steps(lengths, 1, budget, static=True).rows >= 60
    assert Packing.for_scoring(lengths, budget, static=True).rows >= 60
