"""Options of training."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ipcascade.core.options import (
    WHOLE,
    Accelerator,
    Batching,
    Count,
    NotNegative,
    Number,
    Positive,
    Precision,
    Probability,
    Section,
    Share,
    Text,
    Truth,
)
from ipcascade.evaluation.options import selection_measures


class SoftMaskOptions(Section):
    """In training, scale the logits of labels below parents of low probability (part of the published recipe)."""

    confidence: Probability = 0.1
    """Parents with at most this probability are implausible."""
    factor: Probability = 0.1
    """Factor on the logits of the labels below an implausible parent."""


class TrainingOptions(Section):
    """Fine-tuning."""

    seed: Annotated[int, Field(ge=0, le=2**63 - 1), WHOLE] | None = None
    """Seed of training alone (order of the documents, heads, dropout), for runs that differ in it on the same splits;
    null: the one seed."""
    epochs: Count = 6
    """Passes over the training split."""
    batch_size: Count = 32
    """Documents per optimizer step."""
    batching: Batching = "packed"
    """packed: documents end to end, no padding computed; padded: for encoders that cannot be packed (a message says
    so)."""
    max_tokens: Count = 16_384
    """Most tokens in one pass through the encoder. Less saves memory: a step of more is split into micro-batches, with
    the same loss and gradients but for rounding and which elements dropout takes."""
    encoder_learning_rate: Positive = 3e-5
    """Peak learning rate of the encoder."""
    head_learning_rate: Positive = 3e-4
    """Peak learning rate of the heads."""
    weight_decay: NotNegative = 0.01
    """AdamW's decay; biases and layer norms are not decayed."""
    warmup: Share = 0.1
    """Share of all steps with a linearly rising learning rate; it falls linearly to 0 after that."""
    gradient_clip: Positive = 1.0
    """Largest L2 norm of the gradient of all weights."""
    dropout: Share = 0.1
    """Dropout on the [CLS] vector before the heads."""
    token_dropout: Share = 0.15
    """Share of a text's tokens that are left out in a step of training, each time others: less is learned by heart, and
    a step takes less time by as much."""
    attention_dropout: Share = 0.0
    """Dropout on attention probabilities inside the encoder; packed batches need 0."""
    label_attention: Truth = True
    """Each label reads the text with a query of its own, which starts from its title, beside the linear heads on [CLS];
    off as published, and where thousands of labels need too much memory."""
    title_examples: Truth = True
    """Titles of labels, those below the learned levels included, are training documents, too: examples of labels that
    have few others."""
    loss_weights: dict[str, NotNegative] = Field({"section": 0.3, "class": 0.7, "default": 1.0})
    """Weight of each level's loss; `default` holds for levels that are not named."""
    finer_level_weight: NotNegative = 1.0
    """Weight of the loss of the finer level, the one that the label tree has below the lowest of corpus.levels: it is
    learned, too, teaches the encoder more of each document, and labels get what those below them say. It is not
    reported. 0: it is not learned."""
    loss_reduction: Literal["sum", "mean"] = "sum"
    """Binary cross-entropy summed or averaged (mean) over the labels of a level; always averaged over documents."""
    label_weights: Literal["none", "inverse_frequency"] = "none"
    """none, or inverse_frequency: positives of a label that n of N documents have weigh N / (n + 1), normalised to mean
    1 (it spoils calibration)."""
    head_bias: Literal["prior"] | Number = "prior"
    """Start of the heads' biases. prior: the log-odds of each label's share in training; or one number for all."""
    soft_mask: SoftMaskOptions | None = None
    """Scale logits below improbable parents while training, {confidence: 0.1, factor: 0.1}; null: not used."""
    precision: Precision = "auto"
    """auto: fp16 on CUDA, bf16 on a CPU with hardware for it, fp32 otherwise. Or fp16, bf16, fp32."""
    accelerator: Accelerator = "auto"
    """auto: CUDA where torch sees a GPU, else the CPU; a job that was given a GPU which torch cannot see stops at once.
    Or cuda, cpu."""
    compile: Truth = True
    """Compile the model on CUDA (packed only), a minute or two per run; where that does not work (no C compiler on the
    node) a warning says so, and training goes on without."""
    deterministic: Truth = True
    """On CUDA use only kernels that add in a fixed order, so that a run resumed, or repeated, ends with the same
    bytes."""
    devices: Count = 1
    """GPUs of one machine that share each batch, whose size must be a multiple; the rule asks for as many, with 12
    cores each. Another number starts training from the beginning."""
    early_stopping: Count | None = None
    """Stop after this many epochs without a better select_by; null trains all epochs."""
    select_by: Text | None = None
    """Validation measure whose best epoch becomes the model. null: F1 micro of the lowest level at its best threshold,
    global.LEVEL.f1_micro. Or global.LEVEL.f1_macro, LEVEL.average_precision_micro, global.hierarchical.f1_micro,
    reference.reference.h_f1, val_loss."""
    mask_confidence: Probability | None = None
    """In validation, labels count only below parents of more than this probability; null: below predicted parents. It
    changes no weights, only which epoch is best."""

    @model_validator(mode="after")
    def _packing_has_no_attention_dropout(self) -> "TrainingOptions":
        if self.batching == "packed" and self.attention_dropout:
            raise ValueError("packed batches have no attention_dropout; set it to 0, or batching to padded")
        return self

    @model_validator(mode="after")
    def _batch_can_be_shared(self) -> "TrainingOptions":
        if self.batch_size % self.devices:
            raise ValueError(f"batch_size {self.batch_size} cannot be shared evenly by {self.devices} devices")
        return self


def selected_by(options: TrainingOptions, levels: Sequence[str]) -> str:
    """The measure by which the best epoch is chosen."""
    return options.select_by or selection_measures(levels)[0]
