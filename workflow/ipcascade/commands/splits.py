"""Command: split the documents into train, validation and test, and audit the split."""

import argparse
import logging
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.documents import read_corpus, read_tree
from ipcascade.core.files import Kind, write_json, write_parquet
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.splits.audit import audit
from ipcascade.splits.stratification import split

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The corpus, and the files to write."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet to write")
    parser.add_argument("--audit", type=Path, required=True, help="audit.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Split the corpus and write the table of documents and splits, and its audit."""
    tree = read_tree(args.corpus)
    corpus = read_corpus(args.corpus, tree, {"group_id": Kind.TEXT, "text": Kind.TEXT})
    splits = split(corpus, tree, config.splits, config.seed)
    write_json(args.audit, audit(corpus, splits["split"], tree, config.splits))
    write_parquet(args.splits, splits)
    for written in (args.audit, args.splits):
        write_provenance(written, section_options(config, "seed", "splits"), {"corpus": args.corpus})
    sizes = dict(splits["split"].value_counts().iter_rows())
    log.info("documents: %s", ", ".join(f"{name} {sizes[name]:,}" for name in SPLITS))
