"""New texts that carry labels: read as users write them, fitted to the label tree."""

import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.strict_csv import shown

log = logging.getLogger(__name__)
# Blanks separate codes unless what follows is the group of an IPC symbol: "H04L 9/00" is one.
_BETWEEN = re.compile(r"\s*[;,|]\s*|\s+(?!\d+/)")


def true_labels(values: pl.Series, tree: LabelTree, where: Path) -> tuple[np.ndarray, np.ndarray]:
    """The labels of texts with all their ancestors, bool [texts, labels], and which texts have any, bool [texts].

    values: a list of codes per text, or text in which ; , | or blanks separate them. A code may be of any level, or the
    symbol of something below it ("H04L 9/00"). Codes that the tree does not have do not count; the log says how many.
    Raises UserError where the column is of another type, or no text has a label of the tree.
    """
    if values.dtype == pl.List(pl.String):
        rows = values.to_list()
    elif values.dtype == pl.String:
        rows = [_BETWEEN.split(text.strip()) if text else [] for text in values.to_list()]
    else:
        raise UserError(f"{where}: the column {values.name!r} holds {values.dtype}; labels are text or lists of text")
    truth = np.zeros((len(rows), len(tree.labels)), dtype=bool)
    unknown: Counter[str] = Counter()
    for row, codes in enumerate(rows):
        for code in filter(None, codes or []):
            column = tree.index.get(code, tree.leaf_of(code))
            if column is None:
                unknown[code] += 1
            else:
                truth[row, column] = True
    has_labels: np.ndarray = np.any(truth, axis=1)
    if not has_labels.any():
        example = f"; {shown(next(iter(unknown)))} is one" if unknown else ", which is empty"
        raise UserError(f"{where}: no text has a label of the label tree in the column {values.name!r}{example}")
    if unknown:
        log.warning(
            "%d labels are not in the label tree and do not count, %s among them",
            unknown.total(), shown(unknown.most_common(1)[0][0]),
        )  # fmt: skip
    return tree.close(truth), has_labels
