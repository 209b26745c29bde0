"""Command: fit the linear baseline and write its scores of validation and test."""

import argparse
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.documents import write_scores
from ipcascade.core.files import Kind, read_parquet
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.baseline import SCORED, fit_and_score


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The documents, and the two files of scores to write."""
    add_documents(parser)
    for split in SCORED:
        parser.add_argument(f"--{split}", type=Path, required=True, help=f"scores of the split {split} to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Fit on the split `train` and write one file of scores per scored split."""
    documents = read_documents(args)
    texts = read_parquet(args.corpus, {"text": Kind.TEXT})["text"].to_list()
    positions = {split: documents.positions(split) for split in SPLITS}
    scores = fit_and_score(
        {split: [texts[position] for position in of_split] for split, of_split in positions.items()},
        {split: documents.truth[of_split] for split, of_split in positions.items()},
        documents.tree, config.baseline, config.seed,
    )  # fmt: skip
    for split in SCORED:
        path = getattr(args, split)
        ids = [documents.ids[position] for position in positions[split]]
        write_scores(path, ids, scores[split], documents.tree)
        inputs = {"corpus": args.corpus, "splits": args.splits}
        write_provenance(path, section_options(config, "seed", "baseline"), inputs)
