"""Command: draw the documents per label and the words per text (figure 1)."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.documents import read_tree
from ipcascade.core.files import Kind, read_parquet
from ipcascade.core.provenance import write_provenance
from ipcascade.reporting import corpus_statistics
from ipcascade.reporting.style import save


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--stem", type=Path, required=True, help="path of the figure to write, without the ending")


def run(args: argparse.Namespace, config: Config) -> None:
    """Draw the figure from the corpus."""
    levels = read_tree(args.corpus).levels
    corpus = read_parquet(args.corpus, {**dict.fromkeys(levels, Kind.LISTS), "words": Kind.INTEGER})
    counts = {level: dict(corpus[level].explode().drop_nulls().value_counts().iter_rows()) for level in levels}
    save(corpus_statistics.draw(counts, corpus["words"].to_numpy(), config.figures), args.stem, config.figures)
    write_provenance(args.stem, section_options(config, "figures"), {"corpus": args.corpus})
