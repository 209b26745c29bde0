"""Step `figure2`: the workflow as it was run."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import read_json, read_parquet
from ..figures import workflow_diagram
from ..figures.style import save
from ..taxonomy import Taxonomy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--taxonomy", type=Path, required=True, help="label tree")
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json of the corpus")
    parser.add_argument("--splits", type=Path, required=True, help="splits.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    taxonomy = Taxonomy.read(args.taxonomy)
    labels = read_json(args.funnel)["labels"]
    sizes = dict(read_parquet(args.splits, ["split"])["split"].value_counts().sort("split").iter_rows())
    facts = workflow_diagram.Facts(
        documents=sum(sizes.values()),
        sections=labels["section"]["present"],
        classes=labels["class"]["present"],
        section_outputs=len(taxonomy.sections),
        class_outputs=len(taxonomy.classes),
        splits=sizes,
    )
    save(workflow_diagram.draw(config, facts, config.figures), args.stem, config.figures)
