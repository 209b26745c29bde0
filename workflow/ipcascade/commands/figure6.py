"""Command: draw the measures of compared runs with their confidence intervals (figure 6)."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.comparison_file import read_comparison
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import ladder
from ipcascade.reporting.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--comparison", type=Path, required=True, help="JSON file of the command comparison")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from the comparison."""
    save(ladder.draw(read_comparison(args.comparison), config.figures), args.stem, config.figures)
    write_provenance(args.stem, section_options(config, "figures"), {"comparison": args.comparison})
