"""Where the messages of a command go: to stderr, and with all details to its log file."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("ipcascade")


@contextmanager
def logging_to(path: Path | None) -> Iterator[None]:
    """Warnings, errors and facts to stderr; with `path` to that file, too, and every progress line and cause of errors.

    On a terminal progress is a bar, so its plain lines stay out of stderr there. Of several ranks the first reports
    everything; of the others only errors are shown.
    """
    rank, launched = int(os.environ.get("RANK", "0")), "RANK" in os.environ
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.INFO if rank == 0 else logging.ERROR)
    if rank:
        screen.setFormatter(logging.Formatter(f"rank {rank}: %(message)s"))
    if sys.stderr.isatty():
        screen.addFilter(lambda record: not record.name.endswith(".progress"))
    handlers: list[logging.Handler] = [screen]
    if path is not None and rank == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not launched:
            path.write_bytes(b"")
        # Always at the end, since the process that launched the ranks and the first of them write to it in turns.
        file = logging.FileHandler(path, mode="a", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
        handlers.append(file)
    level, propagate, before = log.level, log.propagate, log.handlers[:]
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers[:] = handlers
    try:
        yield
    finally:
        log.setLevel(level)
        log.propagate = propagate
        log.handlers[:] = before
        for handler in handlers:
            handler.close()
