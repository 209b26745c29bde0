"""Command: draw the workflow with the settings of the run (figure 2)."""

import argparse
from dataclasses import fields
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import workflow_diagram
from ipcascade.reporting.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    add_documents(parser)
    add_label_tree(parser)
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from the config, the corpus and its splits."""
    documents = read_documents(args)
    tree, truth = documents.tree, documents.truth
    trained = tree.with_level_below(LabelTree.read(label_tree_file(args, config)))
    facts = workflow_diagram.Facts(
        documents=len(documents.ids),
        splits={name: int((documents.split == name).sum()) for name in SPLITS},
        present={level: int(truth[:, columns].any(axis=0).sum()) for level, columns in tree.columns.items()},
        outputs=dict(zip(tree.levels, tree.sizes, strict=True)),
        finer_level=trained.levels[-1] if len(trained.levels) > len(tree.levels) else None,
    )
    shown = [field.name for field in fields(workflow_diagram.Settings)]
    settings = workflow_diagram.Settings(**{name: getattr(config, name) for name in shown})
    save(workflow_diagram.draw(settings, facts, config.figures), args.stem, config.figures)
    write_provenance(
        args.stem, section_options(config, *Config.model_fields), {"corpus": args.corpus, "splits": args.splits}
    )
