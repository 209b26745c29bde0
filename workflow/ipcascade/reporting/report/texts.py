"""The section on new texts: what was predicted for each table, and the matrices made from that."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import column_names, read_parquet
from ipcascade.reporting import matrix_figure
from ipcascade.reporting.captions import MATRIX, caption
from ipcascade.reporting.report.elements import (
    Cell,
    Column,
    Part,
    Section,
    Table,
    Text,
    measure,
    percent,
    read_figure,
    whole,
    with_interval,
)
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.words import capitalised, level_name, plural

_CONFIDENT = 0.5


def section(
    results: Results,
    inputs: Sequence[str],
    labelled: Sequence[str],
    matrices: Mapping[str, tuple[Sequence[str] | None, str, str]],
    levels: Sequence[str],
) -> Section:
    """Predictions of new texts and matrices.

    inputs: names of the tables; labelled: of those whose texts carry labels; matrices: name to the columns that name
    rows (None: those of the file), the count that is shown, and what the technologies are called.
    """
    parts: list[Part] = []
    if inputs:
        parts.append(
            _predictions({name: results.folder / "predictions" / f"{name}.parquet" for name in inputs}, levels)
        )
    if labelled:
        parts.append(_measured({name: results.metrics(f"inputs/{name}") for name in labelled}))
    for name, (rows, shown, technology) in matrices.items():
        stem = results.folder / "figures" / f"matrix_{name}"
        table = read_parquet(results.folder / "matrices" / f"{name}.parquet")
        named = list(rows or table.columns[: table.columns.index("technology")])
        parts.append(read_figure(f"Matrix {name}", caption(MATRIX), stem, results.folder))
        parts.append(_matrix(name, table, named, shown, technology))
    if not parts:
        parts.append(Text("No new texts were labelled: prediction.inputs in the config names tables of them."))
    return Section("texts", "New texts and matrices", parts)


def _predictions(files: Mapping[str, Path], levels: Sequence[str]) -> Table:
    rows = [[Cell(name), *_predicted(path, levels)] for name, path in files.items()]
    columns = [
        Column("Table"),
        Column("Texts", True),
        *(Column(f"Without a {level_name(level)}", True) for level in levels),
        Column("Median confidence", True),
        Column(f"Confidence below {_CONFIDENT}", True),
        Column("Median similarity", True),
        Column("Texts cut off", True),
    ]
    text = (
        "New texts. Confidence is the smallest probability of a text's labels, 0 without any; similarity is the cosine "
        "of the nearest training document. The measures above are those on patents: other texts have others."
    )
    return Table("predictions", text, columns, rows)


def _predicted(path: Path, levels: Sequence[str]) -> list[Cell]:
    """The cells of a table of texts, from its predictions, of which only a few columns are read."""
    present = column_names(path)
    scan = pl.scan_parquet(path, glob=False)
    if "confidence" not in present:  # long: a row per text and label
        return _predicted_long(scan, levels)
    asked: dict[str, pl.Expr] = {"texts": pl.len()}
    asked |= {f"without_{level}": (pl.col(level).list.len() == 0).mean() for level in levels}
    asked |= {
        "confidence": pl.col("confidence").median(),
        "unsure": (pl.col("confidence") < _CONFIDENT).mean(),
        "similarity": pl.col("similarity").median() if "similarity" in present else pl.lit(None, pl.Float64),
        "cut_off": (pl.col("cut_off") > 0).sum(),
    }
    of = scan.select(**asked).collect(engine="streaming").row(0, named=True)
    without = [percent(of[f"without_{level}"]) for level in levels]
    shares = [measure(of["confidence"]), percent(of["unsure"]), measure(of["similarity"])]
    return [whole(of["texts"]), *without, *shares, whole(of["cut_off"])]


def _predicted_long(scan: pl.LazyFrame, levels: Sequence[str]) -> list[Cell]:
    texts = scan.select(pl.col("document_id").n_unique()).collect(engine="streaming").item()
    labelled = dict(
        scan.filter(pl.col("predicted")).group_by("level").agg(pl.col("document_id").n_unique())
        .collect(engine="streaming").iter_rows()
    )  # fmt: skip
    without = [percent(1 - labelled.get(level, 0) / texts if texts else None) for level in levels]
    return [whole(texts), *without, measure(None), percent(None), measure(None), whole(None)]


def _measured(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    levels = next(iter(metrics.values()))["levels"]
    names = [(level, key) for level in levels for key in ("f1_micro", "precision_micro", "recall_micro")]
    rows = []
    for name, of in metrics.items():
        cells = [
            with_interval(of["measures"][level].get(key), of["confidence_intervals"].get(f"{level}.{key}"))
            for level, key in names
        ]
        rows.append([Cell(name), whole(of["documents"]), *cells])
    headings = [
        Column(f"{capitalised(level_name(level))} {key.removesuffix('_micro').replace('f1', 'F1')}", True)
        for level, key in names
    ]
    text = "New texts that carry labels: what the model is worth on them."
    return Table("measured-texts", text, [Column("Table"), Column("Texts", True), *headings], rows)


def _matrix(name: str, table: pl.DataFrame, rows: Sequence[str], shown: str, technology: str) -> Table:
    """A matrix as a heat map: a row per row of the matrix, a column per technology, of both the largest."""
    if shown not in table.columns:
        raise UserError(f"results/matrices/{name}.parquet has no column {shown!r}; make it again")
    matrix = matrix_figure.largest(table, rows, shown)
    totals = matrix.values.sum(axis=1, keepdims=True)
    shares = np.divide(matrix.values, totals, out=np.zeros_like(matrix.values), where=totals > 0)
    shares = shares[:, matrix.columns]
    strongest = shares.max(initial=0.0) or 1.0
    body = []
    for row in matrix.rows:
        weight = float(matrix.weights[row])
        cells = [Cell(f"{share:.1%}", share, share=share / strongest) for share in shares[row].tolist()]
        body.append([Cell(matrix.names[row]), Cell(f"{weight:,.10g}", weight), *cells])
    columns = [
        Column(", ".join(rows)),
        Column("Weight", True),
        *(Column(matrix.codes[column], True, matrix.titles[column]) for column in matrix.columns),
    ]
    text = (
        f"Matrix {name}: shares of {plural(technology)} within each row ({shown} counts), the {len(matrix.columns)} "
        f"largest of {len(matrix.codes):,} {plural(technology)} and {len(matrix.rows)} of {len(matrix.names):,} rows. "
        f"All of it is in results/matrices/{name}.csv."
    )
    return Table(f"matrix-{name}", text, columns, body, is_heat_map=True)
