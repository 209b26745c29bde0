"""Command: draw where the errors on test are (figure 5)."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.analysis_files import read_analysis
from ipcascade.core.names import BY_FREQUENCY, BY_GROUP, CONFUSION
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import error_figure
from ipcascade.reporting.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--by-frequency", type=Path, required=True, help="by_frequency.csv of the analysis")
    parser.add_argument("--confusion", type=Path, required=True, help="confusion.csv of the analysis")
    parser.add_argument("--by-group", type=Path, required=True, help="by_group.csv of the analysis")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from tables of the analysis."""
    figure = error_figure.draw(
        read_analysis(args.by_frequency, BY_FREQUENCY),
        read_analysis(args.confusion, CONFUSION),
        read_analysis(args.by_group, BY_GROUP),
        config.figures,
    )
    save(figure, args.stem, config.figures)
    inputs = {"by_frequency": args.by_frequency, "confusion": args.confusion, "by_group": args.by_group}
    write_provenance(args.stem, section_options(config, "figures"), inputs)
