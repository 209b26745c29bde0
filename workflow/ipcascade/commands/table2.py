"""Command: show the headline measures on test with their confidence intervals (table 2)."""

import argparse
from pathlib import Path

from ipcascade.config import Config
from ipcascade.core.metrics_file import read_metrics
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting.tables import table2, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--metrics", type=Path, required=True, help="metrics of the test split")
    parser.add_argument("--stem", type=Path, required=True, help="path of the tables to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Make the table from the measures."""
    metrics = read_metrics(args.metrics)
    caption = f"Performance on the {metrics['split']} split ({metrics['documents']:,} documents)"
    if metrics["confidence_intervals"]:
        caption += f" with {100 * metrics['confidence']:.3g}% bootstrap confidence intervals"
    write_table(table2(metrics), args.stem, f"{caption}.")
    write_provenance(args.stem, {}, {"metrics": args.metrics})
