"""Step `figure3`: loss and validation measures by epoch."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import read_parquet
from ..figures import training_curves
from ..figures.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--history", type=Path, required=True, help="history.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    save(training_curves.draw(read_parquet(args.history), config.figures), args.stem, config.figures)
