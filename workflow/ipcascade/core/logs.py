"""Where the messages of a command go: to stderr, and with all details to its log file."""

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("ipcascade")
_UNWRITTEN = "the log file %s could not be written: %s"


@contextmanager
def logging_to(path: Path | None) -> Iterator[None]:
    """Warnings, errors and facts to stderr; with `path` to that file, too, and every progress line and cause of errors.

    On a terminal progress is a bar, so its plain lines stay out of stderr there. Of several ranks the first reports
    everything; of the others only errors are shown. A log file for which the disk has no space stops no command.
    """
    rank, launched = int(os.environ.get("RANK", "0")), "RANK" in os.environ
    screen = _Screen(sys.stderr)
    screen.setLevel(logging.INFO if rank == 0 else logging.ERROR)
    if rank:
        screen.setFormatter(logging.Formatter(f"rank {rank}: %(message)s"))
    if sys.stderr.isatty():
        screen.addFilter(lambda record: not record.name.endswith(".progress"))
    handlers: list[logging.Handler] = [screen]
    no_space = None
    if path is not None and rank == 0:
        try:
            handlers.append(_LogFile(path, keep=launched))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            no_space = error
    level, propagate, before = log.level, log.propagate, log.handlers[:]
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers[:] = handlers
    if no_space is not None:
        log.warning(_UNWRITTEN, path, no_space.strerror)
    try:
        yield
    finally:
        log.setLevel(level)
        log.propagate = propagate
        log.handlers[:] = before
        for handler in handlers:
            handler.close()


class _Screen(logging.StreamHandler):
    """To a screen, or where it is redirected to. A line that cannot be written is lost; logging prints a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Do nothing: there is no place left to say it."""


class _LogFile(logging.Handler):
    """To a file, without a buffer. Where the disk is full, says so once on the screen; the command goes on."""

    def __init__(self, path: Path, keep: bool) -> None:
        """keep: whether lines that are there stay."""
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
        self._path = path
        self._file: io.FileIO | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        if not keep:
            path.write_bytes(b"")
        # Always at the end, since the process that launched the ranks and the first of them write to it in turns.
        self._file = path.open("ab", buffering=0)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if self._file is None:
            return
        try:
            self._file.write(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except OSError as error:
            self.close()
            log.warning(_UNWRITTEN, self._path, error.strerror)

    def close(self) -> None:
        """Close the file; what is logged from now on does not go to it."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # on network disks a write may fail as late as here
                file.close()
        super().close()
