"""Command: print the headline measures and where the results are."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ipcascade.config import Config
from ipcascade.core.metrics_file import read_metrics

COLUMNS = {"F1 micro": "f1_micro", "F1 macro": "f1_macro", "precision": "precision_micro", "recall": "recall_micro"}
"""Headings and the measures of a level below them."""
RESULTS = {
    "metrics": ("metrics/test.json", "metrics/val.json"),
    "tables": ("tables/table1.md", "tables/table2.md", "tables/table3.md"),
    "figures": tuple(f"figures/figure{number}.pdf" for number in (1, 2, 3, 4, 5, 7)),
    "analysis": ("analysis",),
    "model": ("model",),
    "report": ("report/index.html",),
    "paper": ("paper/numbers.tex",),
}
"""What a person looks for, and where it is below the results folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The results folder."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: results)")


def run(args: argparse.Namespace, config: Config) -> None:
    """Print the measures on test, one line per level, and the paths of the results that are there."""
    metrics = read_metrics(args.results / "metrics" / "test.json")
    print("\n".join([*_measures(metrics), "", *_places(args.results), ""]))


def _measures(metrics: Mapping[str, Any]) -> Iterator[str]:
    measures, levels = metrics["measures"], metrics["levels"]
    width = max(len(level) for level in levels)
    yield f"\nOn {metrics['documents']:,} test documents, thresholds '{metrics['thresholds']}' fitted on validation:\n"
    yield f"  {'':{width}} " + " ".join(f"{heading:>9}" for heading in COLUMNS)
    for level in levels:
        numbers = " ".join(f"{measures[level][key]:9.4f}" for key in COLUMNS.values())
        yield f"  {level.capitalize():{width}} {numbers}"
    yield f"\n  hierarchical F1 (micro) {measures['hierarchical']['f1_micro']:.4f}"
    reference = measures.get("reference")
    if reference:  # it is defined on two levels
        yield f"  reference H-F1 {reference['h_f1']:.4f} of a ceiling of {reference['h_f1_ceiling']:.4f}"


def _places(results: Path) -> Iterator[str]:
    width = max(len(what) for what in RESULTS)
    for what, places in RESULTS.items():
        present = [str(results / place) for place in places if (results / place).exists()]
        yield f"  {what:{width}} {', '.join(present) or 'not made'}"
