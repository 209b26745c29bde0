"""The arguments of commands that read labelled documents: the corpus, which carries its label tree, and the splits."""

import argparse
from pathlib import Path

from ipcascade.core.documents import Documents


def add_documents(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_documents` reads."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")


def read_documents(args: argparse.Namespace) -> Documents:
    """The documents with their labels, splits and label tree."""
    return Documents.read(args.corpus, args.splits)
