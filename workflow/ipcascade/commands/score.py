"""Command: compute the network's probabilities of all labels, and its vectors, for the documents of one split."""

import argparse
from pathlib import Path

import torch

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.documents import write_scores
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum
from ipcascade.core.names import LABELS, SPLITS, TOKEN_FACTS, WEIGHTS
from ipcascade.core.progress import Progress
from ipcascade.core.provenance import write_provenance
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evidence.vectors import write_vectors
from ipcascade.inference.scoring import score
from ipcascade.model.export import load_model
from ipcascade.runtime.device import choose_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    add_documents(parser)
    parser.add_argument("--tokens", type=Path, required=True, help="token cache folder")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--split", choices=SPLITS, required=True, help="split to score")
    parser.add_argument("--scores", type=Path, required=True, help="Parquet file of probabilities to write")
    parser.add_argument("--vectors", type=Path, required=True, help="safetensors file of [CLS] vectors to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Score one split."""
    torch.set_num_threads(args.threads)
    device = choose_device(config.scoring.accelerator, "scoring")
    documents = read_documents(args)
    cache = TokenCache.open(args.tokens, documents.ids, tokenizer_folder=args.model)
    model, tree, _ = load_model(args.model, config.scoring.batching)
    if tree != documents.tree:
        raise UserError(f"{args.model} was trained on another label tree than that of {args.corpus}; train it again")
    positions = documents.positions(args.split)
    with Progress(f"scoring {args.split}", len(positions), "documents") as progress:
        scores, vectors = score(model, cache, positions, config.scoring, device, progress.advance)
    ids = documents.ids_of(args.split)
    write_scores(args.scores, ids, scores, tree, file_checksum(args.model / WEIGHTS))
    write_vectors(args.vectors, ids, vectors)
    inputs = {"corpus": args.corpus, "splits": args.splits, "tokens": args.tokens / TOKEN_FACTS,
              "weights": args.model / WEIGHTS, "labels": args.model / LABELS}  # fmt: skip
    for path in (args.scores, args.vectors):
        write_provenance(path, section_options(config, "scoring"), inputs)
