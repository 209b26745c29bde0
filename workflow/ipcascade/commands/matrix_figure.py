"""Command: draw a matrix: shares of technologies by row, the largest ones, and their change over years."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_parquet
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import matrix_figure
from ipcascade.reporting.style import save
from ipcascade.reporting.words import level_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The matrix, and the files that are read and written."""
    parser.add_argument("--name", required=True, help="name of the matrix in the config (matrices.NAME)")
    parser.add_argument("--matrix", type=Path, required=True, help="the long table of the matrix, in Parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure."""
    if args.name not in config.matrices:
        raise UserError(f"config: matrices has no {args.name!r} (there is: {', '.join(config.matrices) or 'none'})")
    options, table = config.matrices[args.name], read_parquet(args.matrix)
    rows = options.by or table.columns[: table.columns.index("technology")]
    level = "technology" if options.concordance else level_name(options.level or config.corpus.levels[-1])
    save(matrix_figure.draw(table, rows, options.measure, level, config.figures), args.stem, config.figures)
    made_of = section_options(config, "figures") | {"matrix": options.model_dump(mode="json")}
    write_provenance(args.stem, made_of, {"matrix": args.matrix})
