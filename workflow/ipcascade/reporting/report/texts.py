"""The section on new texts: what was predicted for each table, and the matrices made from that."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import read_parquet
from ipcascade.inference.options import PredictionOptions
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
from ipcascade.reporting.words import capitalised, count, level_name, plural

MOST_NAMED = 20


def section(
    results: Results,
    options: PredictionOptions,
    matrices: Mapping[str, tuple[Sequence[str] | None, str, str]],
    levels: Sequence[str],
) -> Section:
    """Predictions of new texts and matrices.

    matrices: name to the columns that name rows (None: those of the file), the count that is shown, and what the
    technologies are called.
    """
    parts: list[Part] = []
    if options.inputs:
        parts.append(_predictions(results, options, levels))
    if options.labels:
        parts.append(_measured({name: results.metrics(f"inputs/{name}") for name in options.labels}))
    for name, (rows, shown, technology) in matrices.items():
        stem = results.folder / "figures" / f"matrix_{name}"
        table = read_parquet(results.folder / "matrices" / f"{name}.parquet")
        named = list(rows or table.columns[: table.columns.index("technology")])
        parts.append(read_figure(f"Matrix {name}", caption(MATRIX), stem, results.folder))
        parts.append(_matrix(name, table, named, shown, technology))
        if shared := results.shared_out(name):
            named_labels = ", ".join([*shared[:MOST_NAMED], *(["…"] if len(shared) > MOST_NAMED else [])])
            parts.append(
                Text(
                    f"The concordance of {name} divides what the model does not: {count(len(shared), 'label')} "
                    f"({named_labels}) are shared out by the training documents of the labels below."
                )
            )
    if not parts:
        parts.append(Text("No new texts were labelled: prediction.inputs in the config names tables of them."))
    return Section("texts", "New texts and matrices", parts)


def _predictions(results: Results, options: PredictionOptions, levels: Sequence[str]) -> Table:
    rows = [[Cell(name), *_predicted(results.predictions(name), levels)] for name in options.inputs]
    columns = [
        Column("Table"),
        Column("Texts", True),
        *(Column(f"Without a {level_name(level)}", True) for level in levels),
        Column("Median confidence", True),
        Column("Confidence below 0.5", True),
        Column("Median similarity", True),
        Column("Texts cut off", True),
        Column("Not classifiable", True),
    ]
    text = (
        "New texts. Confidence is the smallest probability of a text's labels, 0 without any; similarity is the cosine "
        "of the nearest training document. Not classifiable are those with a confidence below "
        f"{options.least_confidence:g} or a similarity below {options.least_similarity:g}. The measures above are "
        "those on patents: other texts have others. Of a long table (prediction.layout) nothing is known."
    )
    return Table("predictions", text, columns, rows)


def _predicted(facts: Mapping[str, Any], levels: Sequence[str]) -> list[Cell]:
    """The cells of a table of texts."""

    def share(number: int | None) -> Cell:
        return percent(None if number is None or not facts["texts"] else number / facts["texts"])

    return [
        whole(facts["texts"]),
        *(share(facts["without_label"].get(level)) for level in levels),
        measure(facts["median_confidence"]),
        share(facts["unsure"]),
        measure(facts["median_similarity"]),
        whole(facts["cut_off"]),
        whole(facts["unclassifiable"]),
    ]


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
