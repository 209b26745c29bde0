"""Paths as users write them."""

from pathlib import Path

from ipcascade.core.errors import UserError


def expanded(key: str, path: str | Path) -> Path:
    """A path from the config or the command line, in which a `~` at the start is a home folder; `key` names it.

    Raises UserError where there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(
            f"{key} is {str(path)!r}, and its ~ is not the home folder of a known user; write the path in full"
        ) from None
