"""Step `table2`: the headline measures on test, with their intervals."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import read_json
from ..tables import table2, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--metrics", type=Path, required=True, help="metrics of the test split")
    parser.add_argument("--stem", type=Path, required=True, help="path of the tables to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    metrics = read_json(args.metrics)
    interval = f" with {metrics['interval_confidence']:.0%} family-bootstrap intervals" if metrics["intervals"] else ""
    caption = f"Performance on the {metrics['split']} split ({metrics['documents']:,} documents){interval}."
    write_table(table2(metrics), args.stem, caption)
