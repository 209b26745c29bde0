"""Command: compare runs on the same documents of a split, by differences to one of them."""

import argparse
import logging
import math
from pathlib import Path
from typing import Any

from ipcascade.commands._documents import add_documents, read_documents
from ipcascade.config import Config, section_options
from ipcascade.core.errors import UserError
from ipcascade.core.files import write_json
from ipcascade.core.names import SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.evaluation.comparison import check_comparison, compare, measure_run
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.reporting.tables import comparison_measures, comparison_parts, comparison_table, write_tables

log = logging.getLogger(__name__)


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
    parser.add_argument(
        "--cost", nargs=3, action="append", default=[], metavar=("NAME", "SECONDS", "MEGABYTES"), dest="costs",
        help="what a run took, to be shown beside its measures; of replicates the mean is shown",
    )  # fmt: skip
    parser.add_argument("--stem", type=Path, required=True, help="path of the files to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Measure and compare the runs."""
    names = [name for name, _, _ in args.runs]
    check_comparison(names, args.replicates, args.reference)
    costs = _costs(args.costs, names)
    options = config.evaluation
    documents = read_documents(args)
    tree, positions = documents.tree, documents.positions(args.split)
    truth, groups = documents.truth[positions], documents.groups[positions]
    runs, made_by, inputs = {}, {}, {"corpus": args.corpus, "splits": args.splits}
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
        "rows": [row | _cost_of_row(row, costs) for row in rows],
    }
    write_json(args.stem.with_name(f"{args.stem.name}.json"), content)
    table = comparison_table(content)
    write_tables(table, args.stem, comparison_parts(table, _captions(content)))
    write_provenance(args.stem, section_options(config, "seed", "evaluation"), inputs)
    first = next(iter(comparison_measures(tree.levels)))
    log.info("%s: %s", args.split, ", ".join(f"{row['name']} {row['measures'][first]:.4f}" for row in rows))


def _costs(given: list[list[str]], runs: list[str]) -> dict[str, tuple[float, float]]:
    """Seconds and megabytes by run. Raises UserError for an unknown run, one that is there twice, and no number."""
    costs: dict[str, tuple[float, float]] = {}
    for name, *amounts in given:
        if name not in runs:
            raise UserError(f"--cost names the run {name!r}, which is not there; the runs are {', '.join(runs)}")
        if name in costs:
            raise UserError(f"--cost names the run {name!r} more than once; give its seconds and megabytes once")
        seconds, megabytes = (_amount(name, amount) for amount in amounts)
        costs[name] = seconds, megabytes
    return costs


def _amount(name: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise UserError(f"--cost of the run {name!r} has {text!r}, which is not a number of at least 0; correct it")
    return amount


def _cost_of_row(row: dict[str, Any], costs: dict[str, tuple[float, float]]) -> dict[str, float | None]:
    """The cost of a run, or the mean of its replicates; null where one of them has none."""
    found = [costs.get(name) for name in row["replicates"] or [row["name"]]]
    known = [cost for cost in found if cost is not None]
    if len(known) < len(found):
        return {"seconds": None, "megabytes": None}
    seconds, megabytes = (math.fsum(amounts) / len(known) for amounts in zip(*known, strict=True))
    return {"seconds": seconds, "megabytes": megabytes}


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
    return [f"{measures}. F1 macro is over labels with support.", f"{differences}.", "What the runs took."]
