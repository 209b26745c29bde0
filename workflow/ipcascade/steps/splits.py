"""Step `splits`: families to train, val and test, with an audit."""

import argparse
import logging
from pathlib import Path

from ..config import Config, section_options
from ..doors import provenance, read_parquet, write_json, write_parquet
from ..splits import split
from ..taxonomy import Taxonomy

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--taxonomy", type=Path, required=True, help="label tree")
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet to write")
    parser.add_argument("--audit", type=Path, required=True, help="audit.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    made_of = provenance(section_options(config, "seed", "splits"), {"corpus": args.corpus, "taxonomy": args.taxonomy})
    splits, audit = split(read_parquet(args.corpus), Taxonomy.read(args.taxonomy), config.splits, config.seed)
    write_json(args.audit, audit, made_of)
    write_parquet(args.splits, splits, made_of)
    sizes = dict(splits["split"].value_counts().iter_rows())
    log.info("documents: %s", ", ".join(f"{name} {sizes[name]:,}" for name in ("train", "val", "test")))
