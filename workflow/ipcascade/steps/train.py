"""Step `train`: fine-tune, or go on fine-tuning, and release the best epoch's model."""

import argparse
import hashlib
import logging
from pathlib import Path

import numpy as np
import torch

from ..config import Config, section_options
from ..curve import check_select_by
from ..doors import dump_json, provenance, read_json, read_provenance, write_parquet
from ..encoders import folder_checksum
from ..fingerprint import module_fingerprint
from ..model import new_model, prior_bias, resolve_precision, save_model
from ..model_card import model_card
from ..randomness import stream_seed
from ..tokens import TokenCache
from ..training import Training, TrainingData
from .labelled import add_documents, read_documents

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    add_documents(parser)
    parser.add_argument("--tokens", type=Path, required=True, help="token cache folder")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--checkpoint-minutes", type=float, default=5, help="how often to save one (default: 5)")
    parser.add_argument("--model", type=Path, required=True, help="model folder to write")
    parser.add_argument("--history", type=Path, required=True, help="history.parquet to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    torch.set_num_threads(args.threads)
    options = config.training
    taxonomy, documents = read_documents(args)
    check_select_by(options.select_by, taxonomy)
    cache = TokenCache.open(args.tokens, documents.ids)
    data = TrainingData(cache, documents.truth, documents.positions("train"), documents.positions("val"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = resolve_precision(options.precision, device)
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
    key = [made_of, precision, module_fingerprint("ipcascade.training")]
    fingerprint = hashlib.sha256(dump_json(key).encode()).hexdigest()
    folder = args.checkpoints / fingerprint[:16]
    log.info(
        "training on %s in %s: %d documents, %d for validation, checkpoints in %s",
        torch.cuda.get_device_name() if device.type == "cuda" else f"CPU ({args.threads} threads)",
        precision, len(data.train), len(data.val), folder,
    )  # fmt: skip
    bias = (
        prior_bias(data.truth[data.train])
        if options.head_bias == "prior"
        else np.full(len(taxonomy.labels), options.head_bias, dtype=np.float32)
    )
    model = new_model(
        args.encoder, taxonomy, options.dropout, options.attention_dropout, bias, stream_seed(config.seed, "heads")
    )
    training = Training(
        model.to(device), data, taxonomy, options, precision, config.seed, folder, fingerprint, args.checkpoint_minutes
    )
    history, state = training.run()
    write_parquet(args.history, history, made_of)
    content = read_provenance(args.corpus)["options"]["corpus"]["text"]
    text = {"content": content, "max_length": cache.facts["max_length"]}
    card = model_card(read_json(args.encoder / "encoder.json"), config, history, len(data.train), precision, text)
    save_model(model, state, args.encoder, taxonomy, card, args.model, text)
