"""Command: fine-tune the encoder with one head per level, or go on fine-tuning; export the best epoch's model."""

import argparse
import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.documents import Documents, read_corpus, read_text_content, truth_of
from ipcascade.core.files import (
    file_checksum,
    folder_checksum,
    read_json,
    table_checksum,
    table_metadata,
    write_parquet,
    written_whole,
)
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import ENCODER_FACTS, MODEL_CONFIG, TOKEN_FACTS, WEIGHTS
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import EncoderFacts
from ipcascade.encoder.tokens import TokenCache
from ipcascade.model.export import export_model
from ipcascade.runtime.device import choose_device
from ipcascade.runtime.launch import is_rank, launch_ranks
from ipcascade.runtime.precision import resolve_precision
from ipcascade.training import checkpoint
from ipcascade.training.card import model_card
from ipcascade.training.distributed import Ranks, ranks_of
from ipcascade.training.loop import Checkpoints, Trained, Training, TrainingData
from ipcascade.training.options import selected_by
from ipcascade.training.run import fine_tune

log = logging.getLogger(__name__)
# Set by the workflow in the jobs that it submitted.
SUBMITTED = "IPCASCADE_SUBMITTED"
# Of the wall time of a job these minutes, but at most this share, are left for its start and for the last checkpoint.
LONGEST_MARGIN = 10.0
LARGEST_MARGIN_SHARE = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written, and how long it may take."""
    add_documents(parser)
    add_label_tree(parser)
    parser.add_argument("--tokens", type=Path, required=True, help="token cache folder")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--checkpoint-minutes", type=float, default=5, help="how often to save one (default: 5)")
    parser.add_argument(
        "--time-limit", type=float, metavar="MINUTES",
        help="wall time of the job: training saves and stops shortly before it is over. Has an effect only in jobs "
        f"that Snakemake submitted ({SUBMITTED} is set)",
    )  # fmt: skip
    parser.add_argument("--code", default="", help="fingerprint of the code; checkpoints of other code are not used")
    parser.add_argument("--model", type=Path, required=True, help="model folder to write")
    parser.add_argument("--epochs", type=Path, required=True, help="epochs.parquet to write: facts per epoch")
    parser.add_argument(
        "--validation-scores", type=Path, required=True, help="Parquet file to write: validation probabilities by epoch"
    )


def run(args: argparse.Namespace, config: Config) -> None:
    """Train in this process, or in one process per device."""
    started = time.monotonic()
    torch.set_num_threads(args.threads)
    options = config.training
    if options.devices > 1 and not is_rank():
        sys.exit(launch_ranks(options.devices, args.words))
    with ranks_of(choose_device(options.accelerator, "training")) as ranks:
        _train(args, config, ranks, stop_time(started, args.time_limit))


def stop_time(started: float, limit: float | None) -> float:
    """When to stop, in seconds of `time.monotonic`: never outside of a submitted job, which alone has an end."""
    if limit is None or SUBMITTED not in os.environ:
        return math.inf
    return started + 60 * (limit - min(LONGEST_MARGIN, limit * LARGEST_MARGIN_SHARE))


def _train(args: argparse.Namespace, config: Config, ranks: Ranks, stop_at: float) -> None:
    documents = read_documents(args)
    cache = TokenCache.open(args.tokens, documents.ids, tokenizer_folder=args.encoder)
    label_tree = LabelTree.read(label_tree_file(args, config))
    trained_tree, truth = _with_finer_level(args, config, documents, label_tree)
    data = TrainingData(
        documents.tree, trained_tree, cache, truth, documents.positions("train"), documents.positions("val")
    )
    precision = resolve_precision(config.training.precision, ranks.device, "training")
    checkpoints = _checkpoints(args, config, precision)
    log.info(
        "training on %d x %s in %s: %d documents, %d for validation, checkpoints in %s",
        ranks.size,
        torch.cuda.get_device_name() if ranks.device.type == "cuda" else f"CPU ({args.threads} threads)",
        precision, len(data.train), len(data.val), checkpoints.folder,
    )  # fmt: skip
    training, trained = fine_tune(
        args.encoder,
        data,
        label_tree,
        config.training,
        training_seed(config),
        precision,
        ranks,
        checkpoints,
        stop_at,
    )
    if ranks.first:
        _write(args, config, documents, training, trained)


def _with_finer_level(
    args: argparse.Namespace, config: Config, documents: Documents, label_tree: LabelTree
) -> tuple[LabelTree, np.ndarray]:
    """The tree of all levels that are trained, and bool [documents, labels] in corpus order."""
    tree = documents.tree.with_level_below(label_tree) if config.training.finer_level_weight else documents.tree
    if tree.levels == documents.tree.levels:
        return documents.tree, documents.truth
    return tree, truth_of(read_corpus(args.corpus, tree, {}), tree)


def training_seed(config: Config) -> int:
    """The seed of training: its own, or the one seed."""
    return config.seed if config.training.seed is None else config.training.seed


def _checkpoints(args: argparse.Namespace, config: Config, precision: str) -> Checkpoints:
    """Where checkpoints are: they belong to data, options and code that decide the weights, and to nothing else."""
    belongs_to = {
        "options": _options(config),
        "inputs": {
            "corpus": table_checksum(args.corpus),
            "splits": table_checksum(args.splits),
            "tokens": file_checksum(args.tokens / TOKEN_FACTS),  # which hold the checksum of the tokens
            "label_tree": file_checksum(label_tree_file(args, config)),
            "encoder": {name: file_checksum(args.encoder / name) for name in (WEIGHTS, MODEL_CONFIG)},
        },
        "precision": precision,
        "code": args.code,
    }
    folder, fingerprint = checkpoint.folder_for(args.checkpoints, belongs_to)
    for sentence in checkpoint.unused(args.checkpoints, folder):
        log.info("%s", sentence)
    return Checkpoints(folder, fingerprint, args.checkpoint_minutes)


def _options(config: Config) -> dict[str, Any]:
    """The options that decide the weights: not the accelerator, which acts through the precision alone."""
    options = section_options(config, "seed", "training")
    return {
        **options,
        "training": {name: value for name, value in options["training"].items() if name != "accelerator"},
    }


def _write(
    args: argparse.Namespace, config: Config, documents: Documents, training: Training, trained: Trained
) -> None:
    """Write epochs.parquet, the validation probabilities and, last, the model."""
    epochs = pl.DataFrame(trained.epochs, infer_schema_length=None).with_columns(
        selected=pl.col("epoch") == trained.best_epoch
    )
    write_parquet(args.epochs, epochs)
    _write_validation_scores(args.validation_scores, documents, training.checkpoints.folder, epochs.height)
    text = {"content": read_text_content(args.corpus), "max_length": training.model.max_length}
    selection = selected_by(config.training, documents.tree.levels), trained.best_value
    card = model_card(
        read_json(args.encoder / ENCODER_FACTS, EncoderFacts), config.training, training_seed(config),
        documents.tree.levels, epochs, selection, documents.positions("train").size, training.precision, text,
    )  # fmt: skip
    finer_tree = training.data.trained_tree if training.data.has_finer_level else None
    export_model(training.model, trained.weights, args.encoder, documents.tree, text, card, args.model, finer_tree)
    inputs = {
        "corpus": args.corpus, "splits": args.splits, "tokens": args.tokens / TOKEN_FACTS,
        "label_tree": label_tree_file(args, config),
    }  # fmt: skip
    checksums = {"encoder": folder_checksum(args.encoder)}
    for written in (args.epochs, args.validation_scores, args.model):
        write_provenance(written, section_options(config, "seed", "training"), inputs, checksums)


def _write_validation_scores(path: Path, documents: Documents, checkpoints: Path, epochs: int) -> None:
    """One row per epoch and validation document, epoch after epoch, so that memory holds one epoch's at a time."""
    ids = [documents.ids[position] for position in documents.positions("val")]
    names = ["epoch", "document_id", *documents.tree.labels]
    types = [pa.int32(), pa.string(), *(pa.float32() for _ in documents.tree.labels)]
    schema = pa.schema(list(zip(names, types, strict=True)), metadata=table_metadata({}))

    def tables() -> Iterator[pa.Table]:
        for epoch in range(1, epochs + 1):
            scores = checkpoint.load_validation(checkpoints, epoch, (len(ids), len(documents.tree.labels)))
            columns = [np.full(len(ids), epoch, dtype=np.int32), ids, *np.ascontiguousarray(scores.T)]
            yield pa.table(
                [pa.array(column, type=kind) for column, kind in zip(columns, types, strict=True)], schema=schema
            )

    with written_whole(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for table in tables():
            writer.write_table(table)
