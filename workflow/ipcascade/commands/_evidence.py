"""The arguments of commands that combine sources of evidence: the folders of those that are used."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ipcascade.commands._documents import read_document_texts
from ipcascade.core.documents import Documents, made_with
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import INDEXED_DOCUMENTS, LINEAR_WEIGHTS, SCORED_SPLITS, VECTORS
from ipcascade.core.progress import Progress
from ipcascade.evidence.combiner import Combiner, Scores, combine
from ipcascade.evidence.options import LINEAR, NEIGHBOURS, NETWORK, EvidenceOptions, NeighbourOptions
from ipcascade.evidence.sources import Evidence, NetworkOutput
from ipcascade.evidence.vectors import read_vectors

FOLDERS = {LINEAR: "folder of the linear model", NEIGHBOURS: "folder of the training documents' vectors and labels"}


def add_evidence(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_evidence` reads."""
    for source, help_text in FOLDERS.items():
        parser.add_argument(f"--{source}", type=Path, help=f"{help_text}, where it is a source")


def add_network(parser: argparse.ArgumentParser) -> None:
    """The argument that `scores_of_splits` reads beside those of `add_evidence`."""
    parser.add_argument("--network", type=Path, help="folder of the network's scores, but where linear is alone")


def read_evidence(
    args: argparse.Namespace, sources: Sequence[str], options: NeighbourOptions, tree: LabelTree
) -> Evidence:
    """The sources of these names. Raises UserError where the folder of one is not given."""
    for source in FOLDERS:
        if source in sources and not getattr(args, source):
            raise UserError(f"--{source} is needed, since the probabilities are combined from {', '.join(sources)}")
    return Evidence.read(sources, options, tree, args.linear, args.neighbours)


def scores_of_splits(
    args: argparse.Namespace, options: EvidenceOptions, documents: Documents
) -> dict[str, dict[str, np.ndarray]]:
    """What each source says of the documents of `SCORED_SPLITS`: by split and source, float32 [documents, labels].

    Raises UserError where the folder of a source is not given.
    """
    evidence = read_evidence(args, options.sources, options.neighbours, documents.tree)
    if options.sources != [LINEAR] and not args.network:
        raise UserError(f"--network is needed, since the probabilities are combined from {', '.join(options.sources)}")
    positions = [documents.positions(split) for split in SCORED_SPLITS]
    texts = read_document_texts(args, *positions) if LINEAR in options.sources else [[] for _ in SCORED_SPLITS]
    # The rules ask for no GPU: on a CPU the search takes seconds per thousand documents.
    device = torch.device("cpu")
    found = {}
    with Progress("evidence", sum(map(len, positions)), "documents") as progress:
        for split, of_split in zip(SCORED_SPLITS, texts, strict=True):
            network = _network(args.network, documents, split)
            found[split], _ = evidence.scores(network, of_split, device, progress.advance)
    return found


def combined(
    scores: Mapping[str, Scores], documents: Documents, options: EvidenceOptions, seed: int
) -> tuple[Combiner, np.ndarray, np.ndarray]:
    """What `combine` gives for the splits' scores, of sources that may be fewer than those in the options."""
    val = documents.positions("val")
    counts = documents.truth[documents.positions("train")].sum(axis=0) if options.calibration == "label" else ()
    return combine(
        scores["val"], documents.truth[val], documents.groups[val], scores["test"], documents.tree, options.folds, seed,
        counts,
    )  # fmt: skip


def _network(folder: Path | None, documents: Documents, split: str) -> NetworkOutput | None:
    """The network's output for a split, from its folder."""
    if folder is None:
        return None
    vectors = read_vectors(folder / f"{split}_vectors.safetensors", documents.ids_of(split))
    return NetworkOutput(documents.scores_of(split, folder / f"{split}.parquet"), vectors)


def files_of_sources(args: argparse.Namespace, sources: Sequence[str]) -> dict[str, str | None]:
    """By source, the checksum of the file that decides what it says: what a combiner belongs to.

    Raises UserError where the network's scores of the two splits are not of the same weights.
    """
    files: dict[str, str | None] = {}
    if args.network:
        of_splits = {split: made_with(args.network / f"{split}.parquet") for split in SCORED_SPLITS}
        if len(set(of_splits.values())) > 1:
            raise UserError(f"{args.network}: {' and '.join(of_splits)} were not scored by the same model; score again")
        files[NETWORK] = of_splits[SCORED_SPLITS[0]]
    if LINEAR in sources:
        files[LINEAR] = file_checksum(args.linear / LINEAR_WEIGHTS)
    if NEIGHBOURS in sources:
        files[NEIGHBOURS] = file_checksum(args.neighbours / VECTORS)
    return files


def network_files(folder: Path | None) -> dict[str, Path]:
    """The files of the network's scores, where there are some, by role, for the provenance."""
    return {f"network_{split}": folder / f"{split}.parquet" for split in SCORED_SPLITS} if folder else {}


def evidence_files(args: argparse.Namespace) -> dict[str, Path]:
    """The files of the sources that are given, by role, for the provenance."""
    files = {"linear": args.linear / LINEAR_WEIGHTS} if args.linear else {}
    if args.neighbours:
        files |= {"vectors": args.neighbours / VECTORS, "indexed": args.neighbours / INDEXED_DOCUMENTS}
    return files
