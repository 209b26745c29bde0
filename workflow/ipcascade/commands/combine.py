"""Command: combine what the sources say into one calibrated probability per label, for validation and test."""

import argparse
from pathlib import Path

import torch

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.commands._evidence import (
    add_evidence,
    add_network,
    combined,
    evidence_files,
    files_of_sources,
    network_files,
    scores_of_splits,
)
from ipcascade.config import Config, section_options
from ipcascade.core.documents import write_scores
from ipcascade.core.files import file_checksum, write_json
from ipcascade.core.names import SCORED_SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evidence.combiner import Combiner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    add_documents(parser)
    add_evidence(parser)
    add_network(parser)
    parser.add_argument("--combiner", type=Path, required=True, help="combiner.json to write")
    parser.add_argument("--scores", type=Path, required=True, help="folder to write the scores of both splits to")


def run(args: argparse.Namespace, config: Config) -> None:
    """Fit the combiner on the split `val`, whose own probabilities are cross-fitted, and apply it to `test`."""
    torch.set_num_threads(args.threads)
    options, documents = config.evidence, read_documents(args)
    tree = documents.tree
    scores = scores_of_splits(args, options, documents)
    if options.calibration == "none":
        combiner = Combiner(tuple(scores["val"]), {})
        probabilities = {split: combiner.probabilities(scores[split], tree) for split in SCORED_SPLITS}
    else:
        combiner, *found = combined(scores, documents, options, config.seed)
        probabilities = dict(zip(SCORED_SPLITS, found, strict=True))
    content = combiner.to_json(tree) | {
        "neighbours": options.neighbours.model_dump(mode="json"),
        "files": files_of_sources(args, options.sources),
    }
    write_json(args.combiner, content)
    _write_provenance(args, config, args.combiner)
    for split, values in probabilities.items():
        path = args.scores / f"{split}.parquet"
        write_scores(path, documents.ids_of(split), values, tree, file_checksum(args.combiner))
        _write_provenance(args, config, path)


def _write_provenance(args: argparse.Namespace, config: Config, path: Path) -> None:
    inputs = {"corpus": args.corpus, "splits": args.splits} | evidence_files(args) | network_files(args.network)
    write_provenance(path, section_options(config, "seed", "evidence"), inputs)
