"""The splits of a corpus: groups of documents, kept whole, to train, validation and test as the options say."""

import numpy as np
import polars as pl

from ipcascade.core.documents import truth_of
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.splits.filings import OFFICE, YEAR, first_filings
from ipcascade.splits.groups import Groups
from ipcascade.splits.offices import by_office
from ipcascade.splits.options import SplitOptions
from ipcascade.splits.stratification import stratify
from ipcascade.splits.years import by_year

NAMED_LABELS = 10
"""Labels that a message names before it counts the rest."""


def split(corpus: pl.DataFrame, tree: LabelTree, options: SplitOptions, seed: int) -> pl.DataFrame:
    """Assign every document of `corpus` to train, val or test.

    corpus: document_id, group_id and a list of labels per level; by year and by office first_filing_year and
    first_filing_office, too.
    Returns a table with document_id, group_id and split, one row per document in the order of the corpus. The
    assignment depends on the documents and the seed, not on the order of rows; by year the seed has no effect.
    Raises UserError where `options.rare_labels` is "refuse" and a label has one group only, where a split would be
    empty, and as `by_year` and `by_office` do.
    """
    truth = truth_of(corpus, tree)
    names, group_of = np.unique(corpus["group_id"].to_numpy(), return_inverse=True)
    groups = Groups.of(truth, group_of)
    if options.rare_labels == "refuse":
        _refuse_rare_labels(groups, truth.sum(axis=0), tree, options)
    if len(names) < len(SPLITS):
        raise UserError(
            f"the corpus has {len(names)} groups of documents, so one of {', '.join(SPLITS[:-1])} and {SPLITS[-1]} "
            "would be empty; raise corpus.documents or widen the filters of the corpus"
        )
    shares = np.array([getattr(options, name) for name in SPLITS])
    if options.by == "labels":
        split_of = stratify(groups, shares, seed)
    elif options.by == "year":
        split_of = by_year(first_filings(corpus)[YEAR], groups.documents, shares)
    else:
        offices = first_filings(corpus)[OFFICE]
        split_of = by_office(offices, options.test_offices or (), truth, group_of, shares, seed)
    _refuse_empty_splits(groups.documents, split_of, options)
    return corpus.select(
        "document_id", "group_id", split=pl.Series(np.array(SPLITS)[split_of[group_of]], dtype=pl.String)
    )


def _refuse_rare_labels(groups: Groups, documents: np.ndarray, tree: LabelTree, options: SplitOptions) -> None:
    """Raise UserError where labels have one group only. documents: int [labels], documents with each label."""
    rare = np.flatnonzero(groups.label_groups == 1)
    if not rare.size:
        return
    named = ", ".join(f"{tree.labels[label]} ({documents[label]})" for label in rare[:NAMED_LABELS])
    more = f" and {len(rare) - NAMED_LABELS} more" if len(rare) > NAMED_LABELS else ""
    where = "in train alone" if options.by == "labels" else f"in the split of its {options.by}"
    raise UserError(
        f"{len(rare)} labels have a single document or family, so train and test cannot both have them: {named}{more} "
        "(documents in brackets); raise corpus.documents, or set splits.rare_labels to 'keep', which leaves such a "
        f"label {where}"
    )


def _refuse_empty_splits(documents: np.ndarray, split_of: np.ndarray, options: SplitOptions) -> None:
    """Raise UserError where a split has no documents. documents, split_of: int [groups]."""
    for place, name in enumerate(SPLITS):
        if not (split_of == place).any():
            raise UserError(
                f"the split {name!r} is empty: {documents.sum():,} documents in {len(documents):,} groups cannot be "
                f"shared out at splits.{name} = {getattr(options, name)}; raise that share or corpus.documents"
            )
