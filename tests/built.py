"""The corpus of a source at once, for tests of small ones."""

import tempfile
from pathlib import Path

import polars as pl

from ipcascade.corpus.build import CorpusBuild
from ipcascade.corpus.every_text import every_text
from ipcascade.corpus.scratch import scratch_in


def build(source, tree, options, seed, finer=None, most_bytes=1 << 30):
    """The corpus and its funnel."""
    with tempfile.TemporaryDirectory() as folder, scratch_in(Path(folder) / "scratch") as scratch:
        made = CorpusBuild(source, tree, options, seed, finer, scratch, most_bytes)
        return pl.concat(list(made.documents())), made.funnel()


def texts_of(source, options, split_of):
    """Every text of a source."""
    with tempfile.TemporaryDirectory() as folder, scratch_in(Path(folder) / "scratch") as scratch:
        return pl.concat(list(every_text(source, options, split_of, scratch)))
