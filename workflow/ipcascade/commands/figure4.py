"""Command: draw how far probabilities can be believed, and what can be left to the machine (figure 4)."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.analysis_files import read_analysis
from ipcascade.core.names import CALIBRATION, LEVELS, RELIABILITY, RISK_COVERAGE
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import reliability_diagram
from ipcascade.reporting.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--reliability", type=Path, required=True, help="reliability.csv of the analysis")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.csv of the analysis")
    parser.add_argument("--risk-coverage", type=Path, required=True, help="risk_coverage.csv of the analysis")
    parser.add_argument("--levels", type=Path, required=True, help="levels.csv of the analysis")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from tables of the analysis."""
    figure = reliability_diagram.draw(
        read_analysis(args.reliability, RELIABILITY),
        read_analysis(args.calibration, CALIBRATION),
        read_analysis(args.risk_coverage, RISK_COVERAGE),
        read_analysis(args.levels, LEVELS),
        config.figures,
    )
    save(figure, args.stem, config.figures)
    inputs = {name: getattr(args, name) for name in ("reliability", "calibration", "risk_coverage", "levels")}
    write_provenance(args.stem, section_options(config, "figures"), inputs)
