"""Command: count technologies by rows of units (projects, funders, years) from the predictions of a table of texts."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.block_files import write_blocks
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import LABELS
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import ModelLabels
from ipcascade.matrices.counts import count
from ipcascade.matrices.tables import long_table, read_blocks, read_units, wide_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The matrix, and the files that are read and written."""
    parser.add_argument("--name", required=True, help="name of the matrix in the config (matrices.NAME)")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions in Parquet, wide")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model, for the titles of labels")
    parser.add_argument(
        "--stem", type=Path, required=True, help="files to write, without ending: STEM.parquet, STEM_wide.csv, ..."
    )


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the long and the wide table, each as Parquet and as CSV."""
    if args.name not in config.matrices:
        raise UserError(f"config: matrices has no {args.name!r} (there is: {', '.join(config.matrices) or 'none'})")
    options = config.matrices[args.name]
    labels = read_json(args.model / LABELS, ModelLabels)
    tree = LabelTree.from_json(labels["label_tree"], f"{args.model / LABELS}: the label tree")
    level = options.level or tree.levels[-1]
    columns = tree.columns[level]
    technologies = list(zip(tree.labels[columns], tree.titles[columns], strict=True))
    rows, units = read_units(args.predictions, options)
    counts = count(
        units, read_blocks(args.predictions, tree, level), len(technologies), options.bootstrap,
        config.evaluation.confidence, config.seed,
    )  # fmt: skip
    tables = {
        "": long_table(rows, units, counts, technologies, options.floor),
        "_wide": wide_table(rows, units, counts, technologies, options.measure),
    }
    made_of = section_options(config, "seed", "evaluation.confidence") | {"matrix": options.model_dump(mode="json")}
    for ending, table in tables.items():
        parquet = args.stem.with_name(f"{args.stem.name}{ending}.parquet")
        write_parquet(parquet, table)
        write_blocks(parquet.with_suffix(".csv"), [table])
        write_provenance(parquet, made_of, {"predictions": args.predictions, "labels": args.model / LABELS})
