"""Which encoders can be used: tiny ones with random weights, of types that differ in positions, masks and direction."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.model.suitability import check_encoder
from support import config_file

# Sizes by the names that most configs have, and by those of the others.
SIZES = {"vocab_size": 23, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
LENGTH = 48


def tiny(kind: str, **options: object) -> object:
    """A config of a type of encoder; more positions than `LENGTH`."""
    own = {
        "DistilBert": {"vocab_size": 23, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
        "XLNet": {"vocab_size": 23, "d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
        "T5": {"vocab_size": 23, "d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 2, "d_kv": 16},
        "GPT2": {"vocab_size": 23, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
        "Bart": {"vocab_size": 23, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
                 "encoder_attention_heads": 2, "decoder_attention_heads": 2},
        "Electra": {**SIZES, "embedding_size": 32}, "Albert": {**SIZES, "embedding_size": 32},
        "ModernBert": {**SIZES, **SPECIAL, "local_attention": 8},
        "DebertaV2": {**SIZES, **RELATIVE}, "Longformer": {**SIZES, "attention_window": 64},
        "FNet": {**SIZES, "tpu_short_seq_length": 64},
    }.get(kind, SIZES)  # fmt: skip
    return getattr(transformers, f"{kind}Config")(**{**own, **options})


def folder_of(encoder_folder: Path, target: Path, config: object) -> Path:
    """An encoder with random weights and the tokenizer of the tiny BERT."""
    torch.manual_seed(0)
    shutil.copytree(encoder_folder, target)
    (target / "model.safetensors").unlink()
    transformers.AutoModel.from_config(config).save_pretrained(target)
    return target


@pytest.mark.parametrize(
    ("kind", "batching", "options"),
    [
        ("Bert", "packed", {}),
        ("Bert", "padded", {}),
        ("Bert", "packed", {"pad_token_id": None}),  # the mask alone is enough
        ("Roberta", "packed", {"max_position_embeddings": LENGTH + 2, "pad_token_id": 1}),
        ("DistilBert", "packed", {}),
        ("Electra", "packed", {}),
        ("Albert", "packed", {}),
        ("MPNet", "padded", {"max_position_embeddings": LENGTH + 2, "pad_token_id": 1}),
        ("DebertaV2", "padded", {}),
        ("ModernBert", "padded", {"num_hidden_layers": 3}),
        ("Longformer", "padded", {"max_position_embeddings": 66, "pad_token_id": 1}),
    ],
)
def test_encoders_that_can_be_used(kind, batching, options, encoder_folder, tmp_path):
    folder = folder_of(encoder_folder, tmp_path / "encoder", tiny(kind, **options))
    check_encoder(folder, kind, LENGTH, batching)


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        (
            "GPT2",
            {},
            "type gpt2 cannot be the encoder: .* first one does not depend on the last quarter: it reads from",
        ),
        ("Bert", {"is_decoder": True}, "type bert cannot be the encoder: .* does not depend on the last quarter"),
        ("Longformer", {"attention_window": 4, "pad_token_id": 1}, "type longformer cannot .* sees only what is near"),
        ("T5", {}, "model type t5 has a decoder beside its encoder"),
        ("Bart", {}, "model type bart has a decoder beside its encoder"),
        ("XLNet", {}, "type xlnet fails on a text .RuntimeError: "),
        ("FNet", {}, "type fnet cannot be the encoder: padding changes its output"),
        ("MPNet", {"max_position_embeddings": LENGTH, "pad_token_id": 1}, f"length is {LENGTH}, .* only 46 positions"),
        ("Roberta", {"max_position_embeddings": LENGTH, "pad_token_id": None}, "cannot be used|fails on a text"),
        ("Bert", {"vocab_size": 20}, "its tokenizer has 23 tokens, of which it knows only the first 20"),
        ("ViT", {}, "reads no tokens"),
    ],
)
def test_encoders_that_cannot_are_one_sentence(kind, options, sentence, encoder_folder, tmp_path):
    options = {"hidden_size": 32, "num_hidden_layers": 1} if kind == "ViT" else options
    config = transformers.ViTConfig(**options) if kind == "ViT" else tiny(kind, **options)
    folder = folder_of(encoder_folder, tmp_path / "encoder", config)
    with pytest.raises(UserError, match=sentence) as caught:
        check_encoder(folder, "the-name", LENGTH, "padded")
    message = str(caught.value)
    assert message.startswith("encoder.name: the-name") and "\n" not in message and str(folder) not in message


def test_a_limit_that_no_config_tells_is_found_by_trying(encoder_folder, tmp_path, monkeypatch):
    """MPNet counts positions from 2 on; as if that were not known."""
    monkeypatch.setattr("ipcascade.encoder.tokenizer.first_position", lambda _: 0)
    config = tiny("MPNet", max_position_embeddings=LENGTH, pad_token_id=1)
    folder = folder_of(encoder_folder, tmp_path / "encoder", config)
    sentence = r"tokens.max_length is 48, but the encoder takes at most 46 tokens .*; set tokens.max_length to 46$"
    with pytest.raises(UserError, match=sentence):
        check_encoder(folder, "mpnet", LENGTH, "padded")
    check_encoder(folder, "mpnet", LENGTH - 2, "padded")


def test_weights_that_are_not_finite_are_said_to_be(encoder_folder, tmp_path):
    folder = folder_of(encoder_folder, tmp_path / "encoder", tiny("Bert"))
    state = load_file(folder / "model.safetensors")
    state["encoder.layer.1.output.dense.weight"][3, 4] = torch.nan
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"in model.safetensors are not finite numbers, .* encoder.layer.1.output.dense"
    ):
        check_encoder(folder, "nan", LENGTH, "packed")


def test_a_tokenizer_without_special_tokens_is_refused(encoder_folder, tmp_path):
    folder = folder_of(encoder_folder, tmp_path / "encoder", tiny("Bert"))
    definition = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**definition, "post_processor": None}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    with pytest.raises(UserError, match="encoder's tokenizer puts no token of its own"):
        check_encoder(folder, "plain", LENGTH, "packed")


@pytest.mark.parametrize(
    ("batching", "sentence"),
    [("packed", "cannot be packed .*; set training.batching and scoring.batching to padded"), ("padded", None)],
)
def test_the_command_tries_what_the_config_asks_for(batching, sentence, encoder_folder, tmp_path, capsys):
    """Packed where training or scoring is; nothing is left behind where the encoder cannot be."""
    folder = folder_of(encoder_folder, tmp_path / "mpnet", tiny("MPNet", max_position_embeddings=64, pad_token_id=1))
    config = config_file(
        tmp_path, encoder={"name": str(folder), "revision": None}, tokens={"max_length": LENGTH},
        training={"batching": "padded"}, scoring={"batching": batching},
    )  # fmt: skip
    code = main(["encoder", "--folder", str(tmp_path / "results/encoder"), "--config", str(config)])
    err = capsys.readouterr().err
    if sentence is None:
        assert code == 0 and (tmp_path / "results/encoder/encoder.json").is_file()
    else:
        (line,) = [line for line in err.splitlines() if line.startswith("ipcascade encoder: ")]
        assert code == 1 and "Traceback" not in err
        assert line.startswith(
            f"ipcascade encoder: encoder.name: {folder}: encoders of the type mpnet cannot be packed"
        )
        assert not list((tmp_path / "results").iterdir())
