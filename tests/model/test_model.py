"""The model: same numbers after a round trip, standard folders, and refusals of what is not an encoder."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.random_streams import stream_seed
from ipcascade.model.export import NO_PIPELINE, export_model, load_encoder, load_model
from ipcascade.training.initialisation import new_classifier, prior_bias
from ipcascade.training.loss import inverse_frequency_weights
from ipcascade.training.optimizer import learning_rate_factor, parameter_groups
from ipcascade.training.options import TrainingOptions

TRUTH = np.random.default_rng(0).random((50, 140)) < np.linspace(0.02, 0.9, 140)
TEXT = {"content": "abstract", "max_length": 32}


@pytest.fixture
def model(encoder_folder, tree):
    return new_classifier(encoder_folder, tree, TRUTH, TrainingOptions(batching="padded"), 1, 32).eval()


BATCH = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool()


def test_an_exported_model_gives_the_same_logits(model, encoder_folder, tree, tmp_path):
    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "# card", tmp_path / "model")
    again, stored, text = load_model(tmp_path / "model", "padded")
    assert stored == tree and text == TEXT
    for one, other in zip(model(*BATCH), again(*BATCH), strict=True):
        assert torch.equal(one, other)


def test_an_exported_folder_is_a_plain_transformers_encoder(model, encoder_folder, tree, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "# card", tmp_path / "model")
    encoder = AutoModel.from_pretrained(tmp_path / "model").eval()
    hidden = encoder(input_ids=BATCH[0], attention_mask=BATCH[1]).last_hidden_state[:, 0]
    assert torch.allclose(model.heads[0](hidden), model(*BATCH)[0], atol=1e-6)
    assert AutoTokenizer.from_pretrained(tmp_path / "model")("acid")["input_ids"][0] == 2
    assert {path.name for path in (tmp_path / "model").iterdir()} >= {
        "model.safetensors", "config.json", "tokenizer.json", "labels.json", "README.md",
    }  # fmt: skip


def test_a_pipeline_of_transformers_says_that_it_gives_no_result(model, encoder_folder, tree, tmp_path):
    """It has no class for our heads, so it puts one with random weights on the encoder."""
    from transformers import pipeline

    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "# card", tmp_path / "model")
    for top_k in (None, 1):
        answers = pipeline("text-classification", model=str(tmp_path / "model"), top_k=top_k)("an acid")
        while isinstance(answers, list):
            (answers,) = answers
        assert answers["label"] == NO_PIPELINE
    assert "no result" in NO_PIPELINE and "ipcascade predict" in NO_PIPELINE


def test_padding_changes_no_logits(model):
    alone = model(BATCH[0][1:, :3], BATCH[1][1:, :3])
    padded = model(*BATCH)
    for one, both in zip(alone, padded, strict=True):
        assert torch.allclose(one[0], both[1], atol=1e-5)


def test_heads_start_as_asked(model, tree):
    assert torch.equal(torch.cat([head.bias for head in model.heads]), torch.from_numpy(prior_bias(TRUTH)))
    bound = (6 / (32 + len(tree.codes("class")))) ** 0.5  # Glorot and Bengio (2010)
    largest = model.heads[1].weight.abs().max().item()
    assert 0.9 * bound < largest <= bound


def test_heads_are_drawn_by_a_stream_of_their_own(model):
    """The numbers stay when randomness is used elsewhere, and from version to version."""
    generator = torch.Generator().manual_seed(stream_seed(1, "heads"))
    for head in model.heads:
        expected = torch.nn.init.xavier_uniform_(torch.empty(head.weight.shape), generator=generator)
        assert torch.equal(head.weight, expected)


@pytest.mark.parametrize("levels", [["subclass"], ["section", "class", "subclass"]])
def test_there_is_one_head_per_level(encoder_folder, tmp_path, levels):
    tree = LabelTree.read(IPC).select(levels)
    options = TrainingOptions(batching="padded", head_bias=0.0)
    model = new_classifier(encoder_folder, tree, np.zeros((1, len(tree.labels)), dtype=bool), options, 1, 32).eval()
    assert [logits.shape for logits in model(*BATCH)] == [(2, size) for size in tree.sizes]
    assert model.labels == len(tree.labels)
    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "# card", tmp_path / "model")
    again, stored, _ = load_model(tmp_path / "model", "packed")
    assert stored == tree
    packed = classifier_input_of_one(BATCH[0][0])
    for one, other in zip(model(BATCH[0][:1], BATCH[1][:1]), again(**packed), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def classifier_input_of_one(ids):
    """A packed micro-batch of one document."""
    starts = torch.tensor([0, len(ids)], dtype=torch.int32)
    return {
        "ids": ids, "position_ids": torch.arange(len(ids)), "cu_seqlens": starts, "cls_positions": starts[:1].long(),
    }  # fmt: skip


def test_prior_bias_and_weights_by_hand():
    truth = np.array([[1, 0], [1, 0], [0, 0], [1, 0]], dtype=bool)
    assert prior_bias(truth) == pytest.approx([np.log(3.5 / 1.5), np.log(0.5 / 4.5)])
    raw = np.array([4 / 4, 4 / 1])
    assert inverse_frequency_weights(truth) == pytest.approx(raw / raw.mean())


def test_learning_rate_rises_and_falls_linearly():
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == pytest.approx(1)
    assert factors[55] == pytest.approx(0.5) and factors[99] == pytest.approx(1 / 90)
    without_warm_up = [learning_rate_factor(step, 10, 0) for step in range(10)]
    assert without_warm_up == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_groups_hold_every_parameter_once(model):
    groups = parameter_groups(model, 1e-5, 1e-3, 0.01)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len({id(parameter) for parameter in grouped}) == len(list(model.parameters()))
    head = next(group for group in groups if any(p is model.heads[1].bias for p in group["params"]))
    assert (head["peak"], head["weight_decay"]) == (1e-3, 0)
    group_of = {id(parameter): group for group in groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        group, decays = group_of[id(parameter)], not name.endswith(".bias") and "LayerNorm" not in name
        expected = {"lr": 0, "peak": 1e-5 if name.startswith("encoder.") else 1e-3, "weight_decay": 0.01 * decays}
        assert {key: group[key] for key in expected} == expected, name


def test_attention_dropout_is_set(encoder_folder, tree):
    assert load_encoder(encoder_folder, 0.25).config.attention_probs_dropout_prob == 0.25
    options = TrainingOptions(batching="padded", attention_dropout=0.25)
    assert (
        new_classifier(encoder_folder, tree, TRUTH, options, 1, 32).encoder.config.attention_probs_dropout_prob == 0.25
    )


def test_missing_weights_are_not_made_up(encoder_folder, tmp_path):
    folder = tmp_path / "partial"
    folder.mkdir()
    for path in encoder_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    state = load_file(folder / "model.safetensors")
    dropped = next(name for name in state if "layer.1.attention" in name)
    save_file({name: t for name, t in state.items() if name != dropped}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="1 weights are missing"):
        load_encoder(folder, 0.0)


def test_a_folder_that_is_not_a_model_is_one_sentence(encoder_folder, model, tree, tmp_path):
    with pytest.raises(UserError, match=r"is not an exported model: labels.json is missing"):
        load_model(encoder_folder, "packed")
    export_model(model, model.state_dict(), encoder_folder, tree, TEXT, "# card", tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    (tmp_path / "model/config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(UserError, match=r"lacks the tensor 'bert.encoder.layer.2.*it does not fit config.json"):
        load_model(tmp_path / "model", "packed")
