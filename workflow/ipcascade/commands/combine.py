"""Command: combine what the sources say into one calibrated probability per label, for validation and test."""

import argparse
import logging
from pathlib import Path

import torch

from ipcascade.commands._documents import add_documents, read_document_texts, read_documents
from ipcascade.commands._evidence import add_evidence, evidence_files, read_evidence
from ipcascade.config import Config, section_options
from ipcascade.core.documents import Documents, write_scores
from ipcascade.core.errors import UserError
from ipcascade.core.files import write_json
from ipcascade.core.names import SCORED_SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evidence.combiner import Combiner, cross_fitted, fit_combiner
from ipcascade.evidence.options import LINEAR
from ipcascade.evidence.sources import NetworkOutput
from ipcascade.evidence.vectors import read_vectors

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    add_documents(parser)
    add_evidence(parser)
    parser.add_argument("--network", type=Path, help="folder of the network's scores, but where linear is alone")
    parser.add_argument("--combiner", type=Path, required=True, help="combiner.json to write")
    parser.add_argument("--scores", type=Path, required=True, help="folder to write the scores of both splits to")


def run(args: argparse.Namespace, config: Config) -> None:
    """Fit the combiner on the split `val`, whose own probabilities are cross-fitted, and apply it to `test`."""
    torch.set_num_threads(args.threads)
    options, documents = config.evidence, read_documents(args)
    tree, val = documents.tree, documents.positions("val")
    evidence = read_evidence(args, options.sources, options.neighbours, tree)
    if options.sources != [LINEAR] and not args.network:
        raise UserError(f"--network is needed, since the probabilities are combined from {', '.join(options.sources)}")
    scores = {}
    for split in SCORED_SPLITS:
        texts = read_document_texts(args, documents.positions(split))
        # The rule asks for no GPU: on a CPU the search takes seconds per thousand documents.
        scores[split], _ = evidence.scores(_network(args.network, documents, split), texts, torch.device("cpu"))
    if options.calibration == "none":
        combiner = Combiner(tuple(scores["val"]), {})
        probabilities = {split: combiner.probabilities(scores[split], tree) for split in SCORED_SPLITS}
    else:
        truth = documents.truth[val]
        combiner = fit_combiner(scores["val"], truth, tree)
        probabilities = {
            "val": cross_fitted(scores["val"], truth, documents.groups[val], tree, options.folds, config.seed),
            "test": combiner.probabilities(scores["test"], tree),
        }
    content = combiner.to_json() | {"neighbours": options.neighbours.model_dump(mode="json")}
    write_json(args.combiner, content)
    _write_provenance(args, config, args.combiner)
    for split, values in probabilities.items():
        path = args.scores / f"{split}.parquet"
        write_scores(path, documents.ids_of(split), values, tree)
        _write_provenance(args, config, path)


def _network(folder: Path | None, documents: Documents, split: str) -> NetworkOutput | None:
    """The network's output for a split, from its folder."""
    if folder is None:
        return None
    vectors = read_vectors(folder / f"{split}_vectors.safetensors", documents.ids_of(split))
    return NetworkOutput(documents.scores_of(split, folder / f"{split}.parquet"), vectors)


def _write_provenance(args: argparse.Namespace, config: Config, path: Path) -> None:
    inputs = {"corpus": args.corpus, "splits": args.splits} | evidence_files(args)
    if args.network:
        inputs |= {f"network_{split}": args.network / f"{split}.parquet" for split in SCORED_SPLITS}
    write_provenance(path, section_options(config, "seed", "evidence"), inputs)
