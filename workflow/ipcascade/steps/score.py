"""Step `score`: probabilities for the documents of one split."""

import argparse
from pathlib import Path

import torch

from ..config import Config, section_options
from ..devices import choose_device
from ..documents import SPLITS, write_scores
from ..doors import provenance
from ..errors import UserError
from ..model import LABELS, WEIGHTS, load_model
from ..progress import Progress
from ..scoring import scores_of_released
from ..tokens import TokenCache
from .labelled import add_documents, read_documents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    add_documents(parser)
    parser.add_argument("--tokens", type=Path, required=True, help="token cache folder")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--split", choices=SPLITS, required=True, help="split to score")
    parser.add_argument("--scores", type=Path, required=True, help="parquet file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    torch.set_num_threads(args.threads)
    device = choose_device(config.scoring.accelerator, "scoring")
    taxonomy, documents = read_documents(args)
    cache = TokenCache.open(args.tokens, documents.ids)
    model, trained_on, _ = load_model(args.model, config.scoring.batching)
    if trained_on.labels != taxonomy.labels:
        raise UserError(f"{args.model} was trained on another label tree than {args.taxonomy}")
    positions = documents.positions(args.split)
    with Progress(f"scoring {args.split}", len(positions), "documents") as progress:
        scores = scores_of_released(model, cache, positions, config.scoring, device, progress.advance)
    made_of = provenance(
        section_options(config, "scoring"),
        {"splits": args.splits, "tokens": args.tokens / "tokens.json", "weights": args.model / WEIGHTS,
         "labels": args.model / LABELS},
    )  # fmt: skip
    write_scores(args.scores, [documents.ids[position] for position in positions], scores, taxonomy, made_of)
