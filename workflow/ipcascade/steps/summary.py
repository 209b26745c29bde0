"""Step `summary`: the headline numbers and where the results stand, for a person."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import read_json

HEADLINE = (
    ("Section", "section"),
    ("Class", "class"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: results)")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    metrics = read_json(args.results / "metrics" / "test.json")
    measures = metrics["measures"]
    print(f"\nOn {metrics['documents']:,} test documents, thresholds '{metrics['thresholds']}' fitted on validation:\n")
    print(f"  {'':8} {'F1 micro':>9} {'F1 macro':>9} {'precision':>10} {'recall':>8}")
    for name, level in HEADLINE:
        of_level = measures[level]
        print(
            f"  {name:8} {of_level['f1_micro']:9.4f} {of_level['f1_macro']:9.4f} "
            f"{of_level['precision_micro']:10.4f} {of_level['recall_micro']:8.4f}"
        )
    hierarchical, reference = measures["hierarchical"], measures["reference"]
    print(f"\n  hierarchical F1 (micro) {hierarchical['f1_micro']:.4f}")
    print(f"  reference H-F1 {reference['h_f1']:.4f} of a ceiling of {reference['h_f1_ceiling']:.4f}\n")
    for what, places in (
        ("metrics", ["metrics/test.json", "metrics/val.json"]),
        ("tables", ["tables/table1.md", "tables/table2.md"]),
        ("figures", ["figures/figure1.pdf", "figures/figure2.pdf", "figures/figure3.pdf"]),
        ("model", ["model"]),
    ):
        present = [str(args.results / place) for place in places if (args.results / place).exists()]
        print(f"  {what:8} {', '.join(present) or 'not made'}")
    print()
