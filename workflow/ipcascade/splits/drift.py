"""Drift: by how much the labels of val and test differ from those that the model is trained on.

Memory: a row per label that a document has, beside the matrix of labels that is given.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SCORED_SPLITS, SPLITS
from ipcascade.core.random_streams import stream

MOVED_LABELS = 10
"""Labels that are named, the ones whose share moved most."""
RANDOM_SPLITS = 20
"""How many splits by chance tell which drift is none."""


def drift(
    truth: np.ndarray, group_of: np.ndarray, split_of: np.ndarray, tree: LabelTree, seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """By level, then for val and test: how far the labels of the split are from those of train.

    truth: bool [documents, labels]; group_of: int [documents], the group of each document, counted from 0;
    split_of: int [documents], positions in SPLITS.

    The share p_s(l) of a label l in split s is the number of documents of s with l, divided by the sum of these numbers
    over all labels of the level.
    - total_variation: ½ Σ_l |p_s(l) - p_train(l)|, from 0 (equal) to 1 (no label in common): the part of the labels
      that would have to be others (total variation distance; Levin, Peres and Wilmer, Markov Chains and Mixing Times,
      2009, proposition 4.2). None where train or the split has no labels of the level;
    - total_variation_by_chance: the mean of the same over `RANDOM_SPLITS` random splits with as many groups each. It is
      not 0, since small splits differ by chance, too;
    - moved_labels: the `MOVED_LABELS` labels with the largest |p_s(l) - p_train(l)|, with both shares;
    - untrained_labels: labels of the split without a training document, and how many documents of the split have them.
    """
    carriers = csr_array(truth).astype(np.int64)
    counts = _counts(carriers, split_of)
    by_chance = [_counts(carriers, shuffled) for shuffled in _random_splits(group_of, split_of, seed)]
    train = SPLITS.index("train")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for level, columns in tree.columns.items():
        found[level] = {}
        for name in SCORED_SPLITS:
            other = SPLITS.index(name)
            of_chance = [total_variation(random[train, columns], random[other, columns]) for random in by_chance]
            defined = [value for value in of_chance if value is not None]
            found[level][name] = {
                "total_variation": total_variation(counts[train, columns], counts[other, columns]),
                "total_variation_by_chance": float(np.mean(defined)) if defined else None,
                **_labels(name, counts[train, columns], counts[other, columns], tree.codes(level)),
            }
    return found


def total_variation(one: np.ndarray, other: np.ndarray) -> float | None:
    """The total variation distance of two distributions, from 0 to 1, each given as counts, int [labels].

    None where one of them has only zeros.
    """
    if not one.any() or not other.any():
        return None
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)


def _counts(carriers: csr_array, split_of: np.ndarray) -> np.ndarray:
    """int [splits, labels]: documents with each label; carriers: int [documents, labels], split_of: int [documents]."""
    documents = len(split_of)
    members = csr_array(
        (np.ones(documents, dtype=np.int64), (split_of, np.arange(documents))), (len(SPLITS), documents)
    )
    return (members @ carriers).toarray()


def _random_splits(group_of: np.ndarray, split_of: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Splits of documents, int [documents], in which the groups have changed places."""
    of_group = np.zeros(group_of.max() + 1, dtype=np.int64)
    of_group[group_of] = split_of
    random = stream(seed, "splits", "drift")
    return (random.permutation(of_group)[group_of] for _ in range(RANDOM_SPLITS))


def _labels(name: str, train: np.ndarray, other: np.ndarray, codes: tuple[str, ...]) -> dict[str, Any]:
    """moved_labels and untrained_labels of a split; train, other: int [labels], documents of train and of it."""
    shares = np.stack([counts / max(counts.sum(), 1) for counts in (train, other)])
    moved = np.abs(shares[1] - shares[0])
    order = [label for label in np.argsort(-moved, kind="stable")[:MOVED_LABELS].tolist() if moved[label] > 0]
    untrained = np.flatnonzero((train == 0) & (other > 0)).tolist()
    return {
        "moved_labels": [
            {"label": codes[label], "train": float(shares[0, label]), name: float(shares[1, label])} for label in order
        ],
        "untrained_labels": {codes[label]: int(other[label]) for label in untrained},
    }
