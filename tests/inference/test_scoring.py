"""Scores: the same whatever is scored together, in int8 nearly so; refusals; compiled."""

import numpy as np
import pytest
import torch

from ipcascade.core.errors import UserError
from ipcascade.encoder.tokens import TokenCache
from ipcascade.inference.forward import probabilities
from ipcascade.inference.options import ScoringOptions
from ipcascade.inference.scoring import score
from ipcascade.runtime.compilation import set_up
from ipcascade.runtime.memory import peak_memory
from ipcascade.runtime.precision import EXACT_INT8
from support import classifier

CPU = torch.device("cpu")
needs_vnni = pytest.mark.skipif(
    not any(torch.cpu.get_capabilities().get(name) for name in EXACT_INT8), reason="needs a processor with VNNI or AMX"
)


@pytest.fixture
def model(encoder_folder, tree):
    torch.manual_seed(1)
    return classifier(encoder_folder, tree, dropout=0.1)


@pytest.fixture(scope="module")
def cache() -> TokenCache:
    lengths = np.random.default_rng(0).integers(2, 40, 150)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.random.default_rng(1).integers(5, 20, offsets[-1])
    return TokenCache(ids, offsets, {"pad_id": 0, "max_length": 40})


def test_settings_change_no_result(model, cache):
    before = probabilities(model, cache, np.arange(20), "packed", 4096, "fp32")
    set_up(CPU, deterministic=True)
    assert np.array_equal(probabilities(model, cache, np.arange(20), "packed", 4096, "fp32"), before)
    assert peak_memory(CPU) > 50


def test_scores_do_not_depend_on_what_is_scored_together(model, cache):
    documents = np.random.default_rng(2).permutation(150)[:90]
    expected = probabilities(model, cache, documents, "packed", 100_000, "fp32")
    for limit in (1, 64, 500):
        found = probabilities(model, cache, documents, "packed", limit, "fp32", static=limit == 500)
        np.testing.assert_allclose(found, expected, atol=2e-6)
    order = np.random.default_rng(3).permutation(90)
    found = probabilities(model, cache, documents[order], "packed", 300, "fp32")
    np.testing.assert_allclose(found, expected[order], atol=2e-6)
    alone = [probabilities(model, cache, documents[[row]], "packed", 300, "fp32")[0] for row in (0, 44, 89)]
    np.testing.assert_allclose(alone, expected[[0, 44, 89]], atol=2e-6)
    model.encoder.set_attn_implementation("eager")
    np.testing.assert_allclose(probabilities(model, cache, documents, "padded", 300, "fp32"), expected, atol=2e-6)


def test_probabilities_that_are_no_numbers_are_one_sentence(model, cache):
    """As where activations overflow in fp16, for some documents."""
    model.encoder.embeddings.word_embeddings.weight.data[cache.ids[cache.offsets[3]]] = torch.nan
    with pytest.raises(
        UserError, match=r"probabilities that are not numbers, for [\d,]+ of 20 documents, in fp32; set sc"
    ):
        score(model, cache, np.arange(20), ScoringOptions(precision="fp32"), CPU, lambda count: None)


def test_progress_counts_every_document_and_the_mode_is_kept(model, cache):
    counted = []
    model.train()
    probabilities(model, cache, np.arange(150), "packed", 300, "fp32", counted.append)
    assert sum(counted) == 150 and len(counted) > 5
    assert model.training


@needs_vnni
def test_int8_is_close_and_keeps_the_heads(model, cache):
    documents = np.arange(150)
    with torch.no_grad():  # so that scores spread over (0, 1)
        model.heads[1].weight *= 3
    expected = probabilities(model, cache, documents, "packed", 1000, "fp32")
    options = ScoringOptions(precision="int8", max_tokens=1000)
    found, _ = score(model, cache, documents, options, CPU, lambda count: None)
    assert np.abs(found - expected).max() < 0.02
    assert not np.array_equal(found, expected)
    assert isinstance(model.heads[1], torch.nn.Linear) and model.heads[1].weight.dtype == torch.float32
    alone = [probabilities(model, cache, documents[[row]], "packed", 1000, "int8")[0] for row in (0, 44, 89)]
    np.testing.assert_allclose(alone, found[[0, 44, 89]], atol=2e-3)


def test_scoring_with_a_compiled_model_gives_the_same(model, cache, monkeypatch):
    documents, graphs = np.arange(150), []
    expected = probabilities(model, cache, documents, "packed", 500, "fp32")

    def counting(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr("ipcascade.inference.scoring.can_compile", lambda model, batching: True)
    monkeypatch.setattr(type(model), "compile", lambda self, **o: torch.nn.Module.compile(self, backend=counting, **o))
    options = ScoringOptions(precision="fp32", max_tokens=500, compile=True)
    found, vectors = score(model.eval(), cache, documents, options, CPU, lambda count: None)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert len(graphs) == 1
    _, plain = score(model, cache, documents, ScoringOptions(precision="fp32", max_tokens=500), CPU, lambda count: None)
    np.testing.assert_allclose(vectors, plain, atol=2e-3)


def test_documents_longer_than_the_model_takes_are_refused(model, cache):
    model.max_length = 20
    documents = cache.lengths.argsort()
    score(model, cache, documents[:3], ScoringOptions(precision="fp32"), CPU, lambda count: None)
    with pytest.raises(UserError, match=r"was trained on 20; make the cache again with tokens.max_length: 20"):
        score(model, cache, documents, ScoringOptions(precision="fp32"), CPU, lambda count: None)


def test_too_little_memory_in_scoring_is_one_sentence(model, cache, monkeypatch):
    def failing(**inputs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "forward", failing)
    with pytest.raises(UserError, match=r"for passes of 70 tokens: set scoring.max_tokens to 35 and submit"):
        score(model, cache, np.arange(3), ScoringOptions(max_tokens=70, precision="fp32"), CPU, lambda count: None)
