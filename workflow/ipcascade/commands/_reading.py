"""How commands read a source: several parts at a time, with a place for tables that do not fit in memory."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

import ipcascade
from ipcascade.config import Config
from ipcascade.core.paths import expanded
from ipcascade.corpus.reading import PartReader, reading
from ipcascade.sources.opening import open_source
from ipcascade.sources.options import SourceOptions


@contextmanager
def reading_source(
    config: Config, path: Path, output: Path, options: Mapping[str, Any], processes: int
) -> Iterator[PartReader]:
    """A reader of the source that a config names. path: where it is, if it is in files; output: the file to write.

    options: of the config, those that decide what is read; with what a killed run had read of others, or with other
    code, nothing is begun. Raises UserError where the source cannot be opened.
    """
    reopen = partial(open_source, config.source, path, config.corpus)
    # Hashes of texts are polars' own, which another version may compute otherwise.
    identity = {"options": dict(options), "code": _code(), "polars": pl.__version__, "pyarrow": pa.__version__}
    with reading(reopen(), scratch_folder(config.source, output), identity, reopen, processes) as reader:
        yield reader


def scratch_folder(options: SourceOptions, output: Path) -> Path:
    """A folder of this command alone: in source.scratch, or beside the output where that is null."""
    if options.scratch is None:
        return output.with_name(f".{output.name}.scratch")
    # Other runs may use the folder, too: those of other output files have other names there.
    name = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16]
    return expanded("source.scratch", options.scratch) / f"ipcascade-{name}"


def _code() -> str:
    """SHA-256 over the modules of this package."""
    digest = hashlib.sha256()
    folder = Path(ipcascade.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
