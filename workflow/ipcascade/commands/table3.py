"""Command: list what each step of building the corpus removed and left (table 3)."""

import argparse
from pathlib import Path

from ipcascade.config import Config
from ipcascade.core.files import read_json
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import FunnelFacts
from ipcascade.reporting.funnel import funnel_table
from ipcascade.reporting.tables import write_tables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json")
    parser.add_argument("--stem", type=Path, required=True, help="path of the tables to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Make the table from the funnel."""
    table = funnel_table(read_json(args.funnel, FunnelFacts))
    # Keys of the config are for the CSV, not for readers of a paper.
    shown = "What each step of building the corpus removed, and what it left.", table.drop("key")
    write_tables(table, args.stem, [shown])
    write_provenance(args.stem, {}, {"funnel": args.funnel})
