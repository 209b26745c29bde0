"""A table of any size labelled: block by block, in parts that stay where a run ends before the table does.

The parts lie in a hidden folder beside the result until it is written. What is in them is known by what they were made
of: the table, the model's files, the options. Parts of anything else are removed.
"""

import hashlib
import logging
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.block_files import ParquetBlocks, read_blocks, write_blocks
from ipcascade.core.files import dump_json, read_json, write_json, write_parquet, written_whole
from ipcascade.core.progress import Progress
from ipcascade.inference.options import PredictionOptions
from ipcascade.inference.prediction import TextClassifier
from ipcascade.inference.prediction_tables import check_columns, table_of
from ipcascade.inference.texts import BLOCK_ROWS, TextTable

log = logging.getLogger(__name__)
SECONDS_PER_PART = 120.0
BLOCKS_PER_PART = 64
_PART = re.compile(r"(\d{12})-(\d{12})\.parquet")


def label_table(
    table: TextTable,
    classifier: TextClassifier,
    options: PredictionOptions,
    target: Path,
    made_of: Mapping[str, Any],
    share: tuple[int, int] = (1, 1),
    seconds_per_part: float = SECONDS_PER_PART,
) -> int:
    """Label the texts of a table and write `target` whole; return their number.

    made_of: what decides the result beside the table's content, plain data (checksums, options). share: (number, of how
    many), from 1: the whole blocks that are one job's; put together, the shares are the table, whatever their number.
    One without a block is an empty table. seconds_per_part: how often what is done is kept. Raises UserError as
    `TextTable.check`, `check_columns` and `TextClassifier.predict` do.
    """
    if options.layout == "wide":
        check_columns(table.columns, classifier.tree, table.path)
    first, stop = rows_of_share(table.check(), share)
    if first == stop:
        write_parquet(target, pl.DataFrame())
        return 0
    parts = _Parts.begin(target, {**made_of, "share": share})
    done = parts.done(first)
    if done > first:
        log.info("%s of %s texts are labelled already; the others follow", f"{done - first:,}", f"{stop - first:,}")
    with Progress("prediction", stop - first, "texts", done=done - first) as progress:
        blocks = _up_to(table.blocks(done), stop - done)
        while done < stop:
            done = parts.add(done, _labelled(blocks, classifier, options, progress), seconds_per_part)
    write_blocks(target, parts.blocks())
    parts.remove()
    return stop - first


def rows_of_share(rows: int, share: tuple[int, int]) -> tuple[int, int]:
    """The first row of a share, from 0, and the row behind its last one; blocks are dealt as equally as can be."""
    number, count = share
    blocks = -(-rows // BLOCK_ROWS)
    first, stop = ((place * blocks // count) * BLOCK_ROWS for place in (number - 1, number))
    return min(first, rows), min(stop, rows)


def _up_to(blocks: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The blocks of the next so many rows."""
    while rows > 0 and (block := next(blocks, None)) is not None:
        yield block
        rows -= len(block)


def _labelled(
    blocks: Iterator[pl.DataFrame], classifier: TextClassifier, options: PredictionOptions, progress: Progress
) -> Iterator[tuple[int, pl.DataFrame]]:
    """The number of texts of each block, and its predictions."""
    for block in blocks:
        prediction = classifier.predict(block["text"].to_list(), options.neighbours, progress.advance)
        yield len(block), table_of(block, prediction, options)


class _Parts:
    """The parts of a result that is not whole yet: Parquet files named after their first row and that behind them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def begin(cls, target: Path, made_of: Mapping[str, Any]) -> "_Parts":
        """The parts of a result; those that were made of anything else are removed."""
        folder = target.with_name(f".{target.name}.parts")
        key = hashlib.sha256(dump_json({**made_of, "block_rows": BLOCK_ROWS}).encode()).hexdigest()
        identity = folder / "identity.json"
        if not identity.is_file() or read_json(identity).get("made_of") != key:
            shutil.rmtree(folder, ignore_errors=True)
            write_json(identity, {"made_of": key})
        return cls(folder)

    def done(self, first: int) -> int:
        """The row behind the last one in parts, from the row `first` on; parts behind a gap are removed."""
        row = first
        for start, stop, path in self._files():
            if start == row:
                row = stop
            else:
                path.unlink()
        return row

    def add(self, first: int, blocks: Iterator[tuple[int, pl.DataFrame]], seconds: float) -> int:
        """Write a part from blocks, until so much time has passed or they end; return the row after its last one."""
        started, stop = time.monotonic(), first
        with written_whole(self._folder / "part.parquet") as temporary:
            writer = ParquetBlocks(temporary)
            for number, (rows, block) in enumerate(blocks, start=1):
                writer.write(block)
                stop += rows
                if time.monotonic() - started >= seconds or number == BLOCKS_PER_PART:
                    break
            writer.close()
        (self._folder / "part.parquet").replace(self._folder / f"{first:012d}-{stop:012d}.parquet")
        return stop

    def blocks(self) -> Iterator[pl.DataFrame]:
        """The blocks of all parts, in their order."""
        return chain.from_iterable(read_blocks(path) for _, _, path in self._files())

    def remove(self) -> None:
        """Remove them, once the result is whole."""
        shutil.rmtree(self._folder)

    def _files(self) -> list[tuple[int, int, Path]]:
        found = [(match, path) for path in self._folder.iterdir() if (match := _PART.fullmatch(path.name))]
        return sorted((int(match[1]), int(match[2]), path) for match, path in found)
