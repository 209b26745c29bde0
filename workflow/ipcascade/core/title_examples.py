"""Titles of labels as examples of these labels: short texts that are there before the first document."""

from typing import TYPE_CHECKING

from ipcascade.core.label_tree import LabelTree

if TYPE_CHECKING:
    import numpy as np


def title_examples(table: LabelTree, tree: LabelTree) -> tuple[list[str], "np.ndarray"]:
    """The titles in `table`, and the labels in `tree` of each: texts, and truth, bool [texts, labels of tree].

    table: the whole label tree; tree: its levels that are learned. A title is an example of the learned labels that it
    names or lies below; titles of labels that have learned ones below them are none, since which of these they are of
    is not known. In small letters, since many trees have capitals, which texts have not.
    Raises UserError where `tree` is not a part of `table`.
    """
    import numpy as np

    tree.check_part_of(table)
    texts, rows = [], []
    for column, title in enumerate(table.titles):
        codes = (table.labels[place] for place in (column, *table.ancestors(column)))
        learned = [tree.index[code] for code in codes if code in tree.index]
        if any(not tree.has_children[label] for label in learned):
            texts.append(title.lower())
            rows.append(learned)
    truth = np.zeros((len(texts), len(tree.labels)), dtype=bool)
    for row, learned in enumerate(rows):
        truth[row, learned] = True
    return texts, truth
