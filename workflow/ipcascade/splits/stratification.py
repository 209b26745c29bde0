"""Documents to train, validation and test: stratified by label, with groups of documents kept whole.

All four stages work on groups. Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) spreads the labels; it
promises neither that every label reaches every split nor exact sizes. Then coverage: a label's groups go to train
first, then test, then val, as far as there are any. Then balance: groups move, one by one, until each split has the
number of documents asked for, every time the group whose move most helps (or least harms) the labels' shares. Last,
exchange: groups swap splits while that brings the labels' shares clearly nearer to what was asked for.

Memory: one byte per document and label for the labels of documents, twice that for those of groups while they are
spread; it does not grow with the square of the labels.
"""

import numpy as np
import polars as pl

from ipcascade.core.documents import truth_of
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.core.random_streams import stream_seed
from ipcascade.splits.assignment import Assignment
from ipcascade.splits.balance import balance
from ipcascade.splits.coverage import cover
from ipcascade.splits.exchange import exchange
from ipcascade.splits.groups import Groups
from ipcascade.splits.iterative import iterative_stratification
from ipcascade.splits.options import SplitOptions

NAMED_LABELS = 10
"""Labels that a message names before it counts the rest."""


def split(corpus: pl.DataFrame, tree: LabelTree, options: SplitOptions, seed: int) -> pl.DataFrame:
    """Assign every document of `corpus` to train, val or test.

    Returns a table with document_id, group_id and split, one row per document in the order of the corpus. The
    assignment depends on the documents and the seed, not on the order of rows.
    Raises UserError where `options.rare_labels` is "refuse" and a label has one group only, or where a split would be
    empty.
    """
    truth = truth_of(corpus, tree)
    names, group_of = np.unique(corpus["group_id"].to_numpy(), return_inverse=True)
    groups = Groups.of(truth, group_of)
    if options.rare_labels == "refuse":
        _refuse_rare_labels(groups, truth.sum(axis=0), tree)
    if len(names) < len(SPLITS):
        raise UserError(
            f"the corpus has {len(names)} groups of documents, so one of {', '.join(SPLITS[:-1])} and {SPLITS[-1]} "
            "would be empty; raise corpus.documents or widen the filters of the corpus"
        )
    assignment = _assign(groups, options, seed)
    _refuse_empty_splits(assignment, options)
    split_of = pl.Series(np.array(SPLITS)[assignment.split_of[group_of]], dtype=pl.String)
    return corpus.select("document_id", "group_id", split=split_of)


def _assign(groups: Groups, options: SplitOptions, seed: int) -> Assignment:
    shares = np.array([getattr(options, name) for name in SPLITS])
    spread = iterative_stratification(groups.has_label, shares, stream_seed(seed, "splits"))
    assignment = Assignment(groups, spread, shares)
    cover(assignment)
    balance(assignment, shares)
    exchange(assignment)
    return assignment


def _refuse_rare_labels(groups: Groups, documents: np.ndarray, tree: LabelTree) -> None:
    """Raise UserError where labels have one group only. documents: int [labels], documents with each label."""
    rare = np.flatnonzero(groups.label_groups == 1)
    if not rare.size:
        return
    named = ", ".join(f"{tree.labels[label]} ({documents[label]})" for label in rare[:NAMED_LABELS])
    more = f" and {len(rare) - NAMED_LABELS} more" if len(rare) > NAMED_LABELS else ""
    raise UserError(
        f"{len(rare)} labels have a single document or family, so train and test cannot both have them: {named}{more} "
        "(documents in brackets); raise corpus.documents, or set splits.rare_labels to 'keep', which leaves such a "
        "label in train alone"
    )


def _refuse_empty_splits(assignment: Assignment, options: SplitOptions) -> None:
    for name, documents in zip(SPLITS, assignment.documents, strict=True):
        if documents == 0:
            total, groups = int(assignment.documents.sum()), len(assignment.split_of)
            raise UserError(
                f"the split {name!r} is empty: {total:,} documents in {groups:,} groups cannot be shared out at "
                f"splits.{name} = {getattr(options, name)}; raise that share or corpus.documents"
            )
