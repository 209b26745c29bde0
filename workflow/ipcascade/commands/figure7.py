"""Command: draw what each step of building the corpus removed and left (figure 7)."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.files import read_json
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import FunnelFacts
from ipcascade.reporting import funnel
from ipcascade.reporting.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from the funnel."""
    save(funnel.draw(read_json(args.funnel, FunnelFacts), config.figures), args.stem, config.figures)
    write_provenance(args.stem, section_options(config, "figures"), {"funnel": args.funnel})
