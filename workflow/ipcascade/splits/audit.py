"""Measure a split, whoever made it: sizes, distances of label distributions, missing labels, drift, leakage.

Memory: one byte per document and label; pairs of labels are counted sparsely, so it grows with the pairs that occur
together, not with the square of the labels.
"""

from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array, triu

from ipcascade.core.documents import truth_of
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.corpus.text import normalise
from ipcascade.splits.drift import drift
from ipcascade.splits.filings import OFFICE, YEAR, filings_by_split
from ipcascade.splits.options import SplitOptions


def audit(
    corpus: pl.DataFrame, split_of: pl.Series, tree: LabelTree, options: SplitOptions, seed: int
) -> dict[str, Any]:
    """Measure a split: `split_of` names the split of every row of `corpus`.

    With N documents, N_s of them in split s, n(l) and n_s(l) those that have the label l:
    - size_error of a split: N_s / N less the share asked for; by office test is as large as it is, and train and val
      are asked for what it leaves, in their ratio;
    - label_distribution_distance, by level: the mean over splits and labels in the corpus of
      |n_s(l) / N_s - n(l) / N|; 0 for a level without labels;
    - label_pair_distribution_distance: the same over the pairs of labels that occur together, without those of a label
      and its ancestors, which always do.
    These are the distances of Szymański and Kajdanowicz (2017) on proportions instead of odds, which are infinite for
    a label that every document has.
    - missing_labels: by split and level, labels of the corpus without a document in the split;
    - drift: how the labels of val and test differ from those of train (`drift.drift`);
    - first_filings: years and offices of each split (`filings.filings_by_split`), where the corpus has these columns;
    - groups_in_several_splits, texts_in_several_splits: leakage, counted again from the rows; texts are compared by
      their letters and digits after NFKC, without regard to case. Both are 0 for a sound split.
    """
    truth = truth_of(corpus, tree)
    masks = {name: (split_of == name).to_numpy() for name in SPLITS}
    groups = pl.DataFrame({"key": corpus["group_id"], "split": split_of})
    group_of = np.unique(corpus["group_id"].to_numpy(), return_inverse=True)[1]
    places = split_of.replace_strict(list(SPLITS), range(len(SPLITS)), return_dtype=pl.Int64).to_numpy()
    asked = _asked_shares(options, float(masks["test"].mean()))
    texts = pl.DataFrame({"key": [normalise(text) for text in corpus["text"]], "split": split_of})
    facts = {
        "splits": {
            name: {
                "groups": corpus.filter(pl.Series(mask))["group_id"].n_unique(),
                "size_error": float(mask.mean() - asked[name]),
                **_size_and_labels(truth, mask, tree),
            }
            for name, mask in masks.items()
        },
        "label_distribution_distance": _label_distances(truth, masks, tree),
        "label_pair_distribution_distance": _pair_distance(truth, masks, tree),
        "missing_labels": {name: _missing_labels(truth, mask, tree) for name, mask in masks.items()},
        "drift": drift(truth, group_of, places, tree, seed),
        "groups_in_several_splits": _in_several_splits(groups),
        "texts_in_several_splits": _in_several_splits(texts),
    }
    if {YEAR, OFFICE} <= set(corpus.columns):
        facts["first_filings"] = filings_by_split(corpus, split_of)
    return facts


def _asked_shares(options: SplitOptions, test: float) -> dict[str, float]:
    """The share asked for of each split; test: its share as it is."""
    if options.by != "office":
        return {name: getattr(options, name) for name in SPLITS}
    left = (1 - test) / (options.train + options.val)
    return {"train": options.train * left, "val": options.val * left, "test": test}


def _size_and_labels(truth: np.ndarray, mask: np.ndarray, tree: LabelTree) -> dict[str, Any]:
    """Size of the split that a mask (bool [documents]) selects, and its labels by level."""
    documents = int(mask.sum())
    of_split = truth[mask].sum(axis=0)
    return {
        "documents": documents,
        "share": float(mask.mean()),
        "labels_present": {level: int((of_split[columns] > 0).sum()) for level, columns in tree.columns.items()},
        "mean_labels_per_document": {
            level: float(of_split[columns].sum() / max(documents, 1)) for level, columns in tree.columns.items()
        },
    }


def _missing_labels(truth: np.ndarray, mask: np.ndarray, tree: LabelTree) -> dict[str, list[str]]:
    missing = truth.any(axis=0) & ~truth[mask].any(axis=0)
    return {
        level: [tree.labels[columns.start + label] for label in np.flatnonzero(missing[columns])]
        for level, columns in tree.columns.items()
    }


def _label_distances(truth: np.ndarray, masks: dict[str, np.ndarray], tree: LabelTree) -> dict[str, float]:
    in_all = truth.sum(axis=0)
    in_splits = [truth[mask].sum(axis=0) for mask in masks.values()]
    distances = _distances(in_all, in_splits, masks)
    return {level: _mean(distances[columns][in_all[columns] > 0]) for level, columns in tree.columns.items()}


def _pair_distance(truth: np.ndarray, masks: dict[str, np.ndarray], tree: LabelTree) -> float:
    pairs, in_all = _pairs(truth, tree)
    in_splits = []
    for mask in masks.values():
        found, counts = _pairs(truth[mask], tree)
        of_split = np.zeros(len(pairs), dtype=np.int64)
        of_split[np.searchsorted(pairs, found)] = counts
        in_splits.append(of_split)
    return _mean(_distances(in_all, in_splits, masks))


def _pairs(truth: np.ndarray, tree: LabelTree) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of labels that occur together, without a label and its ancestors; and the documents that have both.

    A pair is a number, first label * labels + second label; ascending.
    """
    labels = len(tree.labels)
    carriers = csr_array(truth).astype(np.int64)
    together = triu(carriers.T @ carriers, k=1).tocoo()
    pairs = together.row.astype(np.int64) * labels + together.col
    related = [above * labels + label for label in range(labels) for above in tree.ancestors(label)]
    kept = ~np.isin(pairs, related)
    order = np.argsort(pairs[kept])
    return pairs[kept][order], together.data[kept][order]


def _distances(in_all: np.ndarray, in_splits: list[np.ndarray], masks: dict[str, np.ndarray]) -> np.ndarray:
    """float [counts]: the mean over splits of the distance of a count's proportion in the split from that in all."""
    masks_and_counts = zip(masks.values(), in_splits, strict=True)
    documents = len(next(iter(masks.values())))
    of_splits = [np.abs(counts / max(mask.sum(), 1) - in_all / documents) for mask, counts in masks_and_counts]
    return np.stack(of_splits).mean(axis=0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _in_several_splits(rows: pl.DataFrame) -> int:
    """How many values of the column `key` occur in more than one split."""
    return rows.group_by("key").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height
