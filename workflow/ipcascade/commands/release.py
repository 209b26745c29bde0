"""Command: put all that prediction needs into one folder that can be handed on, with a card and checksums."""

import argparse
from pathlib import Path

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.commands._model import add_model_files, model_files
from ipcascade.commands._shared_config import as_yaml, encoder_name, without_paths
from ipcascade.config import Config
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json
from ipcascade.core.metrics_file import read_metrics
from ipcascade.core.names import LABELS, MODEL_CARD, SPLITS
from ipcascade.core.schemas import EncoderFacts, FittedCombiner, ModelLabels
from ipcascade.inference.model_files import write_release
from ipcascade.reporting.release_card import Facts, release_card

METRICS = "metrics.json"
RUN_CONFIG = "run_config.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read, and the folder that is written."""
    add_documents(parser)
    add_model_files(parser)
    parser.add_argument("--encoder-facts", type=Path, required=True, help="encoder.json")
    parser.add_argument("--metrics", type=Path, required=True, help="measures on test")
    parser.add_argument("--release", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the folder."""
    documents, files, metrics = read_documents(args), model_files(args), read_metrics(args.metrics)
    if metrics["split"] != "test":
        raise UserError(f"{args.metrics} measures the split {metrics['split']!r}; a card has the measures on test")
    encoder = read_json(args.encoder_facts, EncoderFacts)
    tree = documents.tree
    facts = Facts(
        metrics=metrics,
        encoder=encoder | {"name": encoder_name(encoder["name"])},
        splits={name: int((documents.split == name).sum()) for name in SPLITS},
        labels=dict(zip(tree.levels, tree.sizes, strict=True)),
        sources=tuple(read_json(files.combiner, FittedCombiner)["sources"]),
        max_length=read_json(files.model / LABELS, ModelLabels)["text"]["max_length"],
    )
    card = release_card(facts, config.release, config.source, config.corpus, config.splits)
    write_release(
        files,
        args.release,
        {
            MODEL_CARD: card,
            RUN_CONFIG: as_yaml(without_paths(config)),
            METRICS: args.metrics.read_text(encoding="utf-8"),
        },
    )
