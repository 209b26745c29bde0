"""Command: say what a folder or file holds, and what to write into the config to use it."""

import argparse
from pathlib import Path

from ipcascade.config import Config
from ipcascade.sources.inspection import inspect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The path to look at."""
    parser.add_argument("path", type=Path, help="folder or file: a delivery, bulk tables, a table of documents")


def run(args: argparse.Namespace, config: Config) -> None:
    """Print what is there."""
    print(inspect(args.path))
