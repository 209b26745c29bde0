"""The section on training: the workflow as it was run, and what happened in each epoch."""

import polars as pl

from ipcascade.reporting.report.elements import (
    Section,
    amount,
    flag,
    measure,
    percent,
    table_of,
    text,
    whole,
)
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.words import capitalised, level_name


def section(results: Results, levels: list[str]) -> Section:
    """The diagram of the workflow, the training curves, and a row per epoch."""
    history = results.history()
    columns = {
        "epoch": ("Epoch", whole),
        "train_loss": ("Training loss", measure),
        "val_loss": ("Validation loss", measure),
        **{f"global.{level}.f1_micro": (f"{capitalised(level_name(level))} F1 micro", measure) for level in levels},
        "selected": ("Selected", flag),
        "learning_rate": ("Learning rate", lambda value: text(None if value is None else f"{value:.3g}")),
        "documents_per_second": ("Documents per second", amount),
        "seconds": ("Seconds", amount),
        "peak_memory_mib": ("Peak memory (MiB)", amount),
        "model_flop_utilisation": ("Utilisation of the GPU", percent),
    }
    shown = {name: of for name, of in columns.items() if name in history.columns and not _empty(history[name])}
    caption = "Epochs. F1 is on validation, at the best threshold per level; the selected epoch is the model."
    return Section(
        "training",
        "Training",
        [
            results.figure(2, "workflow"),
            results.figure(3, "training curves"),
            table_of("epochs", caption, history, shown),
        ],
    )


def _empty(values: pl.Series) -> bool:
    return values.null_count() == len(values)
