"""The concordance from IPC to NACE Rev. 2 that comes with a PATSTAT delivery, in its table tls902_ipc_nace2.

A row says that an application with the symbol `ipc` belongs to the industry `nace2_code` with a weight, unless it also
has `not_with_ipc` (and lacks `unless_with_ipc`). Symbols are subclasses, or main groups of a few subclasses.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from ipcascade.core.errors import UserError
from ipcascade.sources.patstat.delivery import Part, find, open_part

TABLE = "tls902"
_COLUMNS = ("ipc", "not_with_ipc", "nace2_code", "nace2_weight", "nace2_descr")
_SUBCLASS = 4  # characters


def nace_files(folder: Path) -> list[Path]:
    """The files on disk that hold the table. Raises UserError where the delivery lacks it."""
    return sorted({part.disk for part in find(folder, (TABLE,)).parts[TABLE]})


def read_nace(folder: Path) -> tuple[dict[str, dict[str, tuple[float, str]]], int]:
    """By subclass and NACE code, weight and title; and the number of rows with a condition.

    A model knows no main groups, nor what a condition is about, so a subclass is shared out by the weights of its rows:
    each pair of a symbol and a code counts once, whatever its conditions. Raises UserError, naming the line, for what
    is wrong.
    """
    weights: dict[tuple[str, str], float] = {}
    titles: dict[str, str] = {}
    conditions = 0
    for part in find(folder, (TABLE,)).parts[TABLE]:
        for where, row in _rows(part):
            conditions += bool(row["not_with_ipc"])
            if not row["nace2_code"]:  # symbols of no industry
                continue
            try:
                weight = float(row["nace2_weight"])
            except ValueError:
                weight = -1.0
            if len(row["ipc"]) < _SUBCLASS or not 0 < weight < float("inf"):
                raise UserError(f"{where}: {row['ipc']!r} with the weight {row['nace2_weight']!r} is no row of {TABLE}")
            weights[row["ipc"], row["nace2_code"]] = weight
            titles.setdefault(row["nace2_code"], row["nace2_descr"] or row["nace2_code"])
    found: dict[str, dict[str, tuple[float, str]]] = {}
    for (ipc, code), weight in weights.items():
        of_subclass = found.setdefault(ipc[:_SUBCLASS], {})
        of_subclass[code] = of_subclass.get(code, (0.0, ""))[0] + weight, titles[code]
    if not found:
        raise UserError(f"{folder}: {TABLE} has no row with an industry; fetch it again")
    for of_subclass in found.values():
        total = sum(weight for weight, _ in of_subclass.values())
        of_subclass |= {code: (weight / total, title) for code, (weight, title) in of_subclass.items()}
    return found, conditions


def _rows(part: Part) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a part, stripped, each with where it is."""
    with open_part(part) as (stream, _):
        try:
            reader = csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), strict=True)
            names = {name.lower(): name for name in reader.fieldnames or ()}
            if missing := [name for name in _COLUMNS if name not in names]:
                raise UserError(f"{part} lacks the column {missing[0]!r}; fetch the file again")
            for row in reader:
                where = f"{part}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise UserError(f"{where}: the row has not as many values as the header; fetch the file again")
                yield where, {name: row[names[name]].strip() for name in _COLUMNS}
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{part} could not be read: {error}; fetch the file again") from error
