"""Micro-batches: every document once, exact contents, few shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcascade.encoder.tokens import TokenCache
from ipcascade.model.batching import Packing, Padding, scoring_batches
from ipcascade.training.batches import epoch_batches

LONGEST = 60
LENGTHS = st.lists(st.integers(2, LONGEST), min_size=1, max_size=300).map(lambda values: np.array(values))


def cache_of(lengths: np.ndarray) -> TokenCache:
    """Documents whose tokens are 1, 2, 3, ... throughout the cache, so that each shows where it comes from."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return TokenCache(np.arange(1, offsets[-1] + 1), offsets, {"pad_id": 0, "max_length": LONGEST})


def tokens_of(cache: TokenCache, document: int) -> list[int]:
    return cache.ids[cache.offsets[document] : cache.offsets[document + 1]].tolist()


def test_steps_hold_about_the_same_number_of_tokens():
    lengths = np.random.default_rng(0).lognormal(5, 0.5, 5000).astype(int).clip(10, 512)
    tokens = lengths[epoch_batches(lengths, 32, seed=1, epoch=0)].sum(axis=1)
    at_random = lengths[np.random.default_rng(1).permutation(5000)[: 156 * 32].reshape(156, 32)].sum(axis=1)
    assert tokens.std() < at_random.std() / 4
    packing = Packing.for_steps(lengths, 32, max_tokens=4096, static=True)
    batches = [packing.split(lengths[batch]) for batch in epoch_batches(lengths, 32, seed=1, epoch=0)]
    computed = sum(map(len, batches)) * packing.max_tokens
    assert tokens.sum() / computed > 0.9, "static shapes"


@given(LENGTHS, st.integers(1, 40), st.integers(1, 400), st.booleans())
def test_micro_batches_of_a_step_hold_its_documents_once(lengths, batch_size, max_tokens, static):
    cache = cache_of(lengths)
    packing = Packing.for_steps(lengths, batch_size, max_tokens, static)
    for batch in epoch_batches(lengths, batch_size, seed=1, epoch=0)[:3]:
        chosen = packing.split(lengths[batch])
        assert sorted(np.concatenate(chosen)) == list(range(batch_size))
        for one in chosen:
            check_packed(cache, packing, batch[one])


def check_packed(cache: TokenCache, packing: Packing, documents: np.ndarray) -> None:
    one = packing.collate(cache, documents)
    lengths = cache.lengths[documents]
    tokens = int(lengths.sum())
    assert one.ids.shape == one.position_ids.shape
    assert len(one.ids) <= packing.max_tokens and len(one.ids) % 64 == 0
    assert len(documents) <= packing.max_documents
    if packing.static:
        assert len(one.ids) == packing.max_tokens
        assert len(one.cu_seqlens) == packing.max_documents + packing.max_tokens // packing.longest + 2
        assert len(one.cls_positions) == packing.max_documents
    assert one.ids[:tokens].tolist() == [token for document in documents for token in tokens_of(cache, document)]
    assert not one.ids[tokens:].any()
    assert one.cu_seqlens[0] == 0 and one.cu_seqlens[-1] == len(one.ids)
    parts = np.diff(one.cu_seqlens)
    assert parts.min() >= 0 and parts.max() <= packing.longest
    assert parts[: len(documents)].tolist() == lengths.tolist()
    assert one.position_ids.tolist() == [place for part in parts for place in range(part)]
    assert one.cls_positions[: len(documents)].tolist() == one.cu_seqlens[: len(documents)].tolist()
    assert one.computed_tokens == len(one.ids)


@pytest.mark.parametrize("static", [False, True])
def test_many_short_documents_get_as_many_micro_batches_as_their_number_needs(static):
    """A micro-batch of 256 tokens has room for 56 documents, twice as many as of the mean length fit into it."""
    lengths = np.array([60] * 16 + [2] * 112)
    cache, packing = cache_of(lengths), Packing.for_steps(lengths, 128, 256, static)
    assert packing.max_tokens == 256 and packing.max_documents == np.ceil(2 * 256 / lengths.mean()) == 56
    shortest = np.arange(16, 128)
    chosen = packing.split(lengths[shortest])
    assert [len(one) for one in chosen] == [56, 56]
    for one in chosen:
        check_packed(cache, packing, shortest[one])


@given(LENGTHS, st.integers(1, 400), st.sampled_from(["packed", "padded"]), st.booleans(), st.randoms())
def test_scoring_takes_every_document_once(lengths, max_tokens, batching, static, random):
    cache = cache_of(lengths)
    documents = np.array(random.sample(range(len(lengths)), random.randint(1, len(lengths))))
    rows = []
    shapes = set()
    for chosen, one in scoring_batches(cache, documents, batching, max_tokens, static):
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
    batches = scoring_batches(cache, np.arange(5000), "packed", 8192, static=True)
    assert lengths.sum() / sum(one.computed_tokens for _, one in batches) > 0.95


@given(LENGTHS, st.integers(1, 400))
def test_padded_batches_keep_ids_and_mask_the_rest(lengths, max_tokens):
    cache = cache_of(lengths)
    padding = Padding(max_tokens)
    chosen = padding.split(lengths)
    assert sorted(np.concatenate(chosen)) == list(range(len(lengths)))
    for documents in chosen:
        one = padding.collate(cache, documents)
        assert one.ids.shape == one.mask.shape
        longest = int(lengths[documents].max())
        assert one.ids.shape[1] == min(-(-longest // 32) * 32, LONGEST), "the encoder has no positions beyond"
        assert one.computed_tokens <= max_tokens or len(documents) == 1
        for row, document in enumerate(documents):
            assert one.ids[row][one.mask[row]].tolist() == tokens_of(cache, document)
            assert not one.ids[row][~one.mask[row]].any()
        assert (one.mask[:, :-1] >= one.mask[:, 1:]).all(), "padding is at the end"


@pytest.mark.parametrize("max_tokens", [1, 60, 1000])
def test_the_longest_document_always_fits(max_tokens):
    lengths = np.array([60, 2, 3])
    assert Packing.for_steps(lengths, 1, max_tokens, static=True).max_tokens >= 60
    assert Packing.for_scoring(lengths, max_tokens, static=True).max_tokens >= 60
