"""The model card: what an exported model folder says about itself, in the format of the Hugging Face hub."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ipcascade.core.names import LABELS, MODEL_CONFIG
from ipcascade.core.options import by_level
from ipcascade.training.options import TrainingOptions


def model_card(
    encoder: Mapping[str, Any],
    options: TrainingOptions,
    seed: int,
    levels: Sequence[str],
    epochs: pl.DataFrame,
    selection: tuple[str, float | None],
    documents: int,
    precision: str,
    text: Mapping[str, Any],
) -> str:
    """Markdown with the hub's front matter, which carries the selection measure as an evaluation result.

    encoder: the facts of encoder.json; levels: from the top down; epochs: the table epochs.parquet; selection: the
    measure by which the epoch was chosen, and its value on the validation split at that epoch (None where it is not
    defined there); documents: training documents; text: `content` and `max_length`, as in `labels.json`.
    """
    from huggingface_hub import ModelCard

    best = epochs.row(by_predicate=pl.col("selected"), named=True)
    reads = text["content"].replace("_", " ")
    revision = f" at revision {encoder['revision']}" if encoder["revision"] else ""
    weights = by_level(options.loss_weights, levels)
    rows = "\n".join(f"| {level} | {weights[level]:g} |" for level in levels)
    measure, value = selection
    reached = "which is not defined there" if value is None else f"{value:.4f}"
    body = f"""
# Patent classifier: {", ".join(levels)}

Fine-tuned from `{encoder["name"]}`{revision} (weights SHA-256 `{encoder["sha256"]}`)
on {documents:,} documents with ipcascade. The model reads the {reads} of a patent, up to
{text["max_length"]} tokens, and gives one probability for every label of the label tree in `{LABELS}`.

## Training

| level, from the top down | loss weight |
|---|---|
{rows}

| option | value |
|---|---|
| epochs | {epochs.height} |
| documents per optimizer step | {options.batch_size} |
| learning rate of the encoder | {options.encoder_learning_rate:g} |
| learning rate of the heads | {options.head_learning_rate:g} |
| loss over labels | {options.loss_reduction} |
| precision | {precision} |
| seed | {seed} |

## Results

This is epoch {best["epoch"]} of {epochs.height}, chosen by `{measure}` on the validation split: {reached}.
The validation loss is {best["val_loss"]:.4f}. A measure that chose the epoch is optimistic. Results on the test split
are not known when the model is exported, so this card has none.

## Use

`AutoModel.from_pretrained` loads the encoder alone; `ipcascade predict` labels texts with the whole model. The
pipelines of transformers have no class with one head per level: they put a head with random weights on the encoder, and
the one label that `{MODEL_CONFIG}` gives them says so.

## Limits

Trained on the {reads} of patents, so other kinds of text are outside its domain. Labels with few training documents
are predicted poorly. The label tree is the classification in force when the corpus was made.
"""
    return str(ModelCard(f"---\n{_front_matter(encoder, levels, selection)}\n---\n{body}"))


def _front_matter(encoder: Mapping[str, Any], levels: Sequence[str], selection: tuple[str, float | None]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    measure, value = selection
    results = [] if value is None else [
        EvalResult(
            task_type="text-classification",
            task_name="hierarchical multi-label text classification",
            dataset_type="patents",
            dataset_name="validation split, on which the epoch was chosen",
            dataset_split="validation",
            metric_type="f1" if "f1" in measure else measure.rsplit(".", 1)[-1],
            metric_name=measure,
            metric_value=round(value, 4),
        )
    ]  # fmt: skip
    on_hub = encoder["revision"] is not None and not encoder["name"].startswith("package:")
    return ModelCardData(
        base_model=encoder["name"] if on_hub else None,
        eval_results=results or None,
        library_name="ipcascade",
        model_name=f"ipcascade-{'-'.join(levels)}" if results else None,
        tags=["patents", "multi-label", "hierarchical"],
    ).to_yaml()
