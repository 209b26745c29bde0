"""Command: compare runs on the same documents of a split, by differences to one of them."""

import argparse
import logging
from pathlib import Path
from typing import Any

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.costs_file import read_costs
from ipcascade.core.files import write_json
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.comparison import check_comparison, compare, measure_run
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.reporting.costs import Cost, mean, totals
from ipcascade.reporting.tables import comparison_measures, comparison_parts, comparison_table, write_tables

log = logging.getLogger(__name__)

_COSTS = (
    "What each run takes: the seconds of all jobs that its results come from, and the highest peak of one of them, of "
    "the main memory and, in training, of the GPU's. A job counts in full in every run that uses it, also where it was "
    "run once for several. Corpus and splits, which all runs use, do not count."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The split, the runs with their files, and the files to write."""
    add_documents(parser)
    parser.add_argument("--split", choices=SPLITS, required=True, help="split to measure")
    parser.add_argument(
        "--run", nargs=3, action="append", default=[], metavar=("NAME", "SCORES", "THRESHOLDS"), dest="runs",
        help="a run, its scores of the split and its thresholds.json; once per run, in the order of the table",
    )  # fmt: skip
    parser.add_argument("--reference", required=True, help="run, or group of replicates, that differences are to")
    parser.add_argument(
        "--replicates", nargs="+", action="append", default=[], metavar=("NAME", "RUN"),
        help="runs that differ in the training seed alone, shown as one row of this name: mean and standard deviation",
    )  # fmt: skip
    parser.add_argument("--costs", type=Path, help="costs.csv, to show what the runs took; of replicates the mean")
    parser.add_argument("--stem", type=Path, required=True, help="path of the files to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Measure and compare the runs."""
    names = [name for name, _, _ in args.runs]
    check_comparison(names, args.replicates, args.reference)
    costs = totals(read_costs(args.costs)) if args.costs else {}
    options = config.evaluation
    documents = read_documents(args)
    tree, positions = documents.tree, documents.positions(args.split)
    truth, groups = documents.truth[positions], documents.groups[positions]
    runs, made_by, inputs = {}, {}, {"corpus": args.corpus, "splits": args.splits}
    if args.costs:
        inputs["costs"] = args.costs
    for name, scores_file, thresholds_file in args.runs:
        scores = documents.scores_of(args.split, Path(scores_file))
        thresholds, decoding = read_thresholds(Path(thresholds_file), tree)
        predicted = decode(scores, thresholds.values, tree, decoding)
        runs[name] = measure_run(truth, predicted, scores, groups, tree, options.bootstrap, config.seed)
        made_by[name] = {"thresholds": thresholds.method, "decoding": decoding.model_dump(mode="json")}
        inputs |= {f"scores of {name}": Path(scores_file), f"thresholds of {name}": Path(thresholds_file)}
    rows = compare(runs, args.replicates, args.reference, options.confidence)
    content = {
        "split": args.split,
        "documents": len(positions),
        "levels": list(tree.levels),
        "reference": args.reference,
        "confidence": options.confidence,
        "bootstrap_samples": options.bootstrap,
        "runs": made_by,
        "rows": [row | _cost_of_row(row, costs)._asdict() for row in rows],
    }
    write_json(args.stem.with_name(f"{args.stem.name}.json"), content)
    table = comparison_table(content)
    write_tables(table, args.stem, comparison_parts(table, _captions(content)))
    write_provenance(args.stem, section_options(config, "seed", "evaluation"), inputs)
    first = next(iter(comparison_measures(tree.levels)))
    log.info("%s: %s", args.split, ", ".join(f"{row['name']} {row['measures'][first]:.4f}" for row in rows))


def _cost_of_row(row: dict[str, Any], costs: dict[str, Cost]) -> Cost:
    """The cost of a run, or the mean of its replicates."""
    return mean([costs.get(name, Cost()) for name in row["replicates"] or [row["name"]]])


def _captions(content: dict[str, Any]) -> list[str]:
    """Of the measures, of the differences, and of the costs."""
    share, intervals = f"{100 * content['confidence']:.3g}%", content["bootstrap_samples"] > 0
    measures = f"Runs on the {content['split']} split ({content['documents']:,} documents)"
    differences = f"Differences to {content['reference']}"
    if intervals:
        measures += f" with {share} bootstrap confidence intervals; average precision has none"
        differences += f" with their {share} confidence intervals by paired bootstrap"
    if any(row["replicates"] for row in content["rows"]):
        measures += "; mean ± standard deviation over replicates"
    return [f"{measures}. F1 macro is over labels with support.", f"{differences}.", _COSTS]
