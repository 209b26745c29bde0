"""Command: from a PATSTAT delivery to documents with texts and labels."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.files import write_json, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import write_provenance
from ipcascade.corpus.build import build
from ipcascade.corpus.options import reads_titles
from ipcascade.sources.patstat.tables import Delivery

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files that the command reads and writes."""
    parser.add_argument("--delivery", type=Path, required=True, help="folder of the PATSTAT delivery")
    add_label_tree(parser)
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet to write")
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Build the corpus, with the levels that are learned and the one below, and write it with its label tree."""
    table = label_tree_file(args, config)
    whole_tree = LabelTree.read(table)
    tree = whole_tree.select(config.corpus.levels)
    delivery = Delivery.open(args.delivery, titles=reads_titles(config.corpus))
    for note in delivery.contents.notes:
        log.warning("%s: %s", args.delivery, note)
    corpus, funnel = build(delivery, tree, config.corpus, config.seed, tree.with_level_below(whole_tree))
    write_json(args.funnel, funnel)
    write_parquet(args.corpus, corpus, {"label_tree": tree.to_json(), "text": config.corpus.text})
    options, checksums = section_options(config, "seed", "corpus"), {"delivery": delivery.checksum()}
    for path in (args.funnel, args.corpus):
        write_provenance(path, options, {"label_tree": table}, checksums)
    for step in funnel["steps"]:
        log.info(
            "%-40s removed %12s, left %12s %s", step["step"], f"{step['removed']:,}", f"{step['left']:,}", step["unit"]
        )
