"""Command: measure the predictions of new texts that carry labels."""

import argparse
import logging
from pathlib import Path

import numpy as np
import polars as pl

from ipcascade.config import Config, section_options
from ipcascade.core.errors import UserError
from ipcascade.core.files import Kind, column_names, read_json, read_parquet, write_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import LABELS
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import ModelLabels
from ipcascade.evaluation.measured import headline, measured
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.inference.labelled import true_labels

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The texts, and the files that are read and written."""
    parser.add_argument("--name", required=True, help="what the texts are called (prediction.inputs.NAME)")
    parser.add_argument("--column", required=True, help="column of their labels, separated by ; , or blanks, or a list")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions in Parquet, wide")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model, for its label tree")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json, which texts were labelled by")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Measure the texts that have labels."""
    labels = read_json(args.model / LABELS, ModelLabels)
    tree = LabelTree.from_json(labels["label_tree"], f"{args.model / LABELS}: the label tree")
    present = column_names(args.predictions)
    if args.column not in present:
        raise UserError(f"{args.predictions} has no column {args.column!r}; it has {', '.join(present[:20])}")
    kinds = {**dict.fromkeys(tree.levels, Kind.LISTS), **dict.fromkeys(tree.labels, Kind.NUMBER)}
    table = read_parquet(args.predictions, kinds)
    truth, has_labels = true_labels(read_parquet(args.predictions, [args.column])[args.column], tree, args.predictions)
    predicted = tree.encode(table.select(pl.concat_list(tree.levels)).to_series().to_list())
    probabilities = table.select(tree.labels).to_numpy().astype(np.float32)
    thresholds, decoding = read_thresholds(args.thresholds, tree)
    groups = np.flatnonzero(has_labels).astype(str)
    truth, predicted, probabilities = (values[has_labels] for values in (truth, predicted, probabilities))
    options = config.evaluation
    content = measured(
        args.name, truth, predicted, probabilities, groups, tree, thresholds, decoding, options, config.seed
    )
    write_json(args.metrics, content)
    inputs = {"predictions": args.predictions, "labels": args.model / LABELS, "thresholds": args.thresholds}
    write_provenance(args.metrics, section_options(config, "seed", "evaluation") | {"column": args.column}, inputs)
    log.info("%s (%d of %d texts have labels)", headline(content), has_labels.sum(), len(has_labels))
