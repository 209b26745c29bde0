"""All that a metrics file says of labelled documents: the same for the splits and for labelled new texts."""

from typing import Any

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.bootstrap import confidence_intervals
from ipcascade.evaluation.metrics import evaluate
from ipcascade.evaluation.options import DecodingOptions, EvaluationOptions
from ipcascade.evaluation.per_label import per_label_measures
from ipcascade.evaluation.thresholds import Thresholds


def measured(
    name: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    tree: LabelTree,
    thresholds: Thresholds,
    decoding: DecodingOptions,
    options: EvaluationOptions,
    seed: int,
) -> dict[str, Any]:
    """The content of a metrics file (core.schemas.Metrics): measures, intervals, and a row per label.

    name: of the split or of the texts; truth, predicted: bool, probabilities: float32, [documents, labels]; groups: one
    name per document, which bootstrap samples draw together.
    """
    return {
        "split": name,
        "documents": len(truth),
        "levels": list(tree.levels),
        "thresholds": thresholds.method,
        "decoding": decoding.model_dump(mode="json"),
        "measures": evaluate(truth, predicted, probabilities, tree),
        "confidence_intervals": confidence_intervals(
            truth, predicted, groups, tree, options.bootstrap, options.confidence, seed
        ),
        "confidence": options.confidence,
        "bootstrap_samples": options.bootstrap,
        "per_label": per_label_measures(truth, predicted, probabilities, tree, thresholds.values),
    }


def headline(content: dict[str, Any]) -> str:
    """The micro F1 of each level and over all, in one line."""
    measures = content["measures"]
    micro = ", ".join(f"{name} {measures[name]['f1_micro']:.4f}" for name in (*content["levels"], "hierarchical"))
    return f"{content['split']}: F1 micro {micro}"
