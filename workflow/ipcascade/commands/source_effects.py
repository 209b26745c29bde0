"""Command: count what each source of evidence corrects on test, and what it spoils."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.commands._evidence import (
    add_evidence,
    add_network,
    combined,
    evidence_files,
    network_files,
    scores_of_splits,
)
from ipcascade.config import Config, section_options
from ipcascade.core.analysis_files import write_analysis
from ipcascade.core.documents import Documents
from ipcascade.core.names import SCORED_SPLITS, SOURCE_EFFECTS
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.source_effects import ALL, source_effects
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.evidence.combiner import Scores

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read, and the folder of the table."""
    add_documents(parser)
    add_evidence(parser)
    add_network(parser)
    parser.add_argument("--scores", type=Path, required=True, help="scores of the test split, of all sources together")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json, fitted for these")
    parser.add_argument("--analysis", type=Path, required=True, help="folder of the table to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Label the test split without each source in turn, with all fits made anew, and compare with the run's labels.

    Of a single source the table has no rows.
    """
    torch.set_num_threads(args.threads)
    sources, documents = config.evidence.sources, read_documents(args)
    tree = documents.tree
    truth, of_training = (documents.truth[documents.positions(split)] for split in ("test", "train"))
    thresholds, decoding = read_thresholds(args.thresholds, tree)
    predicted = decode(documents.scores_of("test", args.scores), thresholds.values, tree, decoding)
    scores = scores_of_splits(args, config.evidence, documents)
    left_out = sources if len(sources) > 1 else []
    without = {source: _labels_without(source, scores, documents, config) for source in left_out}
    records = [
        {"level": level, "source": source, **record}
        for level, columns in tree.columns.items()
        for source, labels in without.items()
        for record in source_effects(*(of[:, columns] for of in (truth, predicted, labels, of_training)))
    ]
    write_analysis(args.analysis, SOURCE_EFFECTS, records)
    write_provenance(
        args.analysis / SOURCE_EFFECTS,
        section_options(config, "seed", "evidence", "thresholds", "decoding"),
        {"corpus": args.corpus, "splits": args.splits, "scores": args.scores, "thresholds": args.thresholds,
         **evidence_files(args), **network_files(args.network)},
    )  # fmt: skip
    for record in (record for record in records if record["frequency"] == ALL):
        log.info(
            "%(level)s, thanks to %(source)s: %(true_gained)d true labels more, %(true_lost)d fewer, "
            "%(wrong_removed)d wrong ones fewer, %(wrong_added)d more; F1 %(f1).4f, without it %(f1_without).4f",
            record,
        )


def _labels_without(source: str, scores: Mapping[str, Scores], documents: Documents, config: Config) -> np.ndarray:
    """The labels of the test split without a source, as the run would have them: bool [documents, labels]."""
    others = {split: {name: of for name, of in scores[split].items() if name != source} for split in SCORED_SPLITS}
    _, of_val, of_test = combined(others, documents, config.evidence, config.seed)
    truth = documents.truth[documents.positions("val")]
    fitted = fit_thresholds(truth, of_val, documents.tree, config.thresholds, config.decoding, config.seed)
    return decode(of_test, fitted.values, documents.tree, config.decoding)
