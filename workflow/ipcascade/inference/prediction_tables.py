"""Predictions as tables: the columns, and the files that they are written to, block by block."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.documents import label_lists
from ipcascade.core.errors import UserError
from ipcascade.core.files import table_metadata, written_whole
from ipcascade.core.label_tree import LabelTree
from ipcascade.inference.options import Layout
from ipcascade.inference.prediction import Prediction

SEPARATOR = ";"
"""Between the codes, or ids, of a list in a CSV."""
ENDINGS = (".parquet", ".csv")


def check_columns(columns: Sequence[str], tree: LabelTree, where: Path) -> None:
    """Raise UserError where a column of a user's table has the name of one that predictions add."""
    taken = {*tree.levels, "confidence", "cut_off", "neighbours", "similarity", *tree.labels}
    for name in columns:
        if name in taken:
            raise UserError(
                f"{where}: its column {name!r} has the name of a column of the predictions; rename it, or set "
                "prediction.layout: long, which keeps no other columns"
            )


def table_of(texts: pl.DataFrame, prediction: Prediction, layout: Layout, floor: float) -> pl.DataFrame:
    """The predictions of a block of texts.

    wide: a row per text, with the columns of the input but its text. long: a row per text and label that is predicted
    or has at least the probability `floor`, the most probable first.
    """
    return _wide(texts, prediction) if layout == "wide" else _long(texts["document_id"], prediction, floor)


def _wide(texts: pl.DataFrame, prediction: Prediction) -> pl.DataFrame:
    others = [name for name in texts.columns if name not in ("document_id", "text")]
    columns = {name: texts[name] for name in ("document_id", *others)}
    columns |= label_lists(prediction.predicted, prediction.tree)
    columns |= {
        "confidence": pl.Series(prediction.confidences, dtype=pl.Float32),
        "cut_off": pl.Series(prediction.cut_off, dtype=pl.Float32),
    }
    if prediction.neighbours is not None and prediction.similarities is not None:
        columns["neighbours"] = pl.Series(prediction.neighbours, dtype=pl.List(pl.String))
        columns["similarity"] = pl.Series(prediction.similarities.max(axis=1, initial=-1.0), dtype=pl.Float32)
    columns |= {
        code: pl.Series(prediction.probabilities[:, column]) for column, code in enumerate(prediction.tree.labels)
    }
    return pl.DataFrame(columns)


def _long(ids: pl.Series, prediction: Prediction, floor: float) -> pl.DataFrame:
    tree = prediction.tree
    levels = np.repeat(np.array(tree.levels, dtype=object), tree.sizes)
    row, column = np.nonzero(prediction.predicted | (prediction.probabilities >= floor))
    probability = prediction.probabilities[row, column]
    order = np.lexsort((column, -probability, row))
    row, column = row[order], column[order]
    return pl.DataFrame(
        {
            "document_id": ids.gather(row),
            "level": pl.Series(levels[column].tolist(), dtype=pl.String),
            "label": pl.Series(np.array(tree.labels, dtype=object)[column].tolist(), dtype=pl.String),
            "probability": pl.Series(probability[order], dtype=pl.Float32),
            "predicted": pl.Series(prediction.predicted[row, column], dtype=pl.Boolean),
        }
    )


class _Writer(Protocol):
    def write(self, block: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


class ParquetBlocks:
    """A Parquet file with a row group per block. The first block says which columns there are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, block: pl.DataFrame) -> None:
        """Add a block."""
        table = block.to_arrow(compat_level=pl.CompatLevel.oldest()).replace_schema_metadata(table_metadata({}))
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=max(1, len(table)))

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


class _CsvBlocks:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._header = True

    def write(self, block: pl.DataFrame) -> None:
        joined = [
            pl.col(name).cast(pl.List(pl.String)).list.join(SEPARATOR, ignore_nulls=True)
            for name, kind in block.schema.items()
            if isinstance(kind, pl.List)
        ]
        block.with_columns(joined).write_csv(self._file, include_header=self._header)
        self._header = False

    def close(self) -> None:
        self._file.close()


def write_blocks(path: Path, blocks: Iterable[pl.DataFrame]) -> None:
    """Write the blocks of a table whole, as Parquet or CSV by the ending of the path.

    Lists are joined with `SEPARATOR` in a CSV. Raises UserError for a column that a CSV cannot hold.
    """
    with written_whole(path) as temporary:
        writer: _Writer = _CsvBlocks(temporary) if path.suffix.lower() == ".csv" else ParquetBlocks(temporary)
        try:
            for block in blocks:
                writer.write(block)
        except (pl.exceptions.ComputeError, pa.ArrowException) as error:
            raise UserError(f"{path} cannot be written: {str(error).splitlines()[0]}; write .parquet") from error
        finally:
            writer.close()
