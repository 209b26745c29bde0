"""Command: label new texts with a trained model."""

import argparse
import logging
from pathlib import Path

import polars as pl
import torch

from ipcascade.commands._evidence import add_evidence, evidence_files
from ipcascade.config import Config, section_options
from ipcascade.core.documents import label_lists
from ipcascade.core.files import write_parquet
from ipcascade.core.names import LABELS, WEIGHTS
from ipcascade.core.provenance import write_provenance
from ipcascade.inference.prediction import ModelFiles, predict
from ipcascade.inference.texts import read_texts
from ipcascade.runtime.device import choose_device

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument(
        "--texts", type=Path, required=True, help="CSV or Parquet with the columns document_id and text"
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    add_evidence(parser)
    parser.add_argument("--combiner", type=Path, required=True, help="combiner.json")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json")
    parser.add_argument("--predictions", type=Path, required=True, help="Parquet file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Label the texts of one table."""
    torch.set_num_threads(args.threads)
    device = choose_device(config.scoring.accelerator, "scoring")
    table = read_texts(args.texts)
    files = ModelFiles(args.model, args.combiner, args.thresholds, args.linear, args.neighbours)
    found = predict(table["text"].to_list(), files, config.scoring, device, config.prediction.neighbours)
    columns = {"document_id": table["document_id"], **label_lists(found.predicted, found.tree)}
    if found.neighbours is not None:
        columns["neighbours"] = pl.Series(found.neighbours, dtype=pl.List(pl.String))
    columns |= {code: pl.Series(found.probabilities[:, column]) for column, code in enumerate(found.tree.labels)}
    write_parquet(args.predictions, pl.DataFrame(columns))
    inputs = {"texts": args.texts, "weights": args.model / WEIGHTS, "labels": args.model / LABELS,
              "combiner": args.combiner, "thresholds": args.thresholds} | evidence_files(args)  # fmt: skip
    write_provenance(args.predictions, section_options(config, "scoring", "prediction.neighbours"), inputs)
    log.info("labelled %d texts (%d cut off) in %s", len(table), found.truncated, args.predictions)
