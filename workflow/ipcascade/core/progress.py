"""Progress with a rate and an ETA: a bar on a terminal, plain lines in a log."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm import tqdm

log = logging.getLogger("ipcascade.core.progress")
_silent = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Inside, no bar is drawn and no line is logged: for work that is too short to be waited for."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


class Progress:
    """Counts work done towards `total` (None where it is not known).

    On a terminal it draws a bar on stderr; the log gets a plain line at most every `every` seconds, and one at the end.
    Use as a context manager; `advance` adds to the count, `note` shows short facts beside the bar.
    """

    def __init__(self, task: str, total: int | None, unit: str, every: float = 30.0, done: int = 0) -> None:
        self.task, self.total, self.unit, self.every = task, total, unit, every
        self.done = self._first = done
        self._facts = ""
        self._started = self._reported = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, desc=task, unit=f" {unit}", unit_scale=True, file=sys.stderr,
            disable=_silent.get() or not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0", dynamic_ncols=True,
        )  # fmt: skip

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._bar.close()
        if error is None and not _silent.get():
            self._report()

    def advance(self, amount: int = 1) -> None:
        """Add `amount` units of finished work."""
        self.done += amount
        self._bar.update(amount)
        if time.monotonic() - self._reported >= self.every:
            self._report()

    def note(self, facts: str) -> None:
        """Show short facts (the current loss, say) beside the bar and in the next log line."""
        self._facts = facts
        self._bar.set_postfix_str(facts, refresh=False)

    def _report(self) -> None:
        self._reported = time.monotonic()
        seconds = max(self._reported - self._started, 1e-9)
        rate = (self.done - self._first) / seconds
        parts = [f"{self.task}: {self.done:,}"]
        if self.total is not None:
            parts[0] += f" of {self.total:,}"
        parts[0] += f" {self.unit}"
        parts.append(f"{rate:,.1f} {self.unit}/s")
        if self.total is not None and rate > 0 and self.done < self.total:
            parts.append(f"ETA {(self.total - self.done) / rate / 60:.1f} min")
        if self._facts:
            parts.append(self._facts)
        log.info(", ".join(parts))
