"""Command: measure the validation scores of each epoch, for the training history."""

import argparse
from pathlib import Path

import polars as pl

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.files import Kind, check_columns, read_parquet, write_parquet
from ipcascade.core.options import by_level
from ipcascade.core.progress import Progress
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.history import measures_of_epoch, scores_by_epoch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    add_documents(parser)
    parser.add_argument("--epochs", type=Path, required=True, help="epochs.parquet")
    parser.add_argument("--validation-scores", type=Path, required=True, help="validation scores of each epoch")
    parser.add_argument("--history", type=Path, required=True, help="Parquet file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write one row per epoch: the facts of its training, its measures, and whether it became the model."""
    documents = read_documents(args)
    tree, positions = documents.tree, documents.positions("val")
    ids, truth = [documents.ids[position] for position in positions], documents.truth[positions]
    epochs = read_parquet(args.epochs)
    check_columns(args.epochs, epochs, {"epoch": Kind.INTEGER, "selected": Kind.FLAG})
    numbers = epochs["epoch"].to_list()
    table = read_parquet(args.validation_scores)
    fixed = by_level(config.history.fixed, tree.levels)
    rows = []
    with Progress("history", len(numbers), "epochs") as progress:
        for scores in scores_by_epoch(table, numbers, ids, tree, str(args.validation_scores)):
            rows.append(measures_of_epoch(truth, scores, tree, fixed, config.training.mask_confidence))
            progress.advance()
    measures = pl.DataFrame(rows, infer_schema_length=None)
    history = pl.concat([epochs.drop("selected"), measures, epochs.select("selected")], how="horizontal")
    write_parquet(args.history, history)
    write_provenance(
        args.history,
        section_options(config, "history", "training.mask_confidence"),
        {"corpus": args.corpus, "splits": args.splits, "epochs": args.epochs,
         "validation_scores": args.validation_scores},
    )  # fmt: skip
