"""Step `train`: fine-tune, or go on fine-tuning, and release the best epoch's model."""

import argparse
import logging
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from .. import checkpoint
from ..config import Config, section_options
from ..curve import check_select_by
from ..devices import choose_device, is_rank, launch_ranks
from ..doors import folder_checksum, provenance, read_json, read_provenance, write_parquet
from ..engine import resolve_precision, set_up
from ..fingerprint import module_fingerprint
from ..model import new_model, prior_bias, save_model
from ..model_card import model_card
from ..randomness import stream_seed
from ..ranks import Ranks, ranks_of
from ..tokens import TokenCache
from ..training import Training, TrainingData
from .labelled import add_documents, read_documents

log = logging.getLogger(__name__)
# Set by the workflow in the jobs that it submitted.
SUBMITTED = "IPCASCADE_SUBMITTED"
# Of the wall time of a job these minutes, but at most this share, are left for its start and for the last checkpoint.
LONGEST_MARGIN = 10.0
LARGEST_MARGIN_SHARE = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    add_documents(parser)
    parser.add_argument("--tokens", type=Path, required=True, help="token cache folder")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--checkpoint-minutes", type=float, default=5, help="how often to save one (default: 5)")
    parser.add_argument(
        "--time-limit", type=float, metavar="MINUTES",
        help="wall time of the job; training saves and stops shortly before it is over. Heeded in jobs that Snakemake "
        f"submitted ({SUBMITTED} is set), elsewhere nothing ends with it",
    )  # fmt: skip
    parser.add_argument("--model", type=Path, required=True, help="model folder to write")
    parser.add_argument("--history", type=Path, required=True, help="history.parquet to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    started = time.monotonic()
    torch.set_num_threads(args.threads)
    options = config.training
    if options.devices > 1 and not is_rank():
        sys.exit(launch_ranks(options.devices, args.words))
    with ranks_of(choose_device(options.accelerator, "training")) as ranks:
        _train(args, config, ranks, _stop_at(started, args.time_limit))


def _stop_at(started: float, limit: float | None) -> float:
    """When to stop, in seconds of `time.monotonic`: never outside of a submitted job, which alone has an end."""
    if limit is None or SUBMITTED not in os.environ:
        return math.inf
    return started + 60 * (limit - min(LONGEST_MARGIN, limit * LARGEST_MARGIN_SHARE))


def _train(args: argparse.Namespace, config: Config, ranks: Ranks, stop_at: float) -> None:
    options = config.training
    taxonomy, documents = read_documents(args)
    check_select_by(options.select_by, taxonomy)
    cache = TokenCache.open(args.tokens, documents.ids)
    data = TrainingData(cache, documents.truth, documents.positions("train"), documents.positions("val"))
    precision = resolve_precision(options.precision, ranks.device)
    made_of = provenance(
        section_options(config, "seed", "training"),
        {
            "corpus": args.corpus,
            "splits": args.splits,
            "tokens": args.tokens / "tokens.json",
            "taxonomy": args.taxonomy,
        },
    )
    made_of["inputs"]["encoder"] = folder_checksum(args.encoder)
    # Checkpoints belong to data, options and the code that trains, not to how the result is released or described.
    belongs_to = {**made_of, "precision": precision, "code": module_fingerprint("ipcascade.training")}
    # It says on what to compute, not what; what it changes is the precision.
    belongs_to["options"] = {
        **made_of["options"],
        "training": {name: value for name, value in made_of["options"]["training"].items() if name != "accelerator"},
    }
    folder, fingerprint = checkpoint.folder_for(args.checkpoints, belongs_to)
    log.info(
        "training on %d x %s in %s: %d documents, %d for validation, checkpoints in %s",
        ranks.size,
        torch.cuda.get_device_name() if ranks.device.type == "cuda" else f"CPU ({args.threads} threads)",
        precision, len(data.train), len(data.val), folder,
    )  # fmt: skip
    for sentence in checkpoint.unused(args.checkpoints, folder):
        log.info("%s", sentence)
    bias = (
        prior_bias(data.truth[data.train])
        if options.head_bias == "prior"
        else np.full(len(taxonomy.labels), options.head_bias, dtype=np.float32)
    )
    model = new_model(
        args.encoder, taxonomy, options.dropout, options.attention_dropout, bias, stream_seed(config.seed, "heads"),
        cache.facts["max_length"], options.batching,
    )  # fmt: skip
    set_up(ranks.device, options.deterministic)
    training = Training(
        model.to(ranks.device), data, taxonomy, options, precision, config.seed, folder, fingerprint,
        args.checkpoint_minutes, ranks, stop_at,
    )  # fmt: skip
    history, state = training.run()
    if not ranks.first:
        return
    write_parquet(args.history, history, made_of)
    content = read_provenance(args.corpus)["options"]["corpus"]["text"]
    text = {"content": content, "max_length": cache.facts["max_length"]}
    card = model_card(read_json(args.encoder / "encoder.json"), config, history, len(data.train), precision, text)
    save_model(model, state, args.encoder, taxonomy, card, args.model, text)
