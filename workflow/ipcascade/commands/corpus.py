"""Command: from a source to documents with texts and labels."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._label_tree import add_label_tree
from ipcascade.commands._reading import reading_source
from ipcascade.config import Config, section_options
from ipcascade.core.block_files import of_equal_size, write_blocks
from ipcascade.core.classifications import TREES
from ipcascade.core.csv_tables import Table, write_csv_table
from ipcascade.core.files import Kind, file_checksum, write_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.paths import expanded
from ipcascade.core.provenance import write_provenance
from ipcascade.corpus.build import CorpusBuild
from ipcascade.corpus.renamed_codes import read_renamed_codes

log = logging.getLogger(__name__)
ROW_GROUP = 1 << 16
QUARANTINE = Table({"table": Kind.TEXT, "file": Kind.TEXT, "line": Kind.INTEGER, "reason": Kind.TEXT})
"""Rows that were left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files that the command reads and writes."""
    parser.add_argument("--source", type=Path, default=Path(), help="folder or file of the source, if it is in files")
    add_label_tree(parser)
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet to write")
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json to write")
    parser.add_argument("--quarantine", type=Path, help="quarantine.csv to write (default: beside the funnel)")


def run(args: argparse.Namespace, config: Config) -> None:
    """Build the corpus, with the levels that are learned and the one below, and write it with its label tree."""
    table = args.label_tree or expanded(
        "corpus.label_tree", config.corpus.label_tree or TREES[config.corpus.classification]
    )
    whole_tree = LabelTree.read(table)
    tree = whole_tree.select(config.corpus.levels)
    finer = tree.with_level_below(whole_tree)
    tables, renamed = {"label_tree": table}, None
    if config.corpus.renamed_codes:
        tables["renamed_codes"] = expanded("corpus.renamed_codes", config.corpus.renamed_codes)
        renamed = read_renamed_codes(tables["renamed_codes"], tree, finer or tree)
    facts = {"label_tree": tree.to_json(), "text": "_and_".join(config.corpus.text)}
    options = section_options(config, "seed", "corpus", "source.table", "source.postgres", "source.malformed_share")
    identity = {"options": options} | {name: file_checksum(path) for name, path in tables.items()}
    with reading_source(config, args.source, args.corpus, identity, args.threads) as reader:
        source = reader.source
        build = CorpusBuild(reader, tree, config.corpus, config.seed, finer, config.source.memory_mb << 20, renamed)
        # Of equal size, so that the bytes do not depend on how much memory there was.
        write_blocks(args.corpus, of_equal_size(build.documents(), ROW_GROUP), facts)
    funnel = build.funnel()
    for note in source.notes:
        log.warning("%s: %s", source.place, note)
    write_json(args.funnel, funnel)
    quarantine = args.quarantine or args.funnel.with_name("quarantine.csv")
    left_out = source.quarantine.lines()
    if left_out:
        log.warning("%s: %s malformed rows were left out: %s", source.place, f"{len(left_out):,}", quarantine)
    write_csv_table(quarantine, QUARANTINE, (dict(zip(QUARANTINE.columns, row, strict=True)) for row in left_out))
    checksums = {"source": source.checksum()}
    for path in (args.funnel, quarantine, args.corpus):
        write_provenance(path, options, tables, checksums)
    for step in funnel["steps"]:
        log.info(
            "%-40s removed %12s, left %12s %s", step["step"], f"{step['removed']:,}", f"{step['left']:,}", step["unit"]
        )
