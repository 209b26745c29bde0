"""Command: measure predicted labels and probabilities of one split, with confidence intervals, and per label."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.files import write_json
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.bootstrap import confidence_intervals
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.metrics import evaluate
from ipcascade.evaluation.per_label import per_label_measures
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
    options = config.evaluation
    documents = read_documents(args)
    tree, positions = documents.tree, documents.positions(args.split)
    scores, truth = documents.scores_of(args.split, args.scores), documents.truth[positions]
    thresholds, decoding = read_thresholds(args.thresholds, tree)
    predicted = decode(scores, thresholds.values, tree, decoding)
    measures = evaluate(truth, predicted, scores, tree)
    groups = documents.groups[positions]
    content = {
        "split": args.split,
        "documents": len(positions),
        "levels": list(tree.levels),
        "thresholds": thresholds.method,
        "decoding": decoding.model_dump(mode="json"),
        "measures": measures,
        "confidence_intervals": confidence_intervals(
            truth, predicted, groups, tree, options.bootstrap, options.confidence, config.seed
        ),
        "confidence": options.confidence,
        "bootstrap_samples": options.bootstrap,
        "per_label": per_label_measures(truth, predicted, scores, tree, thresholds.values),
    }
    write_json(args.metrics, content)
    write_provenance(
        args.metrics,
        section_options(config, "seed", "evaluation"),
        {"corpus": args.corpus, "splits": args.splits, "scores": args.scores, "thresholds": args.thresholds},
    )
    micro = ", ".join(f"{name} {measures[name]['f1_micro']:.4f}" for name in (*tree.levels, "hierarchical"))
    log.info("%s: F1 micro %s", args.split, micro)
