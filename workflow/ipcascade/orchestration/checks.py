"""What is checked when the workflow starts, so that no job waits in a queue to fail for it; and how the workflow ends.

Nothing heavier than pydantic is imported here.
"""

import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ipcascade.config import Config
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import reads_titles
from ipcascade.encoder.options import COMMIT
from ipcascade.sources.patstat.delivery import delivery_files

# Options of Snakemake that draw a graph: of a workflow that is not configured yet, too, as catalogues do.
GRAPHS = frozenset(("--dag", "--rulegraph", "--filegraph", "--d3dag"))


def end(error: object) -> NoReturn:
    """End the run with one sentence: Snakemake would add words of its own and a traceback to an exception."""
    sys.exit(f"ipcascade: {error}")


def ends_the_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """An input function whose errors end the run with their sentence.

    Snakemake itself drops an error of an input function where the outputs exist from an earlier run.
    """

    @functools.wraps(function)
    def ending(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except UserError as error:
            end(error)
        except Exception as error:
            end(f"{function.__name__}: {error!r}")

    return ending


def user_path(path: str) -> str:
    """A path from the config, in which `~` is the home folder."""
    return str(Path(path).expanduser())


def label_tree_of(config: Config) -> Path:
    """The table of the label tree, checked: relative where it is shipped, so that a moved checkout changes no input.

    Raises UserError where it is not a valid label tree, or lacks one of corpus.levels.
    """
    path = Path(user_path(config.corpus.label_tree)) if config.corpus.label_tree else Path(os.path.relpath(IPC))
    LabelTree.read(path).select(config.corpus.levels)
    return path


def delivery_of(config: Config) -> list[Path]:
    """The files of the PATSTAT delivery; none where only a graph of the rules is drawn and no delivery is given.

    Raises UserError where it is not given otherwise, or not complete.
    """
    if config.source.path is None and any(word.partition("=")[0] in GRAPHS for word in sys.argv):
        return []
    if config.source.path is None:
        raise UserError(
            "config: source.path is not set; give the folder of your PATSTAT delivery in config/config.yaml or with "
            "--config source='{path: FOLDER}', or take the synthetic one with --profile profiles/demo"
        )
    return delivery_files(Path(user_path(config.source.path)), reads_titles(config.corpus))


def check_encoder(config: Config) -> None:
    """Raise UserError where the encoder is neither a local folder nor a pinned commit of a hub repository."""
    name, revision = config.encoder.name, config.encoder.revision
    if name.startswith("package:") or Path(user_path(name)).is_dir():
        return
    if name.startswith(("/", ".", "~")) or name.count("/") != 1:
        raise UserError(f"encoder.name: the folder {name} does not exist, and a hub id is OWNER/NAME")
    if not re.fullmatch(COMMIT, revision or ""):
        raise UserError(
            f"encoder.revision is {revision or 'not set'}: a hub id ({name}) needs the full hash of a commit "
            "(40 digits), since a branch or tag may point to other files tomorrow"
        )


def texts_of(config: Config, name: str) -> str:
    """The table of new texts that the config calls `name`. Raises UserError where there is none."""
    if name not in config.prediction.inputs:
        known = ", ".join(config.prediction.inputs) or "none"
        raise UserError(f"config: prediction.inputs has no table {name!r} (there is: {known})")
    path = user_path(config.prediction.inputs[name])
    if not Path(path).is_file():
        raise UserError(f"config: prediction.inputs.{name}: the file {path} does not exist")
    return path
