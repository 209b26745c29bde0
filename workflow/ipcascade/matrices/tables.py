"""From a file of predictions to units and their counts, and from counts to tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, Kind, column_names, read_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.matrices.counts import MEASURES, Block, Counts, Units
from ipcascade.matrices.options import MatrixOptions, Measure

UNIT = "document_id"
CLASSIFIABLE = "classifiable"
UNCLASSIFIABLE = ("not classifiable", "texts below prediction.least_confidence or least_similarity")
"""The technology, with its title, of texts that are not classifiable, where there are some."""
ROWS_AT_ONCE = 16_384
OWN_COLUMNS = ("technology", "title", "units", "weight", *MEASURES)


def read_units(predictions: Path, options: MatrixOptions) -> tuple[pl.DataFrame, Units]:
    """The rows of the matrix, a table of the columns that name them, and the units in them.

    Rows are in the order of their values, those of single units in the order of the table. Raises UserError where a
    column is missing, a weight is not a finite number of at least 0, or a unit has two values of one.
    """
    taken = [name for name in options.by if name in OWN_COLUMNS]
    if taken:
        raise UserError(
            f"{predictions}: its column {taken[0]!r} has the name of a column that matrices add; rename it in the "
            "table of texts"
        )
    keys = [options.unit or UNIT]
    others = [*options.by, *([options.weight] if options.weight else [])]
    present = column_names(predictions)
    for name in (*keys, *others):
        if name not in present:
            own = ", ".join(present[: present.index("confidence")]) if "confidence" in present else ", ".join(present)
            raise UserError(f"{predictions} has no column {name!r}; of the table of texts it has {own}")
    table = pl.read_parquet(predictions, columns=list(dict.fromkeys([*keys, *others])), glob=False)
    if options.weight:
        table = table.with_columns(_numbers(table[options.weight], predictions).alias("_weight"))
    unit, columns = keys[0], list(dict.fromkeys(others))
    if table[unit].null_count() or (table[unit].cast(pl.String) == "").any():
        raise UserError(f"{predictions}: the column {unit!r} is empty in some rows, which then belong to no unit")
    for name in columns:
        differing = table.group_by(unit, maintain_order=True).agg(pl.col(name).n_unique()).filter(pl.col(name) > 1)
        if len(differing):
            raise UserError(
                f"{predictions}: the unit {differing[unit][0]!r} has {differing[name][0]} values of {name!r}; a unit "
                "must have one"
            )
    firsts = table.unique(unit, keep="first", maintain_order=True)
    number = firsts.select(unit).with_row_index("_unit")
    unit_of = table.select(unit).join(number, on=unit, how="left", maintain_order="left")["_unit"]
    if options.by:
        rows = firsts.select(options.by).unique(maintain_order=True).sort(options.by, nulls_last=True)
    else:
        rows = firsts.select(unit)
    place = rows.with_row_index("_row")
    row_of = firsts.join(place, on=rows.columns, how="left", nulls_equal=True, maintain_order="left")["_row"]
    weights = firsts["_weight"].to_numpy() if options.weight else np.ones(len(firsts))
    return rows, Units(
        unit_of.to_numpy().astype(np.int64), row_of.to_numpy().astype(np.int64), weights.astype(np.float64), len(rows)
    )


def _numbers(values: pl.Series, path: Path) -> pl.Series:
    """A column of weights as numbers; those of a CSV are text."""
    numbers = values.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() | ~numbers.is_finite() | (numbers < 0)
    if wrong.fill_null(True).any():
        shown = values.filter(wrong.fill_null(True))[0]
        raise UserError(
            f"{path}: the column {values.name!r} has {shown!r}, which is no weight: a number of at least 0, as 1234.5"
        )
    return numbers


def read_blocks(predictions: Path, tree: LabelTree, level: str) -> Iterator[Block]:
    """The predicted labels and probabilities of a level, some texts at a time."""
    codes = tree.codes(level)
    column_of = {code: column for column, code in enumerate(codes)}
    with pq.ParquetFile(predictions, pre_buffer=False) as file:  # else all that was read stays in memory
        missing = [name for name in (level, *codes) if name not in file.schema_arrow.names]
        if missing:
            raise UserError(f"{predictions} lacks the column {missing[0]!r}; {MAKE_AGAIN}")
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=[level, *codes]):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            predicted = np.zeros((len(frame), len(codes)), dtype=bool)
            for row, labels in enumerate(frame[level].to_list()):
                predicted[row, [column_of[code] for code in labels]] = True
            yield Block(predicted, frame.select(codes).to_numpy())


def read_classifiable(predictions: Path) -> np.ndarray:
    """bool [texts]: which texts are classifiable; all of them, where the predictions were made without this column."""
    if CLASSIFIABLE not in column_names(predictions):
        return np.ones(pq.read_metadata(predictions).num_rows, dtype=bool)
    return read_parquet(predictions, {CLASSIFIABLE: Kind.FLAG})[CLASSIFIABLE].to_numpy()


def long_table(
    rows: pl.DataFrame, units: Units, counts: Counts, technologies: Sequence[tuple[str, str]], floor: float
) -> pl.DataFrame:
    """A row per row of the matrix and technology, with the counts and, where there are some, their intervals.

    technologies: (code, title), as the columns of the counts. Left out is what no unit has predicted and of which fewer
    than `floor` are expected.
    """
    values = counts.values
    row, column = np.nonzero((values["whole"] > 0) | (values["expected"] >= floor))
    codes, titles = zip(*technologies, strict=True)
    columns = {name: rows[name].gather(row) for name in rows.columns}
    columns |= {
        "technology": pl.Series(codes, dtype=pl.String).gather(column),
        "title": pl.Series(titles, dtype=pl.String).gather(column),
        "units": pl.Series(units.sizes).gather(row),
        "weight": pl.Series(units.totals).gather(row),
    }
    for measure in MEASURES:
        columns[measure] = pl.Series(values[measure][row, column])
        if counts.low and counts.high:
            columns[f"{measure}_low"] = pl.Series(counts.low[measure][row, column])
            columns[f"{measure}_high"] = pl.Series(counts.high[measure][row, column])
    return pl.DataFrame(columns)


def wide_table(
    rows: pl.DataFrame, units: Units, counts: Counts, technologies: Sequence[tuple[str, str]], measure: Measure
) -> pl.DataFrame:
    """A row per row of the matrix, with its units, their weight and a column per technology: one measure."""
    sizes = {"units": pl.Series(units.sizes), "weight": pl.Series(units.totals)}
    columns = {code: pl.Series(counts.values[measure][:, column]) for column, (code, _) in enumerate(technologies)}
    return pl.DataFrame({name: rows[name] for name in rows.columns} | sizes | columns)
