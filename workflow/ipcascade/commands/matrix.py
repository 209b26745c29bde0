"""Command: count technologies by rows of units (projects, funders, years) from the predictions of a table of texts."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ipcascade.commands._label_tree import add_label_tree, label_tree_file
from ipcascade.config import Config, section_options
from ipcascade.core.block_files import write_blocks
from ipcascade.core.documents import read_splits
from ipcascade.core.errors import UserError
from ipcascade.core.files import Kind, read_json, read_parquet, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import LABELS
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import ModelLabels
from ipcascade.matrices.concordance import Concordance, Table, concordance, concordance_file, read_concordance
from ipcascade.matrices.counts import Amounts, count, of_labels, set_aside
from ipcascade.matrices.options import NACE
from ipcascade.matrices.tables import (
    UNCLASSIFIABLE,
    long_table,
    read_blocks,
    read_classifiable,
    read_units,
    wide_table,
)
from ipcascade.sources.patstat.nace import nace_files, read_nace

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The matrix, and the files that are read and written."""
    parser.add_argument("--name", required=True, help="name of the matrix in the config (matrices.NAME)")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions in Parquet, wide")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model, for the titles of labels")
    parser.add_argument("--corpus", type=Path, help="corpus.parquet, for a concordance")
    parser.add_argument("--splits", type=Path, help="splits.parquet, likewise")
    parser.add_argument("--delivery", type=Path, help="folder of the PATSTAT delivery, for the concordance 'nace'")
    add_label_tree(parser)
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
    rows, units = read_units(args.predictions, options)
    blocks = read_blocks(args.predictions, tree, level)
    texts: Iterator[Amounts]
    shared_out: list[str] = []
    inputs = {"predictions": args.predictions, "labels": args.model / LABELS}
    if options.concordance:
        known, read_from = _table(args, options.concordance)
        found = _concordance(args, config, known, tree, level)
        technologies, texts, shared_out = found.technologies, map(found.amounts, blocks), found.shared_out
        inputs |= read_from | {"corpus": args.corpus, "splits": args.splits}
    else:
        columns = tree.columns[level]
        technologies = list(zip(tree.labels[columns], tree.titles[columns], strict=True))
        texts = map(of_labels, blocks)
    classifiable = read_classifiable(args.predictions)
    if not classifiable.all():
        technologies = [*technologies, UNCLASSIFIABLE]
        texts = set_aside(texts, classifiable)
        log.info("%d of %d texts are not classifiable", (~classifiable).sum(), len(classifiable))
    counts = count(units, texts, options.bootstrap, config.evaluation.confidence, config.seed)
    tables = {
        "": long_table(rows, units, counts, technologies, options.floor),
        "_wide": wide_table(rows, units, counts, technologies, options.measure),
    }
    made_of = section_options(config, "seed", "evaluation.confidence") | {"matrix": options.model_dump(mode="json")}
    for ending, table in tables.items():
        parquet = args.stem.with_name(f"{args.stem.name}{ending}.parquet")
        write_parquet(parquet, table, {"shared_out": shared_out})
        write_blocks(parquet.with_suffix(".csv"), [table])
        write_provenance(parquet, made_of, inputs)


def _table(args: argparse.Namespace, name: str) -> tuple[Table, dict[str, Path]]:
    """The table of a concordance, and the files that it was read from, by role."""
    if name != NACE:
        path = concordance_file(name)
        return read_concordance(path), {"concordance": path}
    if not args.delivery:
        raise UserError("--delivery is needed, since NACE is read from the PATSTAT delivery")
    table, conditions = read_nace(args.delivery)
    log.info("NACE of %d subclasses; %d rows have conditions, which do not count", len(table), conditions)
    return table, {f"concordance {number}": path for number, path in enumerate(nace_files(args.delivery), start=1)}


def _concordance(args: argparse.Namespace, config: Config, table: Table, tree: LabelTree, level: str) -> Concordance:
    """The concordance of the labels of a level; says which of them are shared out by training documents."""
    if not args.corpus or not args.splits:
        raise UserError("--corpus and --splits are needed, since a concordance shares labels by training documents")
    whole = LabelTree.read(label_tree_file(args, config))
    found = concordance(table, whole, tree, level, _documents_below(args, whole, tree))
    if found.shared_out:
        log.info(
            "%d labels are shared out by the training documents of the labels below them: %s",
            len(found.shared_out), ", ".join(found.shared_out),
        )  # fmt: skip
    return found


def _documents_below(args: argparse.Namespace, whole: LabelTree, tree: LabelTree) -> dict[str, int]:
    """Training documents by label, of all levels that the corpus has."""
    levels = tree.with_level_below(whole).levels
    corpus = read_parquet(args.corpus, {"document_id": Kind.TEXT, **dict.fromkeys(levels, Kind.LISTS)})
    train = read_splits(args.splits).filter(split="train")
    labels = corpus.join(train, on="document_id", how="semi").select(pl.concat_list(levels).alias("label"))
    return dict(labels.explode("label").drop_nulls()["label"].value_counts().iter_rows())
