"""Command: write the numbers of a run, and the captions of its figures, as LaTeX macros."""

import argparse
import logging
from pathlib import Path

from ipcascade.commands._shared_config import without_paths
from ipcascade.config import MAIN_RUN, Config, section_options
from ipcascade.core.comparison_file import is_of, read_comparison
from ipcascade.core.files import read_json, written_whole
from ipcascade.core.metrics_file import read_metrics
from ipcascade.core.names import SCORED_SPLITS
from ipcascade.core.provenance import write_provenance
from ipcascade.core.schemas import FunnelFacts, SplitAudit, TokenFacts
from ipcascade.reporting import paper
from ipcascade.reporting.captions import MATRIX, caption

log = logging.getLogger(__name__)
FIGURES = ("figure1", "figure2", "figure3", "figure4", "figure5", "figure6", "figure7", MATRIX)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read and written."""
    parser.add_argument("--funnel", type=Path, required=True, help="funnel.json")
    parser.add_argument("--audit", type=Path, required=True, help="audit.json of the splits")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens.json")
    parser.add_argument("--val", type=Path, required=True, help="measures on validation")
    parser.add_argument("--test", type=Path, required=True, help="measures on test")
    parser.add_argument("--comparison", type=Path, help="comparison of runs on test, where there is one")
    parser.add_argument("--numbers", type=Path, required=True, help="numbers.tex to write")
    parser.add_argument("--captions", type=Path, required=True, help="captions.tex to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write both files."""
    metrics = {split: read_metrics(getattr(args, split)) for split in SCORED_SPLITS}
    macros = paper.data_macros(
        read_json(args.funnel, FunnelFacts), read_json(args.audit, SplitAudit), read_json(args.tokens, TokenFacts)
    )
    for of_split in metrics.values():
        macros += paper.measure_macros(of_split)
    inputs = {name: getattr(args, name) for name in ("funnel", "audit", "tokens", *SCORED_SPLITS)}
    if args.comparison:
        comparison = read_comparison(args.comparison)
        inputs["comparison"] = args.comparison
        if is_of(comparison, metrics["test"], MAIN_RUN):
            macros += paper.run_macros(comparison)
        else:
            log.warning("%s is of other results; make the target runs again for its numbers", args.comparison)
    settings = without_paths(config)
    macros += paper.setting_macros({name: settings[name] for name in settings if name not in ("runs", "matrices")})
    numbers = paper.macros_file(macros, "Numbers of a run, for \\input. Made by ipcascade.")
    captions = {figure: caption(figure) for figure in FIGURES}
    contents = {args.numbers: numbers, args.captions: paper.captions_file(captions)}
    for path, content in contents.items():
        with written_whole(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
        write_provenance(path, section_options(config, *Config.model_fields), inputs)
