"""Step `baseline`: the linear baseline's scores for val and test."""

import argparse
from pathlib import Path

from ..baseline import fit_and_score
from ..config import Config, section_options
from ..documents import SPLITS, write_scores
from ..doors import provenance, read_parquet
from .labelled import add_documents, read_documents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    add_documents(parser)
    parser.add_argument("--val", type=Path, required=True, help="parquet file to write for val")
    parser.add_argument("--test", type=Path, required=True, help="parquet file to write for test")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    taxonomy, documents = read_documents(args)
    texts = read_parquet(args.corpus, ["text"])["text"].to_list()
    positions = {split: documents.positions(split) for split in SPLITS}
    scores = fit_and_score(
        {split: [texts[position] for position in of_split] for split, of_split in positions.items()},
        {split: documents.truth[of_split] for split, of_split in positions.items()},
        taxonomy, config.baseline, config.seed,
    )  # fmt: skip
    made_of = provenance(section_options(config, "seed", "baseline"), {"corpus": args.corpus, "splits": args.splits})
    for split, path in (("val", args.val), ("test", args.test)):
        ids = [documents.ids[position] for position in positions[split]]
        write_scores(path, ids, scores[split], taxonomy, made_of)
