"""Command: fit the linear model of the words on the training split."""

import argparse
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_document_texts, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.provenance import write_provenance
from ipcascade.evidence.linear import fit_linear


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The documents, and the folder to write."""
    add_documents(parser)
    parser.add_argument("--linear", type=Path, required=True, help="folder of the linear model to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Fit one linear machine per label on the split `train`."""
    documents = read_documents(args)
    train = documents.positions("train")
    (texts,) = read_document_texts(args, train)
    model = fit_linear(texts, documents.truth[train], config.evidence.linear, config.seed)
    model.write(args.linear)
    write_provenance(
        args.linear, section_options(config, "seed", "evidence.linear"), {"corpus": args.corpus, "splits": args.splits}
    )
