"""Command: count the labels of each split, by level (table 1)."""

import argparse
from pathlib import Path

from ipcascade.config import Config
from ipcascade.core.documents import read_corpus, read_splits, read_tree
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting.tables import table1, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the tables to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Make the table from the corpus and its splits."""
    tree = read_tree(args.corpus)
    table = table1(read_splits(args.splits), read_corpus(args.corpus, tree, {}), tree.levels)
    write_table(table, args.stem, "Labels present and average labels per patent, by level and split.")
    write_provenance(args.stem, {}, {"corpus": args.corpus, "splits": args.splits})
