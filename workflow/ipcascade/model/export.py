"""Models as Hugging Face folders: an encoder read from one, a classifier written to and read from one.

The folder's `model.safetensors` holds the encoder under the names that transformers gives it, so that
`AutoModel.from_pretrained(folder)` loads the fine-tuned encoder alone, and the heads beside it. `labels.json` holds the
label tree, and how texts are treated.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole, read_json, write_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import ENCODER_FACTS, LABELS, MODEL_CARD, MODEL_CONFIG, WEIGHTS
from ipcascade.core.options import Batching
from ipcascade.core.schemas import ModelLabels
from ipcascade.core.tensors import check_finite, check_tensors, load_tensors, save_tensors
from ipcascade.model.compatibility import ATTENTION_DROPOUT_KEYS, use_batching
from ipcascade.model.network import Classifier, is_head
from ipcascade.model.trial import reason_of

# transformers' pipelines put a head of their own with random weights on an encoder. They show the labels of the config.
NO_PIPELINE = "no result: transformers has no class for these heads; use `ipcascade predict`"
TRAIN_AGAIN = "take the folder as training wrote it, or train again"


def load_encoder(folder: Path, attention_dropout: float) -> nn.Module:
    """The encoder in a folder, in fp32 and without a pooler.

    Raises UserError where the folder is not an encoder's or where weights are missing from it or are not finite.
    """
    remedy = f"delete the folder and make it again (target {folder}/{ENCODER_FACTS})"
    for name in (MODEL_CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; {remedy}")
    try:
        return read_encoder(folder, attention_dropout)
    except NotAnEncoder as reason:
        raise UserError(f"{folder} is not a usable encoder: {reason}; {remedy}") from reason


class NotAnEncoder(Exception):
    """A folder holds no encoder that can be used: why, as a part of a sentence."""


def read_encoder(folder: Path, attention_dropout: float) -> nn.Module:
    """`load_encoder`, raising NotAnEncoder."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _set_attention_dropout(config, attention_dropout)
        encoder, report = AutoModel.from_pretrained(
            folder, config=config, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # transformers raises many kinds for a broken file; all mean the same to a user
        raise NotAnEncoder(reason_of(error)) from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise NotAnEncoder(f"{len(missing)} weights are missing from {WEIGHTS}, {missing[0]} among them")
    for name, weights in encoder.named_parameters():
        if not torch.isfinite(weights).all():
            raise NotAnEncoder(f"weights in {WEIGHTS} are not finite numbers, those of {name} among them")
    if getattr(config, "is_encoder_decoder", False):
        raise NotAnEncoder(f"the model type {config.model_type} has a decoder beside its encoder")
    for key in ("hidden_size", "num_hidden_layers"):
        if not isinstance(getattr(config, key, None), int):
            raise NotAnEncoder(f"the config of the model type {config.model_type} has no {key}: not a text encoder")
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
    finer_tree: LabelTree | None = None,
) -> None:
    """Write the folder of a trained model whole: weights, encoder config, tokenizer, labels.json and a model card.

    weights: those to export, named as in `model.state_dict()`. text: what a document's text is made of and how long it
    may be (content, max_length), kept in labels.json so that new texts are treated the same way. finer_tree: the
    tree with the finer level, where the model has one.
    """
    named = {_name_in_file(name, model): tensor for name, tensor in weights.items()}
    with folder_written_whole(target) as part:
        save_tensors(part / WEIGHTS, named)
        for path in sorted(encoder_folder.iterdir()):
            if path.suffix in (".json", ".txt") and path.name != ENCODER_FACTS and "provenance" not in path.name:
                shutil.copyfile(path, part / path.name)
        _name_no_labels(part / MODEL_CONFIG)
        write_json(part / LABELS, {
            "label_tree": tree.to_json(), "text": text, "dropout": model.dropout.p,
            "finer_labels": finer_tree.to_json()["labels"][len(tree.labels) :] if finer_tree else None,
            "label_attention": model.label_attention is not None,
        })  # fmt: skip
        (part / MODEL_CARD).write_text(card, encoding="utf-8")


def _name_in_file(name: str, model: Classifier) -> str:
    """The name of a weight in the weights file: that which transformers gives it, but for what is not the encoder's."""
    return name if is_head(name) else f"{model.encoder.base_model_prefix}.{name.removeprefix('encoder.')}"


def _name_no_labels(config: Path) -> None:
    """Make the one label of transformers' pipelines say that their numbers are not a result."""
    described = json.loads(config.read_text(encoding="utf-8"))
    described |= {"id2label": {"0": NO_PIPELINE}, "label2id": {NO_PIPELINE: 0}}
    described.pop("num_labels", None)
    config.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_model(folder: Path, batching: Batching) -> tuple[Classifier, LabelTree, dict[str, Any]]:
    """Load an exported model: the classifier in evaluation mode, its label tree, and how its texts are treated.

    Raises UserError where the folder is not one that `export_model` wrote, or as `use_batching` does.
    """
    for name in (LABELS, MODEL_CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is not an exported model: {name} is missing")
    labels = read_json(folder / LABELS, ModelLabels)
    tree = LabelTree.from_json(labels["label_tree"], f"{folder / LABELS}: the label tree")
    finer_tree = _finer_tree(folder / LABELS, labels, tree)
    text, stored = labels["text"], load_tensors(folder / WEIGHTS, TRAIN_AGAIN)
    with torch.device("meta"):  # an outline without values, so that a wrong config takes no memory
        outline = _classifier(folder, tree, finer_tree, labels)
    expected = {_name_in_file(name, outline): tensor for name, tensor in outline.state_dict().items()}
    remedy = f"it does not fit {MODEL_CONFIG} and {LABELS} beside it; {TRAIN_AGAIN}"
    check_tensors(folder / WEIGHTS, stored, expected, remedy)
    check_finite(folder / WEIGHTS, stored, f"training diverged or the file is damaged: {TRAIN_AGAIN}")
    model = _classifier(folder, tree, finer_tree, labels)
    model.load_state_dict({name: stored[_name_in_file(name, model)] for name in model.state_dict()})
    try:
        use_batching(model.eval(), batching, is_trained=True)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    return model, tree, text


def _finer_tree(path: Path, labels: dict[str, Any], tree: LabelTree) -> LabelTree | None:
    """The tree with the finer level of a labels.json, where the model has one."""
    labels_below = labels["finer_labels"]
    if labels_below is None:
        return None
    content = {
        "levels": [*tree.levels, labels_below[0]["level"]],
        "labels": [*labels["label_tree"]["labels"], *labels_below],
    }
    return LabelTree.from_json(content, f"{path}: the label tree with the finer level")


def finer_parents_of(tree: LabelTree) -> tuple[int, ...]:
    """The column of the label above each label of the last level."""
    return tree.parents[tree.columns[tree.levels[-1]]]


def _classifier(folder: Path, tree: LabelTree, finer_tree: LabelTree | None, labels: dict[str, Any]) -> Classifier:
    """The classifier of an exported folder, with weights that are still to be loaded."""
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _set_attention_dropout(config, 0.0)
        encoder = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)  # type: ignore[no-untyped-call]
        return Classifier(
            _without_pooler(encoder), (finer_tree or tree).sizes, labels["dropout"], labels["text"]["max_length"],
            labels["label_attention"], finer_parents_of(finer_tree) if finer_tree else None,
        )  # fmt: skip
    except Exception as error:  # transformers raises many kinds for a wrong value
        raise UserError(
            f"{folder / MODEL_CONFIG} is not the config of an encoder ({type(error).__name__}: {reason_of(error)}); "
            f"{TRAIN_AGAIN}"
        ) from error
