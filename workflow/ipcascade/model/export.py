"""Models as Hugging Face folders: an encoder read from one, a classifier written to and read from one.

The folder's `model.safetensors` holds the encoder under the names that transformers gives it, so that
`AutoModel.from_pretrained(folder)` loads the fine-tuned encoder alone, and the heads beside it. `labels.json` holds the
label tree, and how texts are treated.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole, read_json, write_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import ENCODER_FACTS, LABELS, MODEL_CARD, MODEL_CONFIG, WEIGHTS
from ipcascade.core.options import Batching
from ipcascade.core.tensors import save_tensors
from ipcascade.model.compatibility import ATTENTION_DROPOUT_KEYS, use_batching
from ipcascade.model.network import Classifier, is_head


def load_encoder(folder: Path, attention_dropout: float) -> nn.Module:
    """The encoder in a folder, in fp32 and without a pooler.

    Raises UserError where the folder is not an encoder's or where weights are missing from it.
    """
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in (MODEL_CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; delete the folder and make it again (target {folder}/{name})")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        _set_attention_dropout(config, attention_dropout)
        encoder, report = AutoModel.from_pretrained(
            folder, config=config, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} is not a usable encoder ({reason}); delete the folder and make it again") from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them; the weights are of another encoder"
        )
    return _without_pooler(encoder)


def _set_attention_dropout(config: Any, attention_dropout: float) -> None:
    for key in ATTENTION_DROPOUT_KEYS:
        if hasattr(config, key):
            setattr(config, key, attention_dropout)


def _without_pooler(encoder: nn.Module) -> nn.Module:
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # type: ignore[assignment]  # transformers' own way to say "none"
    return encoder


def export_model(
    model: Classifier,
    weights: dict[str, Tensor],
    encoder_folder: Path,
    tree: LabelTree,
    text: dict[str, Any],
    card: str,
    target: Path,
) -> None:
    """Write the folder of a trained model whole: weights, encoder config, tokenizer, labels.json and a model card.

    weights: those to export, named as in `model.state_dict()`. text: what a document's text is made of and how long it
    may be (content, max_length), kept in labels.json so that new texts are treated the same way.
    """
    prefix = model.encoder.base_model_prefix
    named = {
        (name if is_head(name) else f"{prefix}.{name.removeprefix('encoder.')}"): tensor
        for name, tensor in weights.items()
    }
    with folder_written_whole(target) as part:
        save_tensors(part / WEIGHTS, named)
        for path in sorted(encoder_folder.iterdir()):
            if path.suffix in (".json", ".txt") and path.name != ENCODER_FACTS and "provenance" not in path.name:
                shutil.copyfile(path, part / path.name)
        write_json(part / LABELS, {"label_tree": tree.to_json(), "text": text, "dropout": model.dropout.p})
        (part / MODEL_CARD).write_text(card, encoding="utf-8")


def load_model(folder: Path, batching: Batching) -> tuple[Classifier, LabelTree, dict[str, Any]]:
    """Load an exported model: the classifier in evaluation mode, its label tree, and how its texts are treated.

    Raises UserError where the folder is not one that `export_model` wrote, or as `use_batching` does.
    """
    from transformers import AutoConfig, AutoModel

    for name in (LABELS, MODEL_CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is not an exported model: {name} is missing")
    labels = read_json(folder / LABELS)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        stored = load_file(folder / WEIGHTS)
        tree, text, dropout = LabelTree.from_json(labels["label_tree"]), labels["text"], labels["dropout"]
        max_length = text["max_length"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder} is not an exported model: {str(error).splitlines()[0]}") from error
    _set_attention_dropout(config, 0.0)
    encoder = _without_pooler(AutoModel.from_config(config, dtype=torch.float32))  # type: ignore[no-untyped-call]
    model = Classifier(encoder, tree.sizes, dropout, max_length)
    prefix = f"{encoder.base_model_prefix}."
    weights = {
        (f"encoder.{name.removeprefix(prefix)}" if name.startswith(prefix) else name): tensor
        for name, tensor in stored.items()
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder}/{WEIGHTS} does not fit its {MODEL_CONFIG} and {LABELS}: {reason}") from error
    use_batching(model.eval(), batching)
    return model, tree, text
