"""The corpus of a source at once, for tests of small ones."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from ipcascade.corpus.build import CorpusBuild
from ipcascade.corpus.every_text import every_text
from ipcascade.corpus.reading import PartReader, reading
from ipcascade.sources.patstat.source import _Patstat


@contextmanager
def read_by(source, processes=1, reopen=None) -> Iterator[PartReader]:
    """A reader of a source by this process, or by several, which can open it again."""
    with tempfile.TemporaryDirectory() as name, reading(source, Path(name) / "x", {}, reopen, processes) as reader:
        yield reader


def build(source, tree, options, seed, finer=None, most_bytes=1 << 30, renamed=None):
    """The corpus and its funnel."""
    with read_by(source) as reader:
        made = CorpusBuild(reader, tree, options, seed, finer, most_bytes, renamed)
        return pl.concat(list(made.documents())), made.funnel()


def build_by_processes(reopen, tree, options, seed):
    """The corpus and its funnel, read by two processes; set reading.SMALL_BYTES to 0 before."""
    with read_by(reopen(), 2, reopen) as reader:
        made = CorpusBuild(reader, tree, options, seed, None, 1 << 30)
        return pl.concat(list(made.documents())), made.funnel()


def texts_of(source, options, split_of, most_bytes=1 << 30):
    """Every text of a source."""
    with read_by(source) as reader:
        return pl.concat(list(every_text(reader, options, split_of, most_bytes)))


def rows_of(delivery, table, columns, counts=None):
    """The rows of all parts of a table of a PATSTAT delivery, in batches; checked, and added to the counts."""
    source = _Patstat(delivery, "ipc", [])
    for part in range(len(delivery.parts(table))):
        yield from delivery.read(table, part, columns, source)
    source.complete(source.reads)
    if counts is not None:
        counts.update(source.counts)
