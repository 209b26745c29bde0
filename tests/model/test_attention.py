"""Packed attention against torch's own, document by document; packed models against padded ones."""

import shutil

import numpy as np
import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func
from torch.nn import functional
from transformers import AutoModel

from ipcascade.core.errors import UserError
from ipcascade.encoder.tokens import TokenCache
from ipcascade.model.attention import packed_attention
from ipcascade.model.batching import Packing, Padding
from ipcascade.model.compatibility import use_batching
from ipcascade.model.export import export_model
from ipcascade.model.network import Classifier, inputs_of
from ipcascade.runtime.kernels import cpu_attention
from ipcascade.runtime.precision import autocast
from support import classifier

LENGTHS = np.array([5, 31, 1, 33, 20, 32])
CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def cache_of(lengths: np.ndarray, seed: int = 0) -> TokenCache:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.random.default_rng(seed).integers(5, 20, offsets[-1])
    return TokenCache(ids, offsets, {"pad_id": 0, "max_length": 40})


def packed_batch(cache: TokenCache, documents: np.ndarray, static: bool = False):
    packing = Packing.for_steps(cache.lengths, len(cache.lengths), 10_000, static)
    return packing.collate(cache, documents)


@pytest.fixture
def model(encoder_folder, tree) -> Classifier:
    """One that can do both: which way it goes is up to its attention."""
    torch.manual_seed(1)
    return classifier(encoder_folder, tree).eval()


def padded(model: Classifier) -> Classifier:
    model.encoder.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.04)]
)
def test_each_document_attends_to_itself_as_in_torchs_own_attention(dtype, tolerance):
    torch.manual_seed(0)
    starts = torch.tensor([0, *np.cumsum(LENGTHS), LENGTHS.sum(), LENGTHS.sum()], dtype=torch.int32)
    parts = [torch.randn(LENGTHS.sum(), 3, 8).to(dtype).requires_grad_() for _ in range(3)]
    found = cpu_attention(*parts, starts, 0.3)
    expected = torch.cat(
        [
            functional.scaled_dot_product_attention(*of_one, scale=0.3).transpose(0, 1)
            for of_one in zip(*(part.transpose(0, 1).split(LENGTHS.tolist(), 1) for part in parts), strict=True)
        ]
    )  # fmt: skip
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    upstream = torch.randn_like(found)
    for one, other in zip(*(torch.autograd.grad(out, parts, upstream) for out in (found, expected)), strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_the_operator_is_what_it_declares_to_be():
    starts = torch.tensor([0, 2, 7], dtype=torch.int32)
    parts = [torch.randn(7, 2, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    torch.library.opcheck(cpu_attention, (*parts, starts, 0.5))
    assert torch.autograd.gradcheck(lambda *three: cpu_attention(*three, starts, 0.5), parts)


def scale_of(gradient, gradients) -> float:
    """What a gradient's deviation is measured by. Some are zero but for rounding: softmax ignores a key's bias."""
    return max(float(gradient.abs().max()), 1e-3 * max(float(one.abs().max()) for one in gradients))


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.05)])
def test_packed_equals_padded_in_logits_and_gradients(model, static, precision, tolerance):
    cache, documents = cache_of(LENGTHS), np.arange(len(LENGTHS))

    def logits_and_gradients(one):
        model.zero_grad()
        with autocast(precision, CPU):
            logits = torch.cat(model(**inputs_of(one, CPU)), dim=1)[: len(documents)].float()
        functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits), reduction="sum").backward()
        return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}

    logits, gradients = logits_and_gradients(packed_batch(cache, documents, static))
    padded(model)
    expected_logits, expected = logits_and_gradients(Padding(4096).collate(cache, documents))
    torch.testing.assert_close(logits, expected_logits, atol=tolerance, rtol=tolerance)
    assert set(gradients) == set(expected)
    for name, gradient in gradients.items():
        scale = scale_of(expected[name], expected.values())
        torch.testing.assert_close(gradient / scale, expected[name] / scale, atol=tolerance, rtol=0, msg=name)


def test_changing_one_document_changes_no_other(model):
    """To the last bit: nothing of a neighbour enters a document's result, nor its gradient."""
    documents = np.arange(len(LENGTHS))
    before, after = cache_of(LENGTHS), cache_of(LENGTHS)
    after.ids[after.offsets[3] : after.offsets[4]] = 7
    results = []
    for cache in (before, after):
        embedded = []
        hook = model.encoder.embeddings.register_forward_hook(lambda m, i, out, to=embedded: to.append(out))
        logits = torch.cat(model(**inputs_of(packed_batch(cache, documents), CPU)), dim=1)
        hook.remove()
        (gradient,) = torch.autograd.grad(logits[2].sum() + logits[4].sum(), embedded)
        results.append((logits, gradient[0]))
    (one, gradient), (other, other_gradient) = results
    same = [0, 1, 2, 4, 5]
    assert torch.equal(one[same], other[same]) and not torch.equal(one[3], other[3])
    assert torch.equal(gradient, other_gradient)
    inside = np.zeros(len(gradient), dtype=bool)
    for document in (2, 4):
        inside[before.offsets[document] : before.offsets[document + 1]] = True
    assert gradient[inside].abs().sum(dim=1).min() > 0
    assert not gradient[~inside].any(), "documents that are not in the loss get no gradient"


def test_the_unused_tail_changes_nothing(model):
    cache, documents = cache_of(LENGTHS), np.arange(4)
    one = packed_batch(cache, documents, static=True)
    tail = slice(int(cache.offsets[4]), None)
    assert len(one.ids[tail]) > 50
    gradients = []
    for filler in (0, 9):
        one.ids[tail] = filler
        model.zero_grad()
        logits = torch.cat(model(**inputs_of(one, CPU)), dim=1)[:4]
        logits.sum().backward()
        gradients.append((logits, [p.grad.clone() for p in model.encoder.encoder.parameters()]))
    assert torch.equal(gradients[0][0], gradients[1][0])
    for first, second in zip(gradients[0][1], gradients[1][1], strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)


def test_a_compiled_model_sees_one_shape_and_is_compiled_once(model):
    """As on CUDA, but for the code generator: one graph forward and backward, whatever documents come."""
    compiled_for = {"forward": 0, "backward": 0}
    torch._dynamo.reset()

    def counting(name):
        def take(graph, inputs):
            compiled_for[name] += 1
            return make_boxed_func(graph.forward)

        return take

    model.train()
    backend = aot_autograd(fw_compiler=counting("forward"), bw_compiler=counting("backward"))
    fast = torch.compile(model, backend=backend, dynamic=False, fullgraph=True)
    for seed in range(4):
        cache = cache_of(np.roll(LENGTHS, seed), seed)
        one = packed_batch(cache, np.arange(len(LENGTHS) - seed % 2), static=True)
        found = torch.cat(fast(**inputs_of(one, CPU)), dim=1)
        assert found.isfinite().all()
        found.sum().backward()
    assert compiled_for == {"forward": 1, "backward": 1}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("flash", [True, False])
def test_kernels_for_gpus_are_called_with_what_they_take(dtype, flash):
    """On tensors without values, forward and backward: shapes and the kernels' signatures, for either kind of GPU."""
    with torch.device("meta"):
        parts = [torch.empty(1, 4, 128, 32, dtype=dtype, requires_grad=True) for _ in range(3)]
        starts = torch.empty(9, dtype=torch.int32)
    attended, _ = packed_attention(
        torch.nn.Module(), *parts, None, cu_seq_lens_q=starts, max_length_q=40, has_flash=flash, scaling=0.3
    )
    assert attended.shape == (1, 128, 4, 32) and attended.dtype == dtype
    gradients = torch.autograd.grad(attended.sum(), parts)
    assert [one.shape for one in gradients] == [one.shape for one in parts]


def folder_of(encoder_folder, tmp_path, config, kind):
    """An encoder of another type beside the tiny tokenizer."""
    folder = tmp_path / "encoder"
    shutil.copytree(encoder_folder, folder)
    torch.manual_seed(0)
    kind(config).save_pretrained(folder)
    return folder


SMALL = {"vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


OF_DISTILBERT = {"vocab_size": 30, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta", "Camembert", "Electra", "DistilBert"])
def test_encoders_with_berts_interface_are_packed(kind, encoder_folder, tree, tmp_path):
    import transformers

    options = OF_DISTILBERT if kind == "DistilBert" else SMALL
    config = getattr(transformers, f"{kind}Config")(**options, max_position_embeddings=64, pad_token_id=1)
    folder = folder_of(encoder_folder, tmp_path, config, getattr(transformers, f"{kind}Model"))
    model = classifier(folder, tree).eval()
    cache, documents = cache_of(LENGTHS), np.arange(len(LENGTHS))
    cache.facts["pad_id"] = 1
    found = torch.cat(model(**inputs_of(packed_batch(cache, documents), CPU)), dim=1)
    expected = torch.cat(padded(model)(**inputs_of(Padding(4096).collate(cache, documents), CPU)), dim=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("DebertaV2", {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
        ("MPNet", SMALL),
        ("ModernBert", {**SMALL, "num_hidden_layers": 3, "pad_token_id": 0, "local_attention": 8}),
    ],
)
def test_other_encoders_are_refused_and_can_run_padded(kind, options, encoder_folder, tree, tmp_path):
    import transformers

    config = getattr(transformers, f"{kind}Config")(**options)
    folder = folder_of(encoder_folder, tmp_path, config, getattr(transformers, f"{kind}Model"))
    with pytest.raises(UserError, match=r"cannot be packed \(.*\); set training.batching and scoring.batching to pad"):
        classifier(folder, tree)
    model = classifier(folder, tree, batching="padded").eval()
    assert model(**inputs_of(Padding(4096).collate(cache_of(LENGTHS), np.arange(6)), CPU))[0].shape == (6, 8)


def test_attention_dropout_is_refused(encoder_folder, tree):
    """The options refuse it, too; a model that was loaded otherwise meets the same message."""
    model = classifier(encoder_folder, tree, batching="padded", attention_dropout=0.1)
    with pytest.raises(UserError, match=r"training.attention_dropout must be 0 with packed batches"):
        use_batching(model, "packed")


def test_an_encoder_that_cannot_be_packed_is_left_as_it_was(encoder_folder, tree, tmp_path):
    import transformers

    folder = folder_of(encoder_folder, tmp_path, transformers.MPNetConfig(**SMALL), transformers.MPNetModel)
    model = classifier(folder, tree, batching="padded").eval()
    batch = inputs_of(Padding(4096).collate(cache_of(LENGTHS), np.arange(6)), CPU)
    before = model(**batch)
    with pytest.raises(UserError, match="cannot be packed"):
        use_batching(model, "packed")
    assert not model.training
    for one, other in zip(model(**batch), before, strict=True):
        assert torch.equal(one, other)


@needs_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp16", 0.02), ("bf16", 0.1), ("fp32", 1e-3)])
def test_packed_equals_padded_on_a_gpu(model, precision, tolerance):
    """fp16 and bf16 by flash attention, fp32 by the memory-efficient kernel, which is not public."""
    device = torch.device("cuda")
    model.place(device)
    cache, documents = cache_of(LENGTHS), np.arange(len(LENGTHS))
    results = []
    for one in (packed_batch(cache, documents, static=True), Padding(4096).collate(cache, documents)):
        model.zero_grad()
        with autocast(precision, device):
            logits = torch.cat(model(**inputs_of(one, device)), dim=1)[: len(documents)].float()
        (1024 * logits.square().sum()).backward()  # so that no gradient is too small for fp16
        results.append((logits, [p.grad for p in model.parameters()]))
        padded(model)
    torch.testing.assert_close(results[0][0], results[1][0], atol=tolerance, rtol=tolerance)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        scale = scale_of(other, results[1][1])
        torch.testing.assert_close(one / scale, other / scale, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"attention_probs_dropout_prob": 0.1}, "dropout"),
        ({"attention_probs_dropout_prob": 0.0, "hidden_size": 36}, "heads of a size that is not a multiple of 8"),
    ],
)
def test_what_shows_only_in_a_trial_is_refused(options, reason, encoder_folder, tree, tmp_path, monkeypatch):
    import transformers

    for module in ("compatibility", "export"):  # as if the encoder had a key of its own for it
        monkeypatch.setattr(f"ipcascade.model.{module}.ATTENTION_DROPOUT_KEYS", ())
    config = transformers.BertConfig(**{**SMALL, **options})
    folder = folder_of(encoder_folder, tmp_path, config, transformers.BertModel)
    with pytest.raises(UserError, match=rf"cannot be packed \({reason}\); set training.batching"):
        classifier(folder, tree)


def test_the_exported_config_names_no_attention(encoder_folder, model, tree, tmp_path):
    text = {"content": "abstract", "max_length": 40}
    export_model(model, model.state_dict(), encoder_folder, tree, text, "card", tmp_path / "model")
    assert "attn" not in (tmp_path / "model/config.json").read_text()
    AutoModel.from_pretrained(tmp_path / "model").save_pretrained(tmp_path / "again")
    assert "ipcascade_packed" not in (tmp_path / "again/config.json").read_text()
