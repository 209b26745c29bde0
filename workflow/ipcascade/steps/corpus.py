"""Step `corpus`: from a PATSTAT delivery to documents with texts and labels."""

import argparse
import logging
from pathlib import Path

from ..config import Config, section_options
from ..corpus import build
from ..doors import provenance, write_json, write_parquet
from ..sources.patstat_bulk import Delivery
from ..taxonomy import Taxonomy

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--delivery", type=Path, required=True, help="folder of the PATSTAT delivery")
    parser.add_argument("--taxonomy", type=Path, required=True, help="label tree")
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet to write")
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    delivery = Delivery.open(args.delivery, titles=config.corpus.text == "title_and_abstract")
    corpus, funnel = build(delivery, Taxonomy.read(args.taxonomy), config.corpus, config.seed)
    made_of = provenance(section_options(config, "seed", "corpus"), {"taxonomy": args.taxonomy})
    made_of["inputs"]["delivery"] = delivery.checksum()
    write_json(args.funnel, funnel, made_of)
    write_parquet(args.corpus, corpus, made_of)
    for step in funnel["steps"]:
        log.info(
            "%-40s removed %12s, left %12s %s", step["step"], f"{step['removed']:,}", f"{step['left']:,}", step["unit"]
        )
