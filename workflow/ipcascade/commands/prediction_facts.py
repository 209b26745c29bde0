"""Command: count the predictions of new texts that are unsure, not classifiable or without a label."""

import argparse
import logging
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.files import write_json
from ipcascade.core.provenance import write_provenance
from ipcascade.inference.prediction_facts import prediction_facts

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--predictions", type=Path, required=True, help="predictions in Parquet")
    parser.add_argument("--facts", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Count them."""
    facts = prediction_facts(args.predictions, config.corpus.levels)
    write_json(args.facts, facts)
    write_provenance(args.facts, section_options(config, "corpus.levels"), {"predictions": args.predictions})
    if facts["texts"] is not None:
        log.info("%d texts, %d of them not classifiable", facts["texts"], facts["unclassifiable"])
