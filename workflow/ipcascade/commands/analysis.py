"""Command: find where the errors on test are, and whether the probabilities can be believed."""

import argparse
import logging
from pathlib import Path

import numpy as np

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.analysis_files import write_analysis
from ipcascade.core.files import Kind, check_columns, column_names, read_parquet
from ipcascade.core.names import CALIBRATION, GUARANTEES, LEVELS, SCORED_SPLITS, STABILITY
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.analysis import Labelled, analyse
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.groups import Group, by_value, by_words
from ipcascade.evaluation.guarantees import guarantees
from ipcascade.evaluation.scored import Scored
from ipcascade.evaluation.stability import stability
from ipcascade.evaluation.thresholds import read_thresholds

log = logging.getLogger(__name__)

# Columns of a corpus by which documents are grouped; a corpus need not have them.
WORDS = "words"
VALUES = {"filing_year": Kind.INTEGER, "office": Kind.TEXT}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read, and the folder of the tables."""
    add_documents(parser)
    parser.add_argument("--val", type=Path, required=True, help="scores of the validation split")
    parser.add_argument("--test", type=Path, required=True, help="scores of the test split")
    parser.add_argument("--network", type=Path, help="folder of the network's own scores, where it is a source")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json")
    parser.add_argument("--analysis", type=Path, required=True, help="folder of the tables to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Analyse the test split; the validation split only fits bounds and thresholds."""
    options = config.analysis
    documents = read_documents(args)
    tree = documents.tree
    thresholds, decoding = read_thresholds(args.thresholds, tree)

    def labelled(split: str, path: Path) -> Labelled:
        scores = documents.scores_of(split, path)
        predicted = decode(scores, thresholds.values, tree, decoding)
        network = documents.scores_of(split, args.network / f"{split}.parquet") if args.network else None
        return Labelled(documents.truth[documents.positions(split)], predicted, scores, network)

    def scored(split: str, of: Labelled) -> Scored:
        return Scored(of.truth, of.probabilities, documents.groups[documents.positions(split)])

    val, test = labelled("val", args.val), labelled("test", args.test)
    on_val, on_test = scored("val", val), scored("test", test)
    tables = {
        GUARANTEES: guarantees(on_val, on_test, tree, options.guarantee, config.evaluation, config.seed),
        STABILITY: stability(on_val, on_test, tree, config.thresholds, decoding, options.refits, config.seed),
    }
    positions = documents.positions("test")
    tables |= analyse(
        val,
        test,
        documents.truth[documents.split == "train"],
        [documents.ids[position] for position in positions],
        _groupings(args.corpus, positions),
        tree,
        options,
    )
    for name, records in tables.items():
        write_analysis(args.analysis, name, records)
    inputs = {"corpus": args.corpus, "splits": args.splits, "val": args.val, "test": args.test,
              "thresholds": args.thresholds}  # fmt: skip
    if args.network:
        inputs |= {f"network_{split}": args.network / f"{split}.parquet" for split in SCORED_SPLITS}
    write_provenance(args.analysis, section_options(config, "seed", "thresholds", "evaluation", "analysis"), inputs)
    for row in (row for row in tables[CALIBRATION] if row["split"] == "test"):
        log.info("%s, %s: calibration error %.4f", row["level"], row["probabilities"], row["calibration_error"])
    for level in tables[LEVELS]:
        reached = "none" if level["test_precision"] is None else f"{level['test_precision']:.4f}"
        log.info(
            "%s: %.1f%% of the documents left to the machine for a precision of %g, reached %s",
            level["level"], 100 * level["test_coverage"], level["wanted_precision"], reached,
        )  # fmt: skip


def _groupings(corpus: Path, positions: np.ndarray) -> dict[str, list[Group]]:
    """Groups of the documents at some positions of a corpus, by each column above for which it has values."""
    present = column_names(corpus)
    groupings = {}
    if WORDS in present:
        groupings[WORDS] = by_words(read_parquet(corpus, {WORDS: Kind.INTEGER})[WORDS].to_numpy()[positions])
    for column in (column for column in VALUES if column in present):
        table = read_parquet(corpus, [column])
        check_columns(corpus, table.drop_nulls(), {column: VALUES[column]})
        values = table[column].gather(positions)
        if values.null_count() < len(values):
            groupings[column] = by_value(values.to_list())
    return groupings
