"""Token dropout: which tokens are left, and that a training sees other ones in each step."""

import numpy as np
import pytest
from runs import arguments, epochs_of
from safetensors.torch import load_file

from ipcascade.cli import main
from ipcascade.encoder.tokens import TokenCache
from ipcascade.training.token_dropout import without_some_tokens

DOCUMENTS, LENGTH = 500, 42


@pytest.fixture(scope="module")
def cache():
    """Tokens are 1000 * document + place; the last document has two, special ones alone."""
    lengths = [LENGTH] * (DOCUMENTS - 1) + [2]
    ids = [1000 * document + place for document, length in enumerate(lengths) for place in range(length)]
    return TokenCache(np.array(ids), np.cumsum([0, *lengths]), {"pad_id": 0, "max_length": LENGTH})


def texts_of(cache):
    return [cache.ids[start:end].tolist() for start, end in zip(cache.offsets, cache.offsets[1:], strict=False)]


def test_some_tokens_are_left_out_and_the_special_ones_stay(cache):
    documents = np.array([7, DOCUMENTS - 1, 3, *range(20, 420)])
    found = without_some_tokens(cache, documents, 0.2, np.random.default_rng(1))
    texts = texts_of(found)
    assert len(texts) == len(documents) and found.facts == cache.facts
    for document, text in zip(documents, texts, strict=True):
        places = [token - 1000 * document for token in text]
        assert places == sorted(set(places)) and places[0] == 0
        assert places[-1] == (LENGTH - 1 if document < DOCUMENTS - 1 else 1)
    inner = (LENGTH - 2) * (len(documents) - 1)
    left = sum(len(text) - 2 for text in texts)
    assert left / inner == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / inner))
    # Each place as often as any other.
    shares = np.bincount([token % 1000 for text in texts for token in text], minlength=LENGTH)[1:-1] / len(documents)
    assert shares[1:] == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / len(documents)))


def test_without_a_share_nothing_is_left_out(cache):
    found = without_some_tokens(cache, np.arange(DOCUMENTS), 0.0, np.random.default_rng(1))
    assert np.array_equal(found.ids, cache.ids) and np.array_equal(found.offsets, cache.offsets)


def test_steps_leave_out_other_tokens_and_count_what_is_left(files, tmp_path, monkeypatch):
    """The same documents in every step: a training with the same seed sees the same texts, another one others."""
    seen = {}

    def noted(cache, documents, share, random):
        found = without_some_tokens(cache, documents, share, random)
        seen.setdefault(name, []).append((documents.tolist(), found.ids.tolist(), share))
        return found

    monkeypatch.setattr("ipcascade.training.loop.without_some_tokens", noted)
    options = {"epochs": 2, "batch_size": 140, "token_dropout": 0.3}
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        assert main(arguments(files, tmp_path / name, seed=seed, **options)) == 0
    assert seen["one"] == seen["same"] and len(seen["one"]) == 2
    (_, first, share), (_, second, _) = seen["one"]
    assert first != second and share == 0.3
    assert seen["other"][0][1] != first
    for row, (_, ids, _) in zip(epochs_of(tmp_path / "one").iter_rows(named=True), seen["one"], strict=True):
        assert row["tokens_per_second"] * row["seconds"] == pytest.approx(len(ids))
    one, same, other = (load_file(tmp_path / name / "model/model.safetensors") for name in ("one", "same", "other"))
    assert all((one[name] == same[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)
