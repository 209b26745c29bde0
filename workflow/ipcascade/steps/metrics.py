"""Step `metrics`: measure the decisions on one split, with intervals and a table a label."""

import argparse
import logging
from pathlib import Path

from ..config import Config, section_options
from ..decoding import decode
from ..documents import SPLITS, read_scores
from ..doors import provenance, write_json
from ..metrics import bootstrap_intervals, evaluate, per_label
from ..thresholds import read_thresholds
from .labelled import add_documents, read_documents

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    add_documents(parser)
    parser.add_argument("--split", choices=SPLITS, required=True, help="split that is measured")
    parser.add_argument("--scores", type=Path, required=True, help="scores of the split")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    options = config.evaluation
    taxonomy, documents = read_documents(args)
    ids, scores = read_scores(args.scores, taxonomy)
    positions = documents.at(ids, args.scores)
    truth = documents.truth[positions]
    thresholds, decoding = read_thresholds(args.thresholds, taxonomy)
    predicted = decode(scores, thresholds.values, taxonomy, decoding)
    measures = evaluate(truth, predicted, scores, taxonomy)
    intervals = bootstrap_intervals(
        truth, predicted, documents.groups[positions], taxonomy, options.bootstrap, options.confidence, config.seed
    )
    content = {
        "split": args.split,
        "documents": len(ids),
        "thresholds": thresholds.method,
        "decoding": decoding.model_dump(mode="json"),
        "measures": measures,
        "intervals": intervals,
        "interval_confidence": options.confidence,
        "bootstrap_samples": options.bootstrap,
        "per_label": per_label(truth, predicted, scores, taxonomy, thresholds.values),
    }
    made_of = provenance(
        section_options(config, "seed", "evaluation"),
        {"scores": args.scores, "thresholds": args.thresholds, "splits": args.splits},
    )
    write_json(args.metrics, content, made_of)
    log.info(
        "%s: section F1 micro %.4f, class F1 micro %.4f, hierarchical F1 %.4f",
        args.split, *(measures[level]["f1_micro"] for level in ("section", "class", "hierarchical")),
    )  # fmt: skip
