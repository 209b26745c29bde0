"""Command: fit the thresholds on the scores of the validation split; no other split is read."""

import argparse
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.documents import made_with
from ipcascade.core.files import write_json
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    add_documents(parser)
    parser.add_argument("--scores", type=Path, required=True, help="scores of the validation split")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Fit the thresholds and write them with the decoding that they were fitted for."""
    documents = read_documents(args)
    scores = documents.scores_of("val", args.scores)
    truth = documents.truth[documents.positions("val")]
    fitted = fit_thresholds(truth, scores, documents.tree, config.thresholds, config.decoding, config.seed)
    # With the decoding in the same file nobody applies them with another one; and the combiner is checked.
    belongs_to = {"decoding": config.decoding.model_dump(mode="json"), "combiner": made_with(args.scores)}
    write_json(args.thresholds, fitted.to_json(documents.tree) | belongs_to)
    write_provenance(
        args.thresholds,
        section_options(config, "seed", "thresholds", "decoding"),
        {"corpus": args.corpus, "splits": args.splits, "scores": args.scores},
    )
