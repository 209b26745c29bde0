"""The config as it is run, in one file that every command reads.

Rules cannot have the file as an input: it would run all of them again, or as an `ancient` input none of them, whatever
else has changed (Snakemake 9.27 looks for no other reason in what depends on a job that runs). So it is brought up to
date when a run starts, and no other run in the folder may then change it.
"""

import fcntl
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ipcascade import config as settings
from ipcascade.core.errors import UserError

LOCK = Path(".snakemake/ipcascade-config.lock")


def write(config: settings.Config, path: Path) -> None:
    """Write a config to its file, whole or not at all, and not where the file holds it already.

    Raises UserError where it cannot be written.
    """
    if _holds(path, config):
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        settings.write(config, temporary)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise UserError(f"{path} could not be written: {error.strerror}") from error


def hold(configs: Mapping[Path, settings.Config], report: Callable[[str], None]) -> None:
    """Write configs to their files, and keep other processes from changing them until this one ends.

    report: gets a sentence where the file system has no locks.
    Raises UserError where another process holds the files with other configs, and where one cannot be written.
    """
    lock = None  # never closed here, and closed by the kernel with the process
    try:
        LOCK.parent.mkdir(exist_ok=True)
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not all(_holds(path, config) for path, config in configs.items()):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            "another Snakemake runs in this folder with another config; wait for it, or use a folder of its own "
            "(--directory)"
        ) from None
    except OSError as error:
        report(f"{LOCK} cannot be locked ({error.strerror}): start no run with another config in this folder meanwhile")
        lock = None
    for path, config in configs.items():
        write(config, path)
    if lock is not None:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _holds(path: Path, config: settings.Config) -> bool:
    try:
        return path.exists() and settings.read(path) == config
    except UserError:  # of an earlier version, or broken
        return False
