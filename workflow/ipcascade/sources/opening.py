"""Which source a config names."""

from pathlib import Path

from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.base import Source
from ipcascade.sources.options import SourceOptions
from ipcascade.sources.patentsview.source import open_patentsview
from ipcascade.sources.patstat.source import open_patstat, open_postgres
from ipcascade.sources.table import open_table


def open_source(options: SourceOptions, path: Path, corpus: CorpusOptions) -> Source:
    """The source of documents that a config names; path: where it is, if it is in files.

    Raises UserError where it cannot be opened.
    """
    if options.kind == "patstat_sql":
        return open_postgres(options.postgres, corpus)
    if options.kind == "patentsview":
        return open_patentsview(path, corpus.text, corpus.classification, options.malformed_share)
    if options.kind == "table":
        return open_table(path, options.table)
    return open_patstat(path, "title" in corpus.text, corpus.classification, malformed_share=options.malformed_share)
