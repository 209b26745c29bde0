"""Command: keep the vectors and labels of the training documents, among which neighbours are searched."""

import argparse
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config
from ipcascade.core.provenance import write_provenance
from ipcascade.evidence.neighbours import NeighbourIndex
from ipcascade.evidence.vectors import read_vectors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read, and the folder to write."""
    add_documents(parser)
    parser.add_argument("--vectors", type=Path, required=True, help="vectors of the training documents")
    parser.add_argument("--neighbours", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Join the vectors of the split `train` with its ids and labels."""
    documents = read_documents(args)
    ids = documents.ids_of("train")
    index = NeighbourIndex(ids, read_vectors(args.vectors, ids), documents.truth[documents.positions("train")])
    index.write(args.neighbours, documents.tree)
    write_provenance(args.neighbours, {}, {"corpus": args.corpus, "splits": args.splits, "vectors": args.vectors})
