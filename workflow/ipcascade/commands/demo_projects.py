"""Command: write a table of invented projects, for the model of the demo delivery to label."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import write_provenance
from ipcascade.sources.demo.files import TEXT
from ipcascade.sources.demo.projects import write_projects

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files that the command reads and writes."""
    add_label_tree(parser)
    parser.add_argument("--projects", type=Path, required=True, help="CSV to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the table."""
    table = label_tree_file(args, config)
    texts = write_projects(args.projects, config.source.demo.documents, config.seed, LabelTree.read(table))
    write_provenance(args.projects, section_options(config, "seed", "source"), {"label_tree": table, "text": TEXT})
    log.info("wrote %d descriptions of invented projects", texts)
