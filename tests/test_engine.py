"""What training and scoring set up alike: precision, operations against torch's own count, int8, GPU names."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ipcascade.batching import Padding
from ipcascade.config import ScoringOptions
from ipcascade.engine import EXACT_INT8, forward_flops, inputs_of, peak_flops, peak_memory, resolve_precision, set_up
from ipcascade.errors import UserError
from ipcascade.model import new_model
from ipcascade.quantisation import Int8Linear
from ipcascade.scoring import probabilities, scores_of_released
from ipcascade.tokens import TokenCache

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_vnni = pytest.mark.skipif(
    not any(torch.cpu.get_capabilities().get(name) for name in EXACT_INT8), reason="needs a processor with VNNI or AMX"
)


@pytest.fixture
def model(encoder_folder, taxonomy):
    torch.manual_seed(1)
    return new_model(encoder_folder, taxonomy, 0.1, 0.0, np.zeros(len(taxonomy.labels), np.float32), 1, 40, "packed")


@pytest.fixture(scope="module")
def cache() -> TokenCache:
    lengths = np.random.default_rng(0).integers(2, 40, 150)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.random.default_rng(1).integers(5, 20, offsets[-1])
    return TokenCache(ids, offsets, {"pad_id": 0, "max_length": 40})


def test_precision_by_device():
    assert resolve_precision("auto", CUDA) == "fp16"
    assert resolve_precision("auto", CPU) in ("bf16", "fp32")
    with pytest.raises(UserError, match="fp16 needs a CUDA device"):
        resolve_precision("fp16", CPU)
    with pytest.raises(UserError, match="int8 is for CPUs"):
        resolve_precision("int8", CUDA)


def test_int8_wants_a_processor_that_adds_exactly(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_f": True, "avx512_vnni": False})
    with pytest.raises(UserError, match="int8 needs a processor that adds int8 products exactly"):
        resolve_precision("int8", CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    assert resolve_precision("int8", CPU) == "int8"


def test_operations_are_those_that_torch_counts(model):
    """Documents of one length, so that nothing is padded; torch's count has the heads in it."""
    documents, length = 3, 32
    offsets = np.arange(0, (documents + 1) * length, length)
    cache = TokenCache(np.full(offsets[-1], 7), offsets, {"pad_id": 0, "max_length": 40})
    one = Padding(4096).collate(cache, np.arange(documents))
    model.encoder.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(**inputs_of(one, CPU))
    heads = 2 * documents * 32 * (model.section_head.out_features + model.class_head.out_features)
    found = forward_flops(model.encoder, documents * length, documents * length**2)
    assert found == counter.get_total_flops() - heads


def test_operations_of_bert_base_are_the_known_ones():
    """178 million a token at 180 tokens a document: 2 x 85 million weights, and attention."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):
        encoder = BertModel(BertConfig(), add_pooling_layer=False)
    assert forward_flops(encoder, 180, 180**2) / 180 == pytest.approx(177e6, rel=0.01)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12), ("Tesla V100-SXM2-32GB", 125e12), ("NVIDIA A30", 165e12), ("Unheard-of", None),
    ],
)  # fmt: skip
def test_peaks_by_the_gpus_name(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(CUDA, "fp16") == peak
    assert peak_flops(CUDA, "fp32") is None and peak_flops(CPU, "bf16") is None


def test_settings_change_no_result(model, cache):
    before = probabilities(model, cache, np.arange(20), "packed", 4096, "fp32")
    set_up(CPU, deterministic=True)
    assert np.array_equal(probabilities(model, cache, np.arange(20), "packed", 4096, "fp32"), before)
    assert peak_memory(CPU) > 50


def test_scores_do_not_depend_on_what_is_scored_together(model, cache):
    documents = np.random.default_rng(2).permutation(150)[:90]
    expected = probabilities(model, cache, documents, "packed", 100_000, "fp32")
    for budget in (1, 64, 500):
        found = probabilities(model, cache, documents, "packed", budget, "fp32", static=budget == 500)
        np.testing.assert_allclose(found, expected, atol=2e-6)
    order = np.random.default_rng(3).permutation(90)
    found = probabilities(model, cache, documents[order], "packed", 300, "fp32")
    np.testing.assert_allclose(found, expected[order], atol=2e-6)
    alone = [probabilities(model, cache, documents[[row]], "packed", 300, "fp32")[0] for row in (0, 44, 89)]
    np.testing.assert_allclose(alone, expected[[0, 44, 89]], atol=2e-6)
    model.encoder.set_attn_implementation("eager")
    np.testing.assert_allclose(probabilities(model, cache, documents, "padded", 300, "fp32"), expected, atol=2e-6)


def test_progress_tells_every_document_and_the_mode_is_kept(model, cache):
    told = []
    model.train()
    probabilities(model, cache, np.arange(150), "packed", 300, "fp32", told.append)
    assert sum(told) == 150 and len(told) > 5
    assert model.training


@needs_vnni
def test_int8_is_close_and_keeps_the_heads(model, cache):
    documents = np.arange(150)
    with torch.no_grad():  # so that scores spread over (0, 1)
        model.class_head.weight *= 3
    expected = probabilities(model, cache, documents, "packed", 1000, "fp32")
    options = ScoringOptions(precision="int8", token_budget=1000)
    found = scores_of_released(model, cache, documents, options, CPU, lambda count: None)
    assert np.abs(found - expected).max() < 0.02
    assert not np.array_equal(found, expected)
    assert isinstance(model.class_head, torch.nn.Linear) and model.class_head.weight.dtype == torch.float32
    alone = [probabilities(model, cache, documents[[row]], "packed", 1000, "int8")[0] for row in (0, 44, 89)]
    np.testing.assert_allclose(alone, found[[0, 44, 89]], atol=2e-3)


@needs_vnni
@pytest.mark.parametrize("bias", [True, False])
def test_an_int8_layer_is_integer_arithmetic_with_a_scale_a_row_and_an_output(bias):
    torch.manual_seed(0)
    linear = torch.nn.Linear(24, 7, bias=bias)
    inputs = torch.randn(3, 5, 24)
    inputs[1] *= 1000
    inputs[2, 4] = 0
    with torch.no_grad():
        found = Int8Linear(linear)(inputs).numpy()
        rows, weight = inputs.numpy().reshape(15, 24), linear.weight.numpy()
        exact = linear(inputs).numpy()
    of_rows = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-30) / 127
    of_outputs = np.abs(weight).max(axis=1, keepdims=True) / 127
    products = np.round(rows / of_rows).astype(int) @ np.round(weight / of_outputs).astype(int).T
    expected = products * of_rows * of_outputs.T + (linear.bias.detach().numpy() if bias else 0)
    np.testing.assert_allclose(found.reshape(15, 7), expected, rtol=1e-4, atol=1e-5)
    # Half a unit of input and of weight each: at most so much of every product.
    bound = (24 * 127 + 6) * of_rows * of_outputs.T
    assert (np.abs(found - exact).reshape(15, 7) <= bound + 1e-5).all()


def test_scoring_with_a_compiled_model_gives_the_same(model, cache, monkeypatch):
    documents, graphs = np.arange(150), []
    expected = probabilities(model, cache, documents, "packed", 500, "fp32")

    def counting(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr("ipcascade.scoring.can_compile", lambda model, batching: True)
    monkeypatch.setattr(type(model), "compile", lambda self, **o: torch.nn.Module.compile(self, backend=counting, **o))
    options = ScoringOptions(precision="fp32", token_budget=500, compile=True)
    found = scores_of_released(model.eval(), cache, documents, options, CPU, lambda count: None)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert len(graphs) == 1


def test_documents_longer_than_the_model_takes_are_refused(model, cache):
    model.max_length = 20
    documents = cache.lengths.argsort()
    scores_of_released(model, cache, documents[:3], ScoringOptions(precision="fp32"), CPU, lambda count: None)
    with pytest.raises(UserError, match=r"was trained on 20; make the cache again with tokens.max_length: 20"):
        scores_of_released(model, cache, documents, ScoringOptions(precision="fp32"), CPU, lambda count: None)


def test_too_little_memory_in_scoring_is_one_sentence(model, cache, monkeypatch):
    def failing(**inputs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "forward", failing)
    with pytest.raises(UserError, match=r"for passes of 70 tokens: set scoring.token_budget to 35 and submit"):
        scores_of_released(
            model, cache, np.arange(3), ScoringOptions(token_budget=70, precision="fp32"), CPU, lambda count: None
        )
