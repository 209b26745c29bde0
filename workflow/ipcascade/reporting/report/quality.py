"""The sections on quality: the headline numbers, all measures, and a row per label."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from ipcascade.core.names import BY_FREQUENCY, SCORED_SPLITS
from ipcascade.reporting.report.elements import (
    Cell,
    Column,
    Facts,
    Section,
    Table,
    Text,
    level,
    measure,
    table_of,
    text,
    title,
    whole,
    with_interval,
)
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.words import capitalised, count, level_name, plural

HEADLINE = {
    "f1_micro": "F1 micro",
    "f1_macro_supported": "F1 macro",
    "precision_micro": "Precision",
    "recall_micro": "Recall",
    "average_precision_micro": "Average precision",
    "calibration_error": "Calibration error",
}
MEASURES = {
    "f1_micro": "F1 micro",
    "precision_micro": "Precision micro",
    "recall_micro": "Recall micro",
    "f1_macro": "F1 macro, all labels",
    "f1_macro_supported": "F1 macro, labels with support",
    "f1_weighted": "F1 weighted by support",
    "f1_document": "F1 per document",
    "exact_match": "Exactly right label sets",
    "average_precision_micro": "Average precision micro",
    "average_precision_macro": "Average precision macro",
    "label_ranking_average_precision": "Label ranking average precision",
    "precision_at_1": "Precision at 1",
    "precision_at_3": "Precision at 3",
    "precision_at_5": "Precision at 5",
    "coverage": "Coverage (labels down to the last true one)",
    "calibration_error": "Expected calibration error",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "labels_with_support": "Labels with support",
    "labels_predicted": "Labels predicted",
    "labels_per_document": "Labels per document",
    "predicted_per_document": "Predicted labels per document",
    "documents_without_prediction": "Documents without a predicted label (share)",
}
OVER_LEVELS = {
    "hierarchical.f1_micro": "Hierarchical F1 micro",
    "hierarchical.precision_micro": "Hierarchical precision micro",
    "hierarchical.recall_micro": "Hierarchical recall micro",
    "hierarchical.f1_document": "Hierarchical F1 per document",
    "reference.h_f1": "Reference H-F1 (published measure)",
    "reference.h_f1_ceiling": "Its ceiling",
    "reference.h_f1_share": "Share of the ceiling",
}


def overview(results: Results, synthetic: bool) -> Section:
    """The headline numbers on test."""
    metrics = results.metrics("test")
    levels = metrics["levels"]
    items = [
        (f"{capitalised(level_name(level))} F1 micro", _headline(metrics, f"{level}.f1_micro")) for level in levels
    ]
    items.append(("Hierarchical F1", _headline(metrics, "hierarchical.f1_micro")))
    rows = [
        [Cell(capitalised(level_name(level))), *(_cell(metrics, f"{level}.{key}") for key in HEADLINE)]
        for level in levels
    ]
    columns = [Column("Level"), *(Column(words, True) for words in HEADLINE.values())]
    parts: list[Any] = [
        Text(
            f"On {count(metrics['documents'], 'test document')}, which no choice was made on. {_intervals(metrics)}"
            f"Thresholds ({metrics['thresholds']}) were fitted on validation. F1 macro is over labels with support."
        ),
        Facts(items),
        Table("headline", "Headline measures on test.", columns, rows),
    ]
    if synthetic:
        parts.insert(0, Text("This run is on synthetic data: its numbers say nothing about real patents.", warns=True))
    return Section("overview", "Overview", parts)


def _intervals(metrics: Mapping[str, Any]) -> str:
    if not metrics["bootstrap_samples"]:
        return ""
    return f"In brackets the {100 * metrics['confidence']:.3g}% interval over bootstrap samples of families. "


def _headline(metrics: Mapping[str, Any], name: str) -> str:
    value, interval = _value(metrics, name), metrics["confidence_intervals"].get(name)
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _value(metrics: Mapping[str, Any], name: str) -> Any:
    group, _, key = name.rpartition(".")
    return metrics["measures"].get(group, {}).get(key)


def measures(results: Results) -> Section:
    """All measures of each level and over the levels, on validation and test."""
    splits = {name: results.metrics(name) for name in reversed(SCORED_SPLITS)}
    levels = splits["test"]["levels"]
    columns = [
        Column("Measure"),
        *(Column(f"{capitalised(level_name(level))}, {name}", True) for level in levels for name in splits),
    ]
    rows = [
        [Cell(words), *(_cell(of_split, f"{level}.{key}") for level in levels for of_split in splits.values())]
        for key, words in MEASURES.items()
    ]
    of_levels = Table("measures", "Measures of each level.", columns, rows)
    over = [
        [Cell(words), *(_cell(of_split, name) for of_split in splits.values())]
        for name, words in OVER_LEVELS.items()
        if _value(splits["test"], name) is not None
    ]
    headings = [Column("Measure"), *(Column(name, True) for name in splits)]
    return Section(
        "measures",
        "Measures",
        [
            of_levels,
            Table("hierarchical", "Measures over all levels.", headings, over),
            Text("How each is computed, and with what intervals, is in docs/measures.md of ipcascade."),
        ],
    )


def _cell(metrics: Mapping[str, Any], name: str) -> Cell:
    value = _value(metrics, name)
    if isinstance(value, int) and not isinstance(value, bool):
        return whole(value)
    return with_interval(value, metrics["confidence_intervals"].get(name))


def labels(results: Results) -> Section:
    """A row per label, on test."""
    metrics = results.metrics("test")
    trained = results.analysis(BY_FREQUENCY).select("level", "code", "train_documents")
    frame = pl.DataFrame(metrics["per_label"], infer_schema_length=None)
    frame = frame.join(trained, on=["level", "code"], how="left", maintain_order="left")
    columns = {
        "code": ("Label", text),
        "level": ("Level", level),
        "title": ("Title", title),
        "train_documents": ("Training documents", whole),
        "support": ("Test documents", whole),
        "predicted": ("Predicted", whole),
        "precision": ("Precision", measure),
        "recall": ("Recall", measure),
        "f1": ("F1", measure),
        "average_precision": ("Average precision", measure),
        "threshold": ("Threshold", measure),
    }
    below = plural(level_name(metrics["levels"][-1]))
    caption = f"Each label on test. Of {below} with few documents the measures vary by chance."
    return Section("labels", "Labels", [table_of("per-label", caption, frame, columns, choose=["level"])])
