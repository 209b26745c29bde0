"""Command: put the predictions of the shares of a table together."""

import argparse
from itertools import chain
from pathlib import Path

from ipcascade.config import Config
from ipcascade.core.block_files import ENDINGS, read_blocks, write_blocks
from ipcascade.core.errors import UserError
from ipcascade.core.provenance import read_provenance, write_provenance


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--shares", type=Path, nargs="+", required=True, help="predictions of all shares, in order")
    parser.add_argument("--predictions", type=Path, required=True, help="file to write: .parquet or .csv")


def run(args: argparse.Namespace, config: Config) -> None:
    """Put them together."""
    if args.predictions.suffix.lower() not in ENDINGS:
        raise UserError(f"{args.predictions}: predictions are written as {' or '.join(ENDINGS)}")
    made_of = [read_provenance(share) for share in args.shares]
    for share, other in zip(args.shares, made_of, strict=True):
        if other != made_of[0]:
            raise UserError(
                f"{share} and {args.shares[0]} were made of different things; delete both and run this again"
            )
    write_blocks(args.predictions, chain.from_iterable(map(read_blocks, args.shares)))
    write_provenance(args.predictions, made_of[0]["options"], {}, made_of[0]["inputs"])
