"""Where a released model is: a folder on this machine, or a repository of the Hugging Face hub at one commit."""

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from ipcascade.core.errors import UserError
from ipcascade.core.names import HUB, MANIFEST
from ipcascade.encoder.hub import Names, fetch, named_as
from ipcascade.encoder.options import COMMIT

# Kinds of the files of a release but the card, which decides nothing. Others, that somebody added, are not fetched.
_KINDS = frozenset((".json", ".txt", ".safetensors", ".parquet", ".yaml"))


def released_folder(place: str) -> Path:
    """The folder of a released model, given as itself or as hub:OWNER/NAME@COMMIT, which is fetched and verified.

    Raises UserError where a repository is named otherwise, holds no released model, or cannot be fetched.
    """
    if not place.startswith(HUB):
        return Path(place)
    name, separator, commit = place.removeprefix(HUB).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"the model {place} is not on the hub: write {HUB}OWNER/NAME@COMMIT")
    if not separator or not re.fullmatch(COMMIT, commit):
        raise UserError(
            f"the model {place} needs the full hash of a commit (40 digits), {HUB}{name}@COMMIT, since a branch or tag "
            "may point to other files tomorrow"
        )
    with named_as(Names("the model", "the model")):
        return fetch(name, commit, _of_release)


def _of_release(files: Collection[str]) -> list[str]:
    if MANIFEST not in files:
        raise LookupError(f"no {MANIFEST}, so it is not a released model")
    others = sorted(name for name in files if PurePosixPath(name).suffix in _KINDS and name != MANIFEST)
    return [MANIFEST, *others]
