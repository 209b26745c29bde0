"""Command: write every text of the source as a table of texts to label."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._reading import reading_source
from ipcascade.config import Config, section_options
from ipcascade.core.block_files import of_equal_size, write_blocks
from ipcascade.core.documents import read_splits
from ipcascade.core.files import Kind, read_parquet
from ipcascade.core.provenance import write_provenance
from ipcascade.corpus.every_text import every_text

log = logging.getLogger(__name__)
ROW_GROUP = 1 << 16
# The keys that decide which texts there are, and what they are made of.
DECIDING = (
    "ipr_types", "kinds", "offices", "first_year", "last_year", "language", "minimum_words", "text", "most_words",
    "classification",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files that the command reads and writes."""
    parser.add_argument("--source", type=Path, default=Path(), help="folder or file of the source, if it is in files")
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")
    parser.add_argument("--texts", type=Path, required=True, help="table to write (Parquet)")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the table, block by block."""
    families = read_parquet(args.corpus, {"document_id": Kind.TEXT, "family_id": Kind.TEXT})
    split_of = families.join(read_splits(args.splits), on="document_id").select("family_id", "split")
    sections = ("source.table", "source.postgres", "source.malformed_share")
    options = section_options(config, *sections, *(f"corpus.{name}" for name in DECIDING))
    with reading_source(config, args.source, args.texts, {"options": options}, args.threads) as reader:
        source, most_bytes = reader.source, config.source.memory_mb << 20
        write_blocks(args.texts, of_equal_size(every_text(reader, config.corpus, split_of, most_bytes), ROW_GROUP))
    inputs = {"corpus": args.corpus, "splits": args.splits}
    write_provenance(args.texts, options, inputs, {"source": source.checksum()})
    split = read_parquet(args.texts, ["split"])["split"]
    log.info("%s texts, %s of them of families in the corpus", f"{len(split):,}", f"{split.count():,}")
