"""Options of evaluation: thresholds, decoding, measures, error analysis, the training history.

And the names of the measures by which training can choose its best epoch (see epoch_selection.py).
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from ipcascade.core.options import DEFAULT, NUMBER, WHOLE, Count, Probability, Section, Truth, by_level

REFERENCE_H_F1 = "reference.reference.h_f1"
HIERARCHICAL_F1 = "global.hierarchical.f1_micro"
VALIDATION_LOSS = "val_loss"


def selection_measures(levels: Sequence[str]) -> tuple[str, ...]:
    """The measures by which an epoch of a model with these levels can be chosen; the first is the default."""
    of_levels = (
        name
        for level in reversed(levels)
        for name in (f"global.{level}.f1_micro", f"global.{level}.f1_macro", f"{level}.average_precision_micro")
    )
    reference = (REFERENCE_H_F1,) if len(levels) > 1 else ()
    return (*of_levels, HIERARCHICAL_F1, *reference, VALIDATION_LOSS)


class HistoryOptions(Section):
    """The measures of each epoch in results/training/history.parquet; they change no weights and no choice of epoch."""

    fixed: dict[str, Probability] = {"default": 0.5}
    """Thresholds of the measures named fixed.*, by level; `default` holds for levels that are not named."""


class PerLabelOptions(Section):
    """The method per_label: the exact F1 maximum of each label, with a guard for rare ones."""

    guard: Literal["scutfbr", "joint"] = "scutfbr"
    """scutfbr: a label whose best validation F1 is below floor, or with fewer than minimum_positives, gets its level's
    global threshold; joint: the micro+macro method of Lin and Lin (2023)."""
    floor: Probability = 0.3
    """Floor on a label's best validation F1 (scutfbr)."""
    minimum_positives: Count = 10
    """A label with fewer validation documents gets its level's global threshold (scutfbr)."""
    folds: Annotated[int, Field(ge=2, le=1000), WHOLE] = 3
    """Folds of the joint method."""


class BlendOptions(Section):
    """The method blend: per label the weighted geometric mean of the thresholds of global and expected_f1."""

    share: Probability = 0.5
    """Weight of expected_f1; 0 is the method global, 1 the method expected_f1."""


class ThresholdOptions(Section):
    """From probabilities to decisions; fitted on the validation split only."""

    method: Literal["fixed", "global", "per_label", "expected_f1", "blend", "reference"] = "blend"
    """fixed: the numbers below; global: one optimum per level; per_label: one per label; expected_f1: one per label
    from calibrated probabilities alone, without true labels; blend: between global and expected_f1; reference: the
    published grid, by reference H-F1 of masked labels, for trees of two levels."""
    fixed: dict[str, Probability] = {"default": 0.5}
    """Numbers of the method fixed, by level; `default` holds for levels that are not named."""
    per_label: PerLabelOptions = PerLabelOptions()
    blend: BlendOptions = BlendOptions()


class DecodingOptions(Section):
    """Parent-child consistency, and the number of labels."""

    method: Literal["mask", "coherent"] = "coherent"
    """mask: labels only below parents with a high enough probability; where no label of the level above has one, all
    labels of the level can be predicted. coherent: the label set, each label with its parents, with the largest sum of
    probability - threshold."""
    confidence: Probability | None = None
    """The probability that a parent must exceed (mask); null: its own threshold (only below predicted parents)."""
    at_least_one: Truth = False
    """A document without a label gets its most probable label of the first level, and a predicted label without any of
    its children its most probable child, down to the lowest level."""
    at_most: dict[str, Count] | None = None
    """Most labels per document, by level; the most probable are kept. `default` holds for levels that are not named;
    without it they have no limit, as with null."""


def most_labels(options: DecodingOptions, levels: Sequence[str]) -> dict[str, int]:
    """The most labels of a document on each level that has such a limit."""
    at_most = options.at_most or {}
    return by_level(at_most, [level for level in levels if level in at_most or DEFAULT in at_most])


class EvaluationOptions(Section):
    """Measures."""

    bootstrap: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = 1000
    """Bootstrap samples for the confidence intervals of the headline measures; groups of documents that splits keep
    together are drawn, not single documents. 0 leaves the intervals out."""
    confidence: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.95
    """Coverage of the confidence intervals."""


class GuaranteeOptions(Section):
    """Label sets whose recall, or precision, is guaranteed, each by one bound on the probabilities per level."""

    recall: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.9
    """The share of a document's true labels that its set has at least, on average over groups of documents."""
    precision: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.9
    """The share of a set that is true at least, on average over the groups with a set that is not empty."""
    confidence: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.9
    """The probability, over validation splits, that a bound fitted on one gives what is wanted."""


class AnalysisOptions(Section):
    """The error analysis of the test split."""

    precision: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.95
    """The precision that the labels left to the machine are to have, per level; the confidence that a document needs
    for it is fitted on validation."""
    documents: Count = 100
    """Documents with the highest loss to list, per level."""
    guarantee: GuaranteeOptions = GuaranteeOptions()
    refits: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = 50
    """Bootstrap samples of validation on which thresholds are fitted again, to see how far they and F1 move. 0 leaves
    that out."""
