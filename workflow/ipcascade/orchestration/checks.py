"""What is checked when the workflow starts, so that no job waits in a queue to fail for it; and how the workflow ends.

Nothing heavier than pydantic is imported here.
"""

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ipcascade.config import Config
from ipcascade.core.classifications import TREES
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import DELIVERY_TEXTS, EVERY_TEXT
from ipcascade.core.paths import expanded
from ipcascade.core.user_table_files import table_files
from ipcascade.core.yaml_files import YamlFile, read_yaml
from ipcascade.encoder.options import COMMIT
from ipcascade.evidence.options import NEIGHBOURS
from ipcascade.matrices.options import NACE, SHIPPED_CONCORDANCES, MatrixOptions
from ipcascade.sources.demo.files import PROJECTS
from ipcascade.sources.patentsview.files import find_tables
from ipcascade.sources.patstat.delivery import delivery_files
from ipcascade.sources.patstat.nace import nace_files

# Options of Snakemake that draw a graph: of a workflow that is not configured yet, too, as catalogues do.
GRAPHS = frozenset(("--dag", "--rulegraph", "--filegraph", "--d3dag"))

READ = {
    "patstat_bulk": "folder of your PATSTAT delivery",
    "patentsview": "folder of PatentsView's tables",
    "table": "table or folder of tables",
}
"""What source.path must give."""

# What Snakemake replaces in a path, or refuses where it has nothing to put there: {name}, {name,pattern}, <name>.
WILDCARD = re.compile(r"\{\s*[.\w]+\s*(,([^{}]|\{\d+(,\d+)?\})*)?\}|<[a-z][a-z0-9_]*>")


def end(error: object) -> NoReturn:
    """End the run with one sentence: Snakemake would add words of its own and a traceback to an exception."""
    sys.exit(f"ipcascade: {error}")


def ends_the_run(function: Callable[..., Any]) -> Callable[..., Any]:
    """An input function whose errors end the run with their sentence.

    Snakemake itself drops an error of an input function where the outputs exist from an earlier run.
    """

    @functools.wraps(function)
    def ending(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except UserError as error:
            end(error)
        except OSError as error:
            end(f"{error.filename or function.__name__}: {error.strerror or repr(error)}")
        except Exception as error:
            end(
                f"the inputs of a rule cannot be listed, which is an error of ipcascade: {function.__name__}: {error!r}"
            )

    return ending


def config_files(paths: Sequence[Path | str], given: Sequence[Path | str]) -> list[YamlFile]:
    """Snakemake's config files, the later on top, read once more, since it drops a key that is there twice.

    paths: all of them; given: those of the command line, which win. What is not a file (a pipe) can be read only once,
    and is left out. Raises UserError as `read_yaml` does.
    """
    ordered = [path for path in paths if path not in given] + list(given)
    return [read_yaml(Path(path)) for path in ordered if Path(path).is_file()]


def user_path(key: str, path: str) -> str:
    """A path from the config, in which a `~` at the start is the home folder; `key` is for messages.

    Raises UserError where there is no such home folder, and for a path that Snakemake would not take literally.
    """
    return without_wildcards(key, str(expanded(key, path)))


def without_wildcards(what: str, path: str) -> str:
    """A path, as it is. Raises UserError where Snakemake takes a part of it for a wildcard."""
    if found := WILDCARD.search(path):
        raise UserError(
            f"{what} is {path!r}, and Snakemake takes {found[0]} in a path for a wildcard; rename the file or folder, "
            "or make a link to it"
        )
    return path


def label_tree_of(config: Config) -> Path:
    """The table of the label tree, checked.

    Raises UserError where it is not a valid label tree, or lacks one of corpus.levels.
    """
    given = config.corpus.label_tree
    path = Path(user_path("corpus.label_tree", given) if given else shipped(TREES[config.corpus.classification]))
    LabelTree.read(path).select(config.corpus.levels)
    return path


def renamed_codes_of(config: Config) -> list[Path]:
    """The table of codes that the label tree lacks, or none. Raises UserError where what is given is no table."""
    given = config.corpus.renamed_codes
    if given is None:
        return []
    path = Path(user_path("corpus.renamed_codes", given))
    if path.is_dir():
        raise UserError(f"corpus.renamed_codes is {given!r}, a folder; give one table")
    return table_files(path, "tables of renamed codes")


def shipped(path: Path) -> str:
    """A file that comes with the workflow, from the folder of the run: a checkout that was moved changes no input."""
    return without_wildcards("the folder of the workflow", os.path.relpath(path))


def source_files_of(config: Config) -> list[Path]:
    """The files of the source; none where only a graph of the rules is drawn and no source is given.

    Raises UserError where it is not given otherwise, or not complete.
    """
    if config.source.kind == "patstat_sql":
        return []
    if config.source.path is None and any(word.partition("=")[0] in GRAPHS for word in sys.argv):
        return []
    if config.source.path is None:
        raise UserError(
            f"config: source.path is not set; give the {READ[config.source.reader]} in config/config.yaml or with "
            "--config source='{path: PATH}', or take the synthetic delivery with --profile profiles/demo"
        )
    path = Path(user_path("source.path", config.source.path))
    if config.source.kind == "table":
        files = table_files(path, "tables of documents")
    elif config.source.kind == "patentsview":
        files = find_tables(path, config.corpus.text, config.corpus.classification).all_files
    else:
        files = delivery_files(path, "title" in config.corpus.text, config.corpus.classification)
    for file in files:
        without_wildcards("a file of source.path", str(file))
    return files


def check_encoder(config: Config) -> None:
    """Raise UserError where the encoder is neither a local folder nor a pinned commit of a hub repository."""
    name, revision = config.encoder.name, config.encoder.revision
    is_local = not name.startswith("package:") and Path(user_path("encoder.name", name)).is_dir()
    if name.startswith("package:") or is_local:
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
    if config.prediction.least_similarity > -1 and (
        NEIGHBOURS not in config.evidence.sources or not config.prediction.neighbours
    ):
        raise UserError(
            "config: prediction.least_similarity needs similarities: 'neighbours' among evidence.sources, and "
            "prediction.neighbours of at least 1"
        )
    if config.prediction.inputs[name] == EVERY_TEXT:
        return DELIVERY_TEXTS
    path = user_path(f"prediction.inputs.{name}", config.prediction.inputs[name])
    if not Path(path).exists() and not (config.source.kind == "demo" and path == PROJECTS):
        raise UserError(f"config: prediction.inputs.{name}: the file {path} does not exist")
    return path


def text_files_of(config: Config, name: str) -> list[str]:
    """The files of that table: itself, or those of its folder. Raises UserError as `texts_of` does."""
    path = Path(texts_of(config, name))
    return [str(file) for file in sorted(path.iterdir()) if file.is_file()] if path.is_dir() else [str(path)]


def matrix_of(config: Config, name: str) -> MatrixOptions:
    """The matrix that the config calls `name`. Raises UserError where there is none."""
    if name not in config.matrices:
        raise UserError(f"config: matrices has no {name!r} (there is: {', '.join(config.matrices) or 'none'})")
    return config.matrices[name]


def delivery_of_matrix(config: Config) -> Path:
    """The folder of the delivery that has the concordance to NACE. Raises UserError where there is none."""
    if config.source.kind != "patstat_bulk" or config.source.path is None:
        raise UserError(f"the concordance {NACE!r} is read from a PATSTAT delivery, which source.path must give")
    return Path(user_path("source.path", config.source.path))


def concordance_of(config: Config, name: str) -> list[str]:
    """The file of a matrix's concordance, where it has one. Raises UserError where it does not exist."""
    concordance = matrix_of(config, name).concordance
    if concordance is None:
        return []
    if concordance == NACE:
        return [
            without_wildcards("a file of source.path", str(file)) for file in nace_files(delivery_of_matrix(config))
        ]
    if concordance in SHIPPED_CONCORDANCES:
        return [shipped(SHIPPED_CONCORDANCES[concordance])]
    path = user_path(f"matrices.{name}.concordance", concordance)
    if not Path(path).is_file():
        raise UserError(
            f"config: matrices.{name}.concordance: the file {path} does not exist; there are also "
            f"{', '.join([*SHIPPED_CONCORDANCES, NACE])}"
        )
    return [path]


def column_of_labels(config: Config, name: str) -> str:
    """The column of a table of new texts that has their labels. Raises UserError where none is named."""
    if name not in config.prediction.labels:
        known = ", ".join(config.prediction.labels) or "none"
        raise UserError(f"config: prediction.labels has no table {name!r} (there is: {known})")
    return config.prediction.labels[name]
