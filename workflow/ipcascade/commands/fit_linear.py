"""Command: fit the linear model of the words on the training split."""

import argparse
from pathlib import Path

import numpy as np

from ipcascade.commands._documents import add_documents, read_document_texts, read_documents
from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import write_provenance
from ipcascade.core.title_examples import title_examples
from ipcascade.evidence.linear import fit_linear


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The documents, and the folder to write."""
    add_documents(parser)
    add_label_tree(parser)
    parser.add_argument("--linear", type=Path, required=True, help="folder of the linear model to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Fit one linear machine per label on the split `train`."""
    documents = read_documents(args)
    train = documents.positions("train")
    (texts,) = read_document_texts(args, train)
    truth, options, label_tree = documents.truth[train], config.evidence.linear, label_tree_file(args, config)
    if options.title_examples:
        titles, of_titles = title_examples(LabelTree.read(label_tree), documents.tree)
        texts, truth = [*texts, *titles], np.concatenate([truth, of_titles])
    model = fit_linear(texts, truth, options, config.seed)
    model.write(args.linear)
    write_provenance(
        args.linear,
        section_options(config, "seed", "evidence.linear"),
        {"corpus": args.corpus, "splits": args.splits, "label_tree": label_tree},
    )
