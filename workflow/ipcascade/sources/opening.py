"""Which source a config names."""

from collections.abc import Sequence
from pathlib import Path

from ipcascade.sources.base import Source
from ipcascade.sources.options import SourceOptions
from ipcascade.sources.patstat.source import open_patstat
from ipcascade.sources.table import open_table


def open_source(options: SourceOptions, path: Path, fields: Sequence[str]) -> Source:
    """The source of documents at a path, with some fields of the text. Raises UserError where it cannot be opened."""
    if options.kind == "table":
        return open_table(path, options.table)
    return open_patstat(path, titles="title" in fields)
