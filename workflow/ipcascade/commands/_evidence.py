"""The arguments of commands that combine sources of evidence: the folders of those that are used."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import INDEXED_DOCUMENTS, LINEAR_WEIGHTS, VECTORS
from ipcascade.evidence.options import LINEAR, NEIGHBOURS, NeighbourOptions
from ipcascade.evidence.sources import Evidence

FOLDERS = {LINEAR: "folder of the linear model", NEIGHBOURS: "folder of the training documents' vectors and labels"}


def add_evidence(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_evidence` reads."""
    for source, help_text in FOLDERS.items():
        parser.add_argument(f"--{source}", type=Path, help=f"{help_text}, where it is a source")


def read_evidence(
    args: argparse.Namespace, sources: Sequence[str], options: NeighbourOptions, tree: LabelTree
) -> Evidence:
    """The sources of these names. Raises UserError where the folder of one is not given."""
    for source in FOLDERS:
        if source in sources and not getattr(args, source):
            raise UserError(f"--{source} is needed, since the probabilities are combined from {', '.join(sources)}")
    return Evidence.read(sources, options, tree, args.linear, args.neighbours)


def evidence_files(args: argparse.Namespace) -> dict[str, Path]:
    """The files of the sources that are given, by role, for the provenance."""
    files = {"linear": args.linear / LINEAR_WEIGHTS} if args.linear else {}
    if args.neighbours:
        files |= {"vectors": args.neighbours / VECTORS, "indexed": args.neighbours / INDEXED_DOCUMENTS}
    return files
