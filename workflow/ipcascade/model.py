"""Encoder + [CLS] + a section head and a class head; saved and loaded as one Hugging Face folder.

The folder's `model.safetensors` holds the encoder under the names that transformers gives it, so that
`AutoModel.from_pretrained(folder)` loads the fine-tuned encoder alone, and the two heads beside it.
"""

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from . import attention
from .batching import Batching
from .doors import SCHEMA_VERSION, dump_json
from .errors import UserError
from .taxonomy import Taxonomy
from .tensors import save_tensors
from .tokens import POSITIONS_AFTER_PADDING

WEIGHTS = "model.safetensors"
LABELS = "labels.json"
HEADS = ("section_head", "class_head")
ATTENTION_DROPOUT_KEYS = ("attention_probs_dropout_prob", "attention_dropout")


class CascadeModel(nn.Module):
    """An encoder with two linear heads on each document's first token's last hidden state."""

    encoder: Any  # a transformers model, of whichever class

    def __init__(
        self, encoder: nn.Module, hidden: int, sections: int, classes: int, dropout: float, max_length: int
    ) -> None:
        """max_length: most tokens a document."""
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.section_head = nn.Linear(hidden, sections)
        self.class_head = nn.Linear(hidden, classes)
        self.max_length = max_length
        self.first_position = first_position(encoder.config)

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, positions: Tensor | None = None, starts: Tensor | None = None,
        firsts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Logits of a pass, whose tensors are described in `batching.Pass`: padded with `mask`, else packed.

        Returns section logits [documents, sections] and class logits [documents, classes]; packed, a row a slot.
        """
        if positions is None or firsts is None:
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        else:
            hidden = self.encoder(
                input_ids=ids[None],
                position_ids=positions[None] + self.first_position,
                cu_seq_lens_q=starts,
                max_length_q=self.max_length,
            ).last_hidden_state[0]
            hidden = hidden.index_select(0, firsts)
        hidden = self.dropout(hidden)
        return self.section_head(hidden), self.class_head(hidden)


def first_position(config: Any) -> int:
    """The position of a document's first token: 0, but for models that count from the padding token's id on."""
    return config.pad_token_id + 1 if config.model_type in POSITIONS_AFTER_PADDING else 0


def prepare(model: CascadeModel, batching: Batching) -> None:
    """Choose the encoder's attention for packed or padded passes, and see that packing changes nothing.

    Raises UserError for an encoder that cannot be packed: one with attention of its own, without `position_ids`, or
    with attention dropout.
    """
    if batching == "padded":
        return
    config = model.encoder.config
    name = config.model_type
    padded_instead = "set training.batching and scoring.batching to padded"
    if any(getattr(config, key, 0.0) for key in ATTENTION_DROPOUT_KEYS):
        raise UserError(f"training.attention_dropout must be 0 with packed batches; or {padded_instead}")
    # Two documents of five and three tokens; not the padding token, after which some count positions.
    tokens = torch.tensor([token for token in range(9) if token != config.pad_token_id][:8])
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    ids = torch.stack([tokens[:5], tokens[3:]]).masked_fill(~mask, config.pad_token_id or 0)
    positions, starts = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2]), torch.tensor([0, 5, 8], dtype=torch.int32)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        expected = torch.cat(model(ids, mask), dim=1)
        try:
            model.encoder.set_attn_implementation(attention.NAME)
            packed = torch.cat([tokens[:5], tokens[3:6]]), None, positions, starts, starts[:2].long()
            model.train()(*packed)  # attention dropout, whatever its key in the config, shows only here
            found = torch.cat(model.eval()(*packed), dim=1)
        except (attention.UnsupportedAttention, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"encoders of the type {name} cannot be packed ({reason}); {padded_instead}") from error
    model.train(was_training)
    if not torch.allclose(found, expected, atol=1e-3, rtol=1e-3):
        raise UserError(
            f"encoders of the type {name} cannot be packed (documents side by side change one another's result); "
            f"{padded_instead}"
        )


def load_encoder(folder: Path, attention_dropout: float) -> nn.Module:
    """The encoder in a folder, in fp32 and without a pooler.

    Raises UserError where the folder is not an encoder's or where weights are missing from it.
    """
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in ("config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; delete the folder and make it again (target {folder}/{name})")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        for key in ATTENTION_DROPOUT_KEYS:
            if hasattr(config, key):
                setattr(config, key, attention_dropout)
        encoder, report = AutoModel.from_pretrained(
            folder, config=config, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} is no usable encoder ({reason}); delete the folder and make it again") from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them; this is no such encoder"
        )
    return _without_pooler(encoder)


def _without_pooler(encoder: nn.Module) -> nn.Module:
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # type: ignore[assignment]  # transformers' own way to say "none"
    return encoder


def new_model(
    encoder_folder: Path, taxonomy: Taxonomy, dropout: float, attention_dropout: float, bias: np.ndarray, seed: int,
    max_length: int, batching: Batching,
) -> CascadeModel:  # fmt: skip
    """A model with pre-trained encoder and fresh heads: Xavier-uniform weights, the given bias.

    bias: float [labels] in taxonomy order; max_length: most tokens a document. Raises UserError as `prepare` does.
    """
    encoder = load_encoder(encoder_folder, attention_dropout)
    hidden = encoder.config.hidden_size  # type: ignore[union-attr]
    model = CascadeModel(encoder, int(hidden), len(taxonomy.sections), len(taxonomy.classes), dropout, max_length)  # type: ignore[arg-type]
    prepare(model, batching)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for head, level in zip((model.section_head, model.class_head), ("section", "class"), strict=True):
            nn.init.xavier_uniform_(head.weight, generator=generator)
            head.bias.copy_(torch.from_numpy(bias[taxonomy.columns[level]]))
    return model


def prior_bias(truth: np.ndarray) -> np.ndarray:
    """The log-odds of each label's share: float32 [labels] from a truth matrix [documents, labels].

    Half a document is added to either side, so that a label without documents has a finite bias.
    """
    share = (truth.sum(axis=0) + 0.5) / (len(truth) + 1)
    return np.log(share / (1 - share)).astype(np.float32)


def inverse_frequency_weights(truth: np.ndarray) -> np.ndarray:
    """Positive weights N / (n + 1) a label, normalised to mean 1 (the reference system's): float32 [labels]."""
    weights = len(truth) / (truth.sum(axis=0) + 1)
    return (weights / weights.mean()).astype(np.float32)


def save_model(
    model: CascadeModel, state: dict[str, Tensor], encoder_folder: Path, taxonomy: Taxonomy, card: str, target: Path,
    text: dict[str, Any],
) -> None:  # fmt: skip
    """Write the released folder whole: weights, encoder config, tokenizer, labels.json and a model card.

    state: the weights to release, named as in `model.state_dict()`. text: what a document's text is made of and how
    long it may be (content, max_length), kept in labels.json so that new texts are treated alike.
    """
    prefix = model.encoder.base_model_prefix
    named = {
        (name if name.split(".")[0] in HEADS else f"{prefix}.{name.removeprefix('encoder.')}"): tensor
        for name, tensor in state.items()
    }
    labels = {
        "schema_version": SCHEMA_VERSION,
        "taxonomy": asdict(taxonomy),
        "text": text,
        "dropout": model.dropout.p,
    }
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        save_tensors(part / WEIGHTS, named)
        for path in sorted(encoder_folder.iterdir()):
            if path.suffix in (".json", ".txt") and path.name != "encoder.json":
                shutil.copyfile(path, part / path.name)
        (part / LABELS).write_text(dump_json(labels), encoding="utf-8")
        (part / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_model(folder: Path, batching: Batching) -> tuple[CascadeModel, Taxonomy, dict[str, Any]]:
    """Load a released folder: the model in evaluation mode, its label tree, and how its texts are treated.

    Raises UserError where the folder is not one that `save_model` wrote, or as `prepare` does.
    """
    from transformers import AutoConfig, AutoModel

    try:
        labels = json.loads((folder / LABELS).read_text(encoding="utf-8"))
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise UserError(f"{folder} is not a released model: {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder} is not a released model: {str(error).splitlines()[0]}") from error
    tree = labels["taxonomy"]
    taxonomy = Taxonomy(tuple(tree["sections"]), tuple(tree["classes"]), tuple(tree["parents"]), tree["titles"])
    for key in ATTENTION_DROPOUT_KEYS:
        if hasattr(config, key):
            setattr(config, key, 0.0)
    encoder = _without_pooler(AutoModel.from_config(config, dtype=torch.float32))  # type: ignore[no-untyped-call]
    model = CascadeModel(
        encoder, config.hidden_size, len(taxonomy.sections), len(taxonomy.classes), labels["dropout"],
        labels["text"]["max_length"],
    )  # fmt: skip
    prefix = f"{encoder.base_model_prefix}."
    own = {
        (f"encoder.{name.removeprefix(prefix)}" if name.startswith(prefix) else name): w for name, w in state.items()
    }
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        raise UserError(
            f"{folder}/{WEIGHTS} does not fit its config.json: {str(error).splitlines()[-1].strip()}"
        ) from error
    prepare(model.eval(), batching)
    return model, taxonomy, labels["text"]


def parameter_groups(model: CascadeModel, encoder_rate: float, head_rate: float, decay: float) -> list[dict[str, Any]]:
    """AdamW's groups: encoder and heads at their own rates; biases and norms without decay.

    Each group carries its peak learning rate as `peak`.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        in_head = name.split(".")[0] in HEADS
        decays = parameter.ndim > 1
        groups.setdefault((in_head, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": 0.0,
            "peak": head_rate if in_head else encoder_rate,
            "weight_decay": decay if decays else 0.0,
        }
        for (in_head, decays), parameters in groups.items()
    ]


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over a share `warmup` of all steps, then linear decay to 0; `step` counts from 0."""
    rising = max(1, math.ceil(steps * warmup)) if warmup > 0 else 0
    if step < rising:
        return (step + 1) / rising
    return max(0.0, (steps - step) / max(1, steps - rising))
