"""Label-wise attention: its formula in plain numpy, packed as padded, titles as first queries."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.model.batching import Packing
from ipcascade.model.export import export_model, load_model
from ipcascade.model.label_attention import CAP, LabelAttention, TokenStates, packed_membership
from ipcascade.model.network import inputs_of
from ipcascade.training.initialisation import QUERY_NORM, new_classifier
from ipcascade.training.options import TrainingOptions

TRUTH = np.random.default_rng(0).random((50, 140)) < 0.1
LENGTHS = [5, 1, 9]


def same(values):
    return values


def drawn(seed, *shape, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def attention_of(size=6, labels=4, scale=1.0):
    module = LabelAttention(size, labels)
    with torch.no_grad():
        module.queries.copy_(drawn(1, labels, size, scale=scale))
        module.weights.copy_(drawn(2, labels, size))
    return module


def by_formula(module, hidden):
    """The docstring's formula for one document's states [tokens, size], in float64."""
    queries, weights, states = (
        part.detach().numpy().astype(float) for part in (module.queries, module.weights, hidden)
    )
    found = []
    for query, weight in zip(queries, weights, strict=True):
        scores = [CAP * np.tanh(query @ state / (CAP * len(state) ** 0.5)) for state in states]
        shares = np.exp(scores) / np.exp(scores).sum()
        found.append(sum(share * (weight @ state) for share, state in zip(shares, states, strict=True)))
    return np.array(found)


def packed(hidden, unused=3):
    """Documents end to end, and a tail that belongs to none of them."""
    rows = torch.cat([*hidden, drawn(9, unused, hidden[0].shape[1], scale=100.0)])
    ends = np.cumsum([0, *(len(states) for states in hidden), unused])
    cu_seqlens = torch.tensor(ends, dtype=torch.int32)
    first = torch.stack([states[0] for states in hidden])
    return TokenStates(rows[None], first, packed_membership(cu_seqlens, len(hidden), len(rows)))


def padded(hidden):
    rows = torch.nn.utils.rnn.pad_sequence(hidden, batch_first=True, padding_value=100.0)
    mask = torch.arange(rows.shape[1]) < torch.tensor([[len(states)] for states in hidden])
    return TokenStates(rows, rows[:, 0], mask[:, None].float())


@pytest.mark.parametrize("layout", [packed, padded])
@pytest.mark.parametrize("scale", [0.1, 1, 100])
def test_logits_are_those_of_the_formula(layout, scale):
    """Also where scores reach the cap."""
    module, hidden = attention_of(scale=scale), [drawn(number, length, 6) for number, length in enumerate(LENGTHS, 3)]
    found = module(layout(hidden), same).detach().numpy()
    np.testing.assert_allclose(found, [by_formula(module, states) for states in hidden], rtol=1e-4, atol=1e-5)


def test_a_document_of_one_token_gives_its_product_alone():
    module, state = attention_of(), drawn(3, 1, 6)
    np.testing.assert_allclose(
        module(packed([state]), same)[0].detach(), (module.weights @ state[0]).detach(), rtol=1e-5
    )


def test_empty_places_of_a_static_batch_spoil_no_gradient():
    module, states = attention_of(), drawn(3, 4, 6)
    cu_seqlens = torch.tensor([0, 4, 4, 4], dtype=torch.int32)
    found = module(TokenStates(states[None], states[:1], packed_membership(cu_seqlens, 3, 4)), same)
    found[:1].sum().backward()
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(part.grad).all() and part.grad.abs().sum() > 0 for part in module.parameters())


def test_dropout_is_on_the_values_alone():
    module, hidden = attention_of(), [drawn(3, 5, 6)]
    doubled = module(packed(hidden), lambda values: 2 * values)
    np.testing.assert_allclose(doubled.detach(), 2 * module(packed(hidden), same).detach(), rtol=1e-5)


@pytest.fixture
def model(encoder_folder, tree):
    """Packed, with weights as after some training."""
    model = new_classifier(encoder_folder, tree, TRUTH, TrainingOptions(), 1, 32).eval()
    with torch.no_grad():
        model.label_attention.weights.copy_(drawn(4, *model.label_attention.weights.shape))
    return model


class Cache:
    """Documents of random tokens."""

    def __init__(self, lengths):
        self.facts = {"pad_id": 0, "max_length": 32}
        random = np.random.default_rng(5)
        self.offsets = np.concatenate([[0], np.cumsum(lengths)])
        self.ids = random.integers(4, 10, self.offsets[-1])

    def lengths_of(self, documents):
        return np.diff(self.offsets)[documents]


@pytest.mark.parametrize("static", [False, True])
def test_packed_documents_have_the_logits_that_they_have_alone(model, static):
    cache, documents = Cache([7, 3, 12]), np.arange(3)
    layout = Packing.for_steps(cache.lengths_of(documents), 5, 64, static)
    together = model(**inputs_of(layout.collate(cache, documents), torch.device("cpu")))
    for document in documents:
        alone = model(**inputs_of(layout.collate(cache, documents[document : document + 1]), torch.device("cpu")))
        for one, all_of_them in zip(alone, together, strict=True):
            assert torch.allclose(one[0], all_of_them[document], atol=1e-5)


def test_each_level_gets_what_its_labels_found(model):
    inputs = inputs_of(Packing(64, 5, 32, False).collate(Cache([7, 3]), np.arange(2)), torch.device("cpu"))
    states = model.token_states(**inputs)
    found = model.label_attention(states, same)
    section, low, vectors = model(**inputs, with_vectors=True)
    assert torch.equal(vectors, states.first)
    assert torch.allclose(section, model.heads[0](states.first) + found[:, : section.shape[1]], atol=1e-6)
    assert torch.allclose(low, model.heads[1](states.first) + found[:, section.shape[1] :], atol=1e-6)


@pytest.mark.parametrize("batching", ["packed", "padded"])
def test_queries_start_as_the_titles_and_weights_as_nothing(encoder_folder, tree, batching):
    options = TrainingOptions(batching=batching)
    model = new_classifier(encoder_folder, tree, TRUTH, options, 1, 32)
    assert model.training
    tokenizer, vectors = load_tokenizer(encoder_folder, 32), []
    for title in tree.titles:
        ids = torch.tensor(tokenizer(title.lower(), truncation=True, max_length=32)["input_ids"])[None]
        if batching == "packed":
            model.encoder.set_attn_implementation("eager")
        vectors.append(model.eval().encoder(input_ids=ids).last_hidden_state[0].mean(dim=0).detach())
    centred = torch.stack(vectors) - torch.stack(vectors).mean(dim=0)
    expected = QUERY_NORM * centred / centred.norm(dim=1, keepdim=True)
    assert torch.allclose(model.label_attention.queries, expected, atol=1e-4)
    assert not model.label_attention.weights.any()


def test_the_model_on_disk_has_it_or_not(model, encoder_folder, tree, tmp_path):
    text = {"content": "abstract", "max_length": 32}
    inputs = inputs_of(Packing(64, 5, 32, False).collate(Cache([7, 3]), np.arange(2)), torch.device("cpu"))
    export_model(model, model.state_dict(), encoder_folder, tree, text, "", tmp_path / "with")
    again, _, _ = load_model(tmp_path / "with", "packed")
    assert all(torch.equal(one, other) for one, other in zip(model(**inputs), again(**inputs), strict=True))
    assert "label_attention.queries" in load_file(tmp_path / "with" / "model.safetensors")
    plain = new_classifier(encoder_folder, tree, TRUTH, TrainingOptions(label_attention=False), 1, 32).eval()
    export_model(plain, plain.state_dict(), encoder_folder, tree, text, "", tmp_path / "without")
    again, _, _ = load_model(tmp_path / "without", "packed")
    assert again.label_attention is None
    assert not any(name.startswith("label") for name in load_file(tmp_path / "without" / "model.safetensors"))
    assert all(torch.equal(one, other) for one, other in zip(plain(**inputs), again(**inputs), strict=True))
