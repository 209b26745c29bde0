"""Step `demo_delivery`: a synthetic delivery, written where the corpus step will read it."""

import argparse
import logging
from pathlib import Path

from ..config import Config
from ..sources.demo import write_delivery
from ..taxonomy import Taxonomy

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--taxonomy", type=Path, required=True, help="label tree")
    parser.add_argument("--folder", type=Path, required=True, help="folder to write the delivery to")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    rows = write_delivery(args.folder, config.source.demo.documents, config.seed, Taxonomy.read(args.taxonomy))
    log.info("wrote a synthetic delivery: %s", ", ".join(f"{table} {count:,} rows" for table, count in rows.items()))
