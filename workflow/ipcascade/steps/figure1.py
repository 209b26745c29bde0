"""Step `figure1`: label counts by rank and abstract lengths."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import read_parquet
from ..figures import corpus_statistics
from ..figures.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    corpus = read_parquet(args.corpus, ["sections", "classes", "words"])
    sections, classes = (
        dict(corpus[level].explode().value_counts().sort(level).iter_rows()) for level in ("sections", "classes")
    )
    figure = corpus_statistics.draw(sections, classes, corpus["words"].to_numpy(), config.figures)
    save(figure, args.stem, config.figures)
