"""Command: label new texts with a trained model."""

import argparse
import logging
from pathlib import Path

import torch

from ipcascade.commands._model import add_model_files, model_files
from ipcascade.config import Config, section_options
from ipcascade.core.block_files import ENDINGS
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum, folder_checksum
from ipcascade.core.provenance import write_provenance
from ipcascade.inference.labelling import label_table
from ipcascade.inference.prediction import TextClassifier
from ipcascade.inference.texts import TextTable
from ipcascade.runtime.device import choose_device

log = logging.getLogger(__name__)
# The keys of the section `prediction` that decide what is in a table of predictions.
DECIDING = ("neighbours", "layout", "floor", "least_confidence", "least_similarity")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument(
        "--texts", type=Path, required=True,
        help="CSV, CSV.gz or Parquet, or a folder of Parquet files, with the columns document_id and text",
    )  # fmt: skip
    add_model_files(parser)
    parser.add_argument("--predictions", type=Path, required=True, help="file to write: .parquet or .csv")
    parser.add_argument(
        "--share",
        type=_share,
        default=(1, 1),
        metavar="K/N",
        help="label the K-th of N shares of the texts (default: 1/1)",
    )
    parser.add_argument("--code", default="", help="fingerprint of the code; parts made by other code are not used")


def run(args: argparse.Namespace, config: Config) -> None:
    """Label the texts of one table."""
    torch.set_num_threads(args.threads)
    choose_device(config.scoring.accelerator, "scoring")  # before anything is read: where there is none, at once
    if args.predictions.suffix.lower() not in ENDINGS:
        raise UserError(f"{args.predictions}: predictions are written as {' or '.join(ENDINGS)}")
    table = TextTable.open(args.texts)
    files = model_files(args)
    classifier = TextClassifier.read(files, config.scoring)
    options = section_options(config, "scoring", *(f"prediction.{name}" for name in DECIDING))
    checksum = folder_checksum(args.texts) if args.texts.is_dir() else file_checksum(args.texts)
    made_of = {
        "options": options,
        "texts": checksum,
        "files": {role: file_checksum(path) for role, path in files.deciding().items()},
        "code": args.code,
    }
    rows = label_table(table, classifier, config.prediction, args.predictions, made_of, args.share)
    write_provenance(args.predictions, options, files.deciding(), {"texts": checksum})
    log.info("labelled %d texts in %s", rows, args.predictions)


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 2/4")
    return int(number), int(count)
