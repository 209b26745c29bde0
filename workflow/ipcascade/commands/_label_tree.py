"""The argument of commands that read a label tree from a table; all others read it from the corpus."""

import argparse
from pathlib import Path

from ipcascade.config import Config
from ipcascade.core.label_tree import IPC
from ipcascade.core.paths import expanded


def add_label_tree(parser: argparse.ArgumentParser) -> None:
    """The argument that `label_tree_file` reads."""
    parser.add_argument(
        "--label-tree",
        type=Path,
        help="table of labels (default: corpus.label_tree, else the IPC, or for corpus that of corpus.classification)",
    )


def label_tree_file(args: argparse.Namespace, config: Config) -> Path:
    """The file of the label tree: the argument, else that of the config, else the IPC that the package ships."""
    return expanded("corpus.label_tree", args.label_tree or config.corpus.label_tree or IPC)
