"""Command: show all results of a run as one page that needs no network."""

import argparse
from pathlib import Path
from typing import Any

from ipcascade import __version__
from ipcascade.commands._shared_config import as_yaml, changed_keys, without_paths
from ipcascade.commands._versions import versions
from ipcascade.config import MAIN_RUN, Config
from ipcascade.core.comparison_file import read_comparison
from ipcascade.core.files import written_whole
from ipcascade.reporting.report import data, errors, making, quality, runs, texts, training
from ipcascade.reporting.report.page import render
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.words import count, level_name, listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folders that are read, and the page to write."""
    parser.add_argument("--results", type=Path, required=True, help="the results folder")
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of Snakemake's benchmarks (.jsonl)")
    parser.add_argument("--comparison", type=Path, help="comparison of runs on test (test.json), where there is one")
    parser.add_argument("--report", type=Path, required=True, help="page to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Read the results and write the page."""
    results, content = Results(args.results), without_paths(config)
    comparison = read_comparison(args.comparison) if args.comparison else None
    levels = list(results.metrics("test")["levels"])
    sections = [
        quality.overview(results, synthetic=config.source.kind == "demo"),
        data.section(results, levels),
        training.section(results, levels),
        quality.measures(results),
        quality.labels(results),
        errors.probabilities(results),
        errors.errors(results),
        runs.section(results, comparison, MAIN_RUN),
        texts.section(results, config.prediction, _matrices(config), levels),
        making.section(results, as_yaml(content), changed_keys(content), versions(), args.benchmarks),
    ]
    page = render(config.release.name, _subtitle(results, levels), sections, __version__)
    with written_whole(args.report) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _matrices(config: Config) -> dict[str, tuple[list[str] | None, str, str]]:
    """Of each matrix the columns that name its rows, the count that is shown, and what its technologies are called."""
    found: dict[str, tuple[list[str] | None, str, str]] = {}
    for name, options in config.matrices.items():
        level = level_name(options.level or config.corpus.levels[-1])
        technology = "technology" if options.concordance else level
        found[name] = (list(options.by) or None, options.measure, technology)
    return found


def _subtitle(results: Results, levels: list[str]) -> str:
    funnel: dict[str, Any] = results.funnel()
    documents = count(funnel["steps"][-1]["left"], "document")
    labels = listed([count(funnel["labels"][level]["present"], level_name(level)) for level in levels])
    return f"A classifier of texts by {labels}, trained and measured on {documents}."
