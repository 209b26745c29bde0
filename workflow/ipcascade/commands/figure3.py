"""Command: draw the loss and the validation measures by epoch (figure 3)."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.files import Kind, check_columns, read_parquet
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import training_curves
from ipcascade.reporting.style import save

# Columns of the history that are drawn: by name, and by the ends of their names.
KINDS = {"epoch": Kind.INTEGER, "selected": Kind.FLAG, "train_loss": Kind.NUMBER, "val_loss": Kind.NUMBER}
CURVES = (".f1_micro", ".h_f1", ".h_f1_ceiling")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--history", type=Path, required=True, help="history.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from the training history."""
    history = read_parquet(args.history)
    curves = [name for name in history.columns if name.endswith(CURVES)]
    check_columns(args.history, history, {**KINDS, **dict.fromkeys(curves, Kind.NUMBER)})
    save(training_curves.draw(history, config.figures), args.stem, config.figures)
    write_provenance(args.stem, section_options(config, "figures"), {"history": args.history})
