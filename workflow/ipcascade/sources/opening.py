"""Which source a config names."""

from collections.abc import Sequence
from pathlib import Path

from ipcascade.core.classifications import Classification
from ipcascade.sources.base import Source
from ipcascade.sources.options import SourceOptions
from ipcascade.sources.patentsview.source import open_patentsview
from ipcascade.sources.patstat.source import open_patstat
from ipcascade.sources.table import open_table


def open_source(options: SourceOptions, path: Path, fields: Sequence[str], classification: Classification) -> Source:
    """The source of documents at a path, with some fields of the text and labels of a classification.

    Raises UserError where it cannot be opened.
    """
    if options.kind == "patentsview":
        return open_patentsview(path, fields, classification)
    if options.kind == "table":
        return open_table(path, options.table)
    return open_patstat(path, "title" in fields, classification)
