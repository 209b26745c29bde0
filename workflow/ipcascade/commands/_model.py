"""The arguments of commands that label new texts: a released model, or its files as the workflow has them."""

import argparse
from pathlib import Path

from ipcascade.commands._evidence import add_evidence
from ipcascade.core.errors import UserError
from ipcascade.inference.model_files import ModelFiles
from ipcascade.inference.released import released_folder


def add_model(parser: argparse.ArgumentParser) -> None:
    """The place of a released model."""
    what = "released model: a folder (of the target `release`) or hub:OWNER/NAME@COMMIT"
    parser.add_argument("--model", required=True, help=what)


def add_model_files(parser: argparse.ArgumentParser) -> None:
    """The arguments that `model_files` reads."""
    add_model(parser)
    add_evidence(parser)
    parser.add_argument("--combiner", type=Path, help="combiner.json, where --model is a model that is not released")
    parser.add_argument("--thresholds", type=Path, help="thresholds.json, likewise")


def model_files(args: argparse.Namespace) -> ModelFiles:
    """The files that were given. Raises UserError where they are neither a released model nor all of another one."""
    if args.combiner and args.thresholds:
        return ModelFiles(Path(args.model), args.combiner, args.thresholds, args.linear, args.neighbours)
    given = [name for name in ("combiner", "thresholds", "linear", "neighbours") if getattr(args, name)]
    if given:
        raise UserError(f"--{given[0]} is of a model that is not released, which needs --combiner and --thresholds")
    return ModelFiles.of_release(released_folder(args.model))
