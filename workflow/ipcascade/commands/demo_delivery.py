"""Command: write a synthetic PATSTAT delivery, from which the whole workflow can run."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import write_provenance
from ipcascade.sources.demo.delivery import write_delivery
from ipcascade.sources.demo.files import TEXT

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files that the command reads and writes."""
    add_label_tree(parser)
    parser.add_argument("--folder", type=Path, required=True, help="folder to write the delivery to")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the delivery with labels of the whole label tree, whichever levels are learned."""
    table = label_tree_file(args, config)
    rows = write_delivery(args.folder, config.source.demo.documents, config.seed, LabelTree.read(table))
    write_provenance(args.folder, section_options(config, "seed", "source"), {"label_tree": table, "text": TEXT})
    log.info("wrote a synthetic delivery: %s", ", ".join(f"{name} {count:,} rows" for name, count in rows.items()))
