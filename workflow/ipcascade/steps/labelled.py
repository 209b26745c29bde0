"""The labelled documents that most steps start from: the same three files, read the same way."""

import argparse
from pathlib import Path

from ..documents import Documents
from ..taxonomy import Taxonomy


def add_documents(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_documents` reads."""
    parser.add_argument("--taxonomy", type=Path, required=True, help="label tree")
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")


def read_documents(args: argparse.Namespace) -> tuple[Taxonomy, Documents]:
    """Label tree and documents."""
    taxonomy = Taxonomy.read(args.taxonomy)
    return taxonomy, Documents.read(args.corpus, args.splits, taxonomy)
