"""The arguments of commands that read labelled documents: the corpus, which carries its label tree, and the splits."""

import argparse
from pathlib import Path

import numpy as np

from ipcascade.core.documents import Documents
from ipcascade.core.files import Kind, read_parquet


def add_documents(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_documents` reads."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")


def read_documents(args: argparse.Namespace) -> Documents:
    """The documents with their labels, splits and label tree."""
    return Documents.read(args.corpus, args.splits)


def read_document_texts(args: argparse.Namespace, *positions: np.ndarray) -> list[list[str]]:
    """The texts of documents, by their positions in the corpus, which is read once; a list per array of positions."""
    texts = read_parquet(args.corpus, {"text": Kind.TEXT})["text"]
    return [texts.gather(of_some).to_list() for of_some in positions]
