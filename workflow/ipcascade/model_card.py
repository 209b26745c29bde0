"""The model card: what a released folder says about itself."""

from typing import Any

import polars as pl

from .config import Config


def model_card(
    encoder: dict[str, Any],
    config: Config,
    history: pl.DataFrame,
    documents: int,
    precision: str,
    text: dict[str, Any],
) -> str:
    """Markdown with Hugging Face front matter.

    encoder: the facts of encoder.json; documents: training documents; text: as in `model.save_model`.
    """
    options = config.training
    # Of an encoder in a local folder its last part says enough; where it lay is nobody's business.
    name = encoder["name"].rsplit("/", 1)[-1] if encoder["revision"] is None else encoder["name"]
    best = history.row(by_predicate=pl.col("selected"), named=True)
    reads = text["content"].replace("_and_", " and the ")
    revision = f" at revision {encoder['revision']}" if encoder["revision"] else ""
    return f"""---
library_name: ipcascade
pipeline_tag: text-classification
tags: [patents, multi-label, hierarchical]
---

# Two-level patent classifier

Fine-tuned from `{name}`{revision} (weights SHA-256 `{encoder["sha256"]}`)
on {documents:,} documents with ipcascade. The model reads the {reads} of a patent, up to
{text["max_length"]} tokens, and gives one probability for every section and every class of the label tree in
`labels.json`.

| training | |
|---|---|
| epochs, best epoch | {history.height}, {best["epoch"]} by `{options.select_by}` |
| documents a step | {options.batch_size} |
| learning rate, encoder and heads | {options.encoder_learning_rate:g}, {options.head_learning_rate:g} |
| loss weights, section and class | {options.section_weight:g}, {options.class_weight:g} |
| loss over labels | {options.loss_reduction} |
| precision | {precision} |
| seed | {config.seed} |

| validation at the best epoch, one threshold a level | F1 micro | F1 macro |
|---|---|---|
| section | {best["global.section.f1_micro"]:.4f} | {best["global.section.f1_macro"]:.4f} |
| class | {best["global.class.f1_micro"]:.4f} | {best["global.class.f1_macro"]:.4f} |

These numbers chose epoch and thresholds; results on unseen documents stand in `results/metrics/test.json`.

`AutoModel.from_pretrained` loads the encoder alone; `ipcascade predict` labels texts with the whole.

Limits: trained on patent abstracts, so other kinds of text are out of its domain; classes with few training documents
are predicted poorly; the label tree is the scheme in force when the corpus was made.
"""
