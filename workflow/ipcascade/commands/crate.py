"""Command: put what a run made, and how, into a Workflow Run RO-Crate that can be handed on."""

import argparse
from pathlib import Path

from ipcascade.commands._shared_config import as_yaml, without_paths
from ipcascade.commands._versions import versions
from ipcascade.config import Config
from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole
from ipcascade.reporting.crate import README, Described, write_crate
from ipcascade.reporting.release_card import SOURCES

RUN_CONFIG = "run_config.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files that are read, and the folder to write."""
    parser.add_argument("--results", type=Path, required=True, help="the results folder")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="files of it that are handed on")
    parser.add_argument(
        "--workflow", type=Path, nargs="+", required=True, help="the workflow's files, the main one first"
    )
    parser.add_argument("--crate", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the folder."""
    if stray := [path for path in args.files if not path.is_relative_to(args.results)]:
        raise UserError(f"{stray[0]} is not in the results folder {args.results}")
    main = args.workflow[0]
    workflow = {f"workflow/{path.relative_to(main.parent).as_posix()}": path for path in args.workflow}
    release = config.release
    described = Described(
        name=release.name,
        description="Results of ipcascade: a classifier of texts by a label tree, trained and measured on patents.",
        licence=release.licence,
        authors=release.authors,
        source=release.edition or SOURCES[config.source.kind],
        versions=versions(),
    )
    texts = {RUN_CONFIG: as_yaml(without_paths(config)), README: _readme(release.name, args.workflow[0].name)}
    with folder_written_whole(args.crate) as folder:
        write_crate(folder, args.results, args.files, texts, workflow, described)


def _readme(name: str, workflow: str) -> str:
    return f"""# {name}: results of a run of ipcascade

- `report/index.html`: everything on one page, to be opened in a browser.
- `metrics/test.json`: all measures on test; `tables/`, `figures/`, `paper/numbers.tex`: for a text.
- `run_config.yaml`: the settings of the run, without paths.
- `workflow/{workflow}`: the workflow, with its rules; the package that they call is ipcascade.
- `ro-crate-metadata.json`: what each file is and was made from, by checksums (Workflow Run RO-Crate).

Texts of documents and weights of the model are not in this folder.
"""
