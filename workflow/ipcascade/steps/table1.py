"""Step `table1`: labels by level and split."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import read_parquet
from ..tables import table1, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the tables to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    table = table1(
        read_parquet(args.splits, ["document_id", "split"]),
        read_parquet(args.corpus, ["document_id", "sections", "classes"]),
    )
    write_table(table, args.stem, "Labels present and average labels a patent, by level and split.")
