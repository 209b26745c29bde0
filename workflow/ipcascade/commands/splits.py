"""Command: split the documents into train, validation and test, and audit the split."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.config import Config, section_options
from ipcascade.core.documents import read_corpus, read_tree
from ipcascade.core.files import Kind, check_columns, column_names, read_parquet, write_json, write_parquet
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.splits.audit import audit
from ipcascade.splits.filings import OFFICE, YEAR
from ipcascade.splits.split import split

log = logging.getLogger(__name__)

FIRST_FILINGS = {YEAR: Kind.INTEGER, OFFICE: Kind.TEXT}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The corpus, and the files to write."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet to write")
    parser.add_argument("--audit", type=Path, required=True, help="audit.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Split the corpus and write the table of documents and splits, and its audit."""
    tree = read_tree(args.corpus)
    corpus = read_corpus(args.corpus, tree, {"group_id": Kind.TEXT, "text": Kind.TEXT})
    # A corpus need not have them where labels alone decide. Their values may be missing.
    if config.splits.by != "labels" or set(FIRST_FILINGS) <= set(column_names(args.corpus)):
        corpus = corpus.hstack(_first_filings(args.corpus))
    splits = split(corpus, tree, config.splits, config.seed)
    audited = audit(corpus, splits["split"], tree, config.splits, config.seed)
    write_json(args.audit, audited)
    write_parquet(args.splits, splits)
    for written in (args.audit, args.splits):
        write_provenance(written, section_options(config, "seed", "splits"), {"corpus": args.corpus})
    _log(audited)


def _first_filings(corpus: Path) -> pl.DataFrame:
    table = read_parquet(corpus, list(FIRST_FILINGS))
    for name, kind in FIRST_FILINGS.items():
        check_columns(corpus, table.select(name).drop_nulls(), {name: kind})
    return table


def _log(audited: Mapping[str, Any]) -> None:
    log.info("documents: %s", ", ".join(f"{name} {audited['splits'][name]['documents']:,}" for name in SPLITS))
    for name, filings in audited.get("first_filings", {}).items():
        log.info(
            "%s: first filed from %s to %s at %d offices; year not known: %s documents",
            name, filings["first_year"] or "?", filings["last_year"] or "?", len(filings["offices"]),
            f"{filings['documents_without_year']:,}",
        )  # fmt: skip
    for level, of_level in audited["drift"].items():
        for name, found in of_level.items():
            if found["total_variation"] is not None and found["total_variation_by_chance"] is not None:
                log.info(
                    "drift from train to %s, %s: total variation %.3f, by chance %.3f; labels without a training "
                    "document: %d",
                    name, level, found["total_variation"], found["total_variation_by_chance"],
                    len(found["untrained_labels"]),
                )  # fmt: skip
