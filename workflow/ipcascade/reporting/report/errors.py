"""The sections on probabilities and on errors, from the error analysis on test."""

from collections.abc import Sequence

from ipcascade.core.names import (
    BY_GROUP,
    CALIBRATION,
    CONFUSION,
    GUARANTEES,
    LEVELS,
    SOURCE_EFFECTS,
    STABILITY,
    WORST_DOCUMENTS,
)
from ipcascade.reporting.report.elements import (
    Columns,
    Section,
    Table,
    amount,
    flag,
    level,
    measure,
    percent,
    table_of,
    text,
    title,
    whole,
    words,
)
from ipcascade.reporting.report.results import Results

_LEVEL: Columns = {"level": ("Level", level)}
_MICRO: Columns = {"precision": ("Precision", measure), "recall": ("Recall", measure), "f1": ("F1", measure)}


def probabilities(results: Results) -> Section:
    """Whether probabilities can be believed, and what can be left to the machine."""
    tables: list[tuple[str, str, Columns]] = [
        (CALIBRATION, "Calibration, before (network) and after the sources are combined.", {
            "split": ("Split", text), "probabilities": ("Probabilities", text),
            "calibration_error": ("Calibration error", measure), "brier": ("Brier score", measure),
            "log_loss": ("Log loss", measure),
        }),
        (LEVELS, "What can be left to the machine: documents with a confidence of at least the bound, which gives the "
                 "wanted precision on validation; the rest goes to a person.", {
            "documents": ("Documents", whole), "wanted_precision": ("Wanted precision", percent),
            "bound": ("Bound", measure), "val_precision": ("Precision, val", percent),
            "val_coverage": ("Documents, val", percent), "test_precision": ("Precision, test", percent),
            "test_coverage": ("Documents, test", percent), "left_to_person": ("Left to a person", percent),
        }),
        (GUARANTEES, "Guarantees: bounds on the probability that give a wanted recall or precision with the stated "
                     "confidence, and whether they did on test.", {
            "measure": ("Measure", text), "wanted": ("Wanted", percent), "confidence": ("Confidence", percent),
            "bound": ("Bound", measure), "val_mean": ("On val", percent), "test_mean": ("On test", percent),
            "test_low": ("From", percent), "test_high": ("To", percent), "held": ("Held", flag),
            "mean_size": ("Labels per document", amount), "share_nonempty": ("Documents with labels", percent),
        }),
        (STABILITY, "How much measures and thresholds change where these are fitted on other validation documents "
                    "(bootstrap).", {
            "quantity": ("Quantity", words), "val": ("On val", measure), "fitted": ("As fitted", measure),
            "mean": ("Mean", measure), "deviation": ("Standard deviation", measure), "low": ("From", measure),
            "high": ("To", measure),
        }),
    ]  # fmt: skip
    figure = results.figure(4, "calibration and coverage")
    return Section("probabilities", "Probabilities", [figure, *_tables(results, tables)])


def errors(results: Results) -> Section:
    """Where the errors are."""
    tables: list[tuple[str, str, Columns]] = [
        (CONFUSION, "The most confused pairs of labels; a document with m missed and w wrong labels counts 1/(m w) for "
                    "each of its pairs.", {
            "true": ("True", text), "true_title": ("Title", title), "predicted": ("Predicted", text),
            "predicted_title": ("Title", title), "same_parent": ("Same parent", flag),
            "documents": ("Documents", whole), "weight": ("Weight", amount),
        }),
        (BY_GROUP, "F1 by kind of document.", {
            "grouping": ("By", words), "group": ("Group", text), "documents": ("Documents", whole), **_MICRO,
        }),
        (SOURCE_EFFECTS, "What each source of evidence adds: labels found and wrong with it, and without it.", {
            "source": ("Source", text), "frequency": ("Frequency of labels", text), "labels": ("Labels", whole),
            "true": ("True", whole), "found": ("Found", whole), "true_gained": ("Found by it alone", whole),
            "true_lost": ("Lost by it", whole), "wrong": ("Wrong", whole), "wrong_removed": ("Wrong removed", whole),
            "wrong_added": ("Wrong added", whole), "f1": ("F1", measure), "f1_without": ("F1 without it", measure),
        }),
        (WORST_DOCUMENTS, "The documents with the largest loss: often labelled oddly in the data.", {
            "rank": ("Rank", whole), "document_id": ("Document", text), "true": ("True", text),
            "predicted": ("Predicted", text), "log_loss": ("Log loss", measure),
        }),
    ]  # fmt: skip
    return Section("errors", "Errors", [results.figure(5, "errors"), *_tables(results, tables)])


def _tables(results: Results, tables: Sequence[tuple[str, str, Columns]]) -> list[Table]:
    made = []
    for name, caption, columns in tables:
        frame = results.analysis(name)
        shown = {**_LEVEL, **columns}
        choose = [column for column in ("level", "grouping", "source") if column in shown and len(frame) > 12]
        made.append(table_of(name.removesuffix(".csv"), caption, frame, shown, choose))
    return made
