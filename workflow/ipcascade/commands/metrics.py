"""Command: measure predicted labels and probabilities of one split, with confidence intervals, and per label."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.files import write_json
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.measured import headline, measured
from ipcascade.evaluation.thresholds import read_thresholds

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The split, and the files that are read and written."""
    add_documents(parser)
    parser.add_argument("--split", choices=SPLITS, required=True, help="split to measure")
    parser.add_argument("--scores", type=Path, required=True, help="scores of the split")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Measure one split."""
    documents = read_documents(args)
    tree, positions = documents.tree, documents.positions(args.split)
    scores, truth = documents.scores_of(args.split, args.scores), documents.truth[positions]
    thresholds, decoding = read_thresholds(args.thresholds, tree)
    predicted = decode(scores, thresholds.values, tree, decoding)
    groups, options = documents.groups[positions], config.evaluation
    content = measured(args.split, truth, predicted, scores, groups, tree, thresholds, decoding, options, config.seed)
    write_json(args.metrics, content)
    write_provenance(
        args.metrics,
        section_options(config, "seed", "evaluation"),
        {"corpus": args.corpus, "splits": args.splits, "scores": args.scores, "thresholds": args.thresholds},
    )
    log.info("%s", headline(content))
