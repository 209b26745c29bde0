"""Small corpora for the tests of the splits, and what their labels are."""

import numpy as np
import polars as pl

from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.splits.options import SplitOptions

TREE = LabelTree.read(IPC).select(["section", "class"])
DEEP = LabelTree.read(IPC)
FLAT = DEEP.select(["class"])
KEEP = SplitOptions(rare_labels="keep")


def corpus_of(code_lists, group_ids=None, tree=TREE):
    """A corpus of documents with these codes and all above them; each a group of its own where no groups are given."""
    ids = [str(1000 + number) for number in range(len(code_lists))]
    truth = tree.close(tree.encode(code_lists))
    lists = {
        level: [[tree.codes(level)[place] for place in np.flatnonzero(row)] for row in truth[:, columns]]
        for level, columns in tree.columns.items()
    }
    return pl.DataFrame(
        {
            "document_id": ids,
            "group_id": ids if group_ids is None else [str(group) for group in group_ids],
            "text": [f"text {number}" for number in range(len(code_lists))],
            **lists,
        },
        schema_overrides=dict.fromkeys(tree.levels, pl.List(pl.String)),
    )


def random_corpus(documents, seed=0, largest_group=3, tree=TREE, leaves=132):
    """One to three labels without children per document, their shares skewed; mostly small groups.

    leaves: about how many different ones, from all over the tree.
    """
    rng = np.random.default_rng(seed)
    without_children = [code for code, inner in zip(tree.labels, tree.has_children, strict=True) if not inner]
    codes = without_children[:: max(1, len(without_children) // leaves)]
    weights = 1 / np.arange(1, len(codes) + 1) ** 1.1
    lists = [
        [codes[place] for place in rng.choice(len(codes), rng.integers(1, 4), replace=False, p=weights / weights.sum())]
        for _ in range(documents)
    ]
    groups = np.repeat(np.arange(documents), rng.integers(1, largest_group + 1, documents))[:documents]
    return corpus_of(lists, groups, tree)


def filed(corpus, years, offices="EP"):
    """The corpus with the year and the office of the first filing of each document, None where it is not known."""
    offices = [offices] * len(corpus) if isinstance(offices, str) else offices
    return corpus.with_columns(
        first_filing_year=pl.Series(years, dtype=pl.Int16), first_filing_office=pl.Series(offices, dtype=pl.String)
    )


def labels_of(corpus, tree=TREE):
    """The set of labels of each document."""
    return [set().union(*row) for row in corpus.select(tree.levels).iter_rows()]


def splits_of_labels(corpus, names, tree=TREE):
    """For each label, the splits its documents are in, and the number of its groups."""
    found, groups = {}, {}
    for labels, group, name in zip(labels_of(corpus, tree), corpus["group_id"], names, strict=True):
        for label in labels:
            found.setdefault(label, set()).add(name)
            groups.setdefault(label, set()).add(group)
    return found, {label: len(members) for label, members in groups.items()}
