"""The measures of one epoch, as columns of the training history.

Measures of label sets are there once per kind of threshold: `fixed.*` at fixed ones, `global.*` at the best one per
level, `reference.*` at the best pair of the published grid. Measures of probabilities need none and have no prefix.
Thresholds are fitted on the documents that are measured (validation), so the columns serve to follow a training, not as
results.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import Kind, check_columns
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import best_f1_of_levels, check_probabilities
from ipcascade.evaluation.mask import predict_masked, thresholds_of_levels
from ipcascade.evaluation.metrics import flatten, label_set_measures, probability_measures
from ipcascade.evaluation.reference_h_f1 import best_on_grid, first_levels, has_reference_h_f1


def measures_of_epoch(
    truth: np.ndarray,
    scores: np.ndarray,
    tree: LabelTree,
    fixed: Mapping[str, float],
    mask_confidence: float | None,
) -> dict[str, float | None]:
    """Measures by column name.

    truth: bool, scores: float32, both [documents, labels]; fixed: one threshold per level; mask_confidence: as in
    `predict_masked`. The columns `reference.*` are of the tree of the first two levels, on which that grid is defined;
    a tree of one level has none of them. Raises UserError for a probability outside 0 to 1.
    """
    columns = flatten(probability_measures(truth, scores, tree))
    optima = best_f1_of_levels(truth, scores, tree)
    thresholds = {
        "fixed": (tree, fixed),
        "global": (tree, {level: threshold for level, (threshold, _) in optima.items()}),
    }
    if has_reference_h_f1(tree):
        thresholds["reference"] = first_levels(tree), best_on_grid(truth, scores, tree, mask_confidence).thresholds
    for method, (measured, of_levels) in thresholds.items():
        labels = slice(0, len(measured.labels))
        values = thresholds_of_levels(of_levels, measured)
        predicted = predict_masked(scores[:, labels], values, measured, mask_confidence)
        columns |= flatten(label_set_measures(truth[:, labels], predicted, measured), f"{method}.")
    return columns


def scores_by_epoch(
    table: pl.DataFrame, epochs: Sequence[int], documents: Sequence[str], tree: LabelTree, name: str
) -> Iterator[np.ndarray]:
    """The validation probabilities of each epoch, float32 [documents, labels].

    table: epoch, document_id, then one column per label; epochs, documents: those that it must have, in this order.
    Raises UserError, calling the table by its name, where it has other labels, epochs or documents.
    """
    if tuple(table.columns) != ("epoch", "document_id", *tree.labels):
        raise UserError(f"{name} has other labels than the corpus's label tree; train again")
    kinds = {"epoch": Kind.INTEGER, "document_id": Kind.TEXT, **dict.fromkeys(tree.labels, Kind.NUMBER)}
    check_columns(Path(name), table, kinds)
    found = table["epoch"].unique().sort().to_list()
    if found != list(epochs):
        raise UserError(f"{name} has the epochs {found}, not {list(epochs)}; it is of another training")
    for epoch in epochs:
        rows = table.filter(pl.col("epoch") == epoch)
        if rows["document_id"].to_list() != list(documents):
            raise UserError(
                f"{name}, epoch {epoch}: the documents are not those of the split 'val', in the order of the corpus; "
                "train again"
            )
        scores = rows.select(tree.labels).to_numpy(order="c").astype(np.float32, copy=False)
        try:
            check_probabilities(scores, tree.labels)
        except UserError as error:
            raise UserError(f"{name}, epoch {epoch}: {error}; train again") from None
        yield scores
