"""Step `predict`: a table of new texts to labels and probabilities."""

import argparse
import logging
from pathlib import Path

import polars as pl
import torch

from ..config import Config, section_options
from ..devices import choose_device
from ..doors import provenance, write_parquet
from ..model import WEIGHTS
from ..prediction import predict, read_texts

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument(
        "--texts", type=Path, required=True, help="CSV or parquet with the columns document_id and text"
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json")
    parser.add_argument("--predictions", type=Path, required=True, help="parquet file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    torch.set_num_threads(args.threads)
    device = choose_device(config.scoring.accelerator, "scoring")
    table = read_texts(args.texts)
    predicted, scores, taxonomy, cut = predict(
        table["text"].to_list(), args.model, args.thresholds, config.scoring, device
    )  # fmt: skip
    labels = {
        f"predicted_{level}": pl.Series(
            [[taxonomy.labels[columns.start + label] for label in row.nonzero()[0]] for row in predicted[:, columns]],
            dtype=pl.List(pl.String),
        )
        for level, columns in taxonomy.columns.items()
    }
    matrix = {code: scores[:, column] for column, code in enumerate(taxonomy.labels)}
    made_of = provenance(
        section_options(config, "scoring"),
        {"texts": args.texts, "weights": args.model / WEIGHTS, "thresholds": args.thresholds},
    )
    write_parquet(args.predictions, pl.DataFrame({"document_id": table["document_id"], **labels, **matrix}), made_of)
    log.info("labelled %d texts (%d cut off) in %s", len(table), cut, args.predictions)
