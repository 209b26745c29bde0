"""From classification symbols to labels of the tree, for any number of levels.

A symbol is given to the leaf of the tree that it leads to; all labels above the leaf follow from it. A symbol that
leads to no leaf has an obsolete or unknown code; it is dropped, and the funnel counts and names its code.

Beside the levels that are learned the corpus has the next one below (the *finer* level), from which training learns,
too. It decides about nothing here: a symbol without a label of the finer level keeps its labels above.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.label_tree import LabelTree
from ipcascade.corpus.applications import positions
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.base import Source

# Dropped codes that the funnel names, the most frequent ones.
NAMED_CODES = 10


@dataclass(frozen=True)
class ApplicationLabels:
    """Distinct pairs of an application and the lowest label that a symbol leads to, sorted; int32 [pairs] each.

    positions: rows among the applications; labels: columns of the tree with the level below.
    """

    positions: np.ndarray
    labels: np.ndarray


def read_labels(
    source: Source, tree: LabelTree, finer: LabelTree, options: CorpusOptions, applications: pl.DataFrame
) -> tuple[ApplicationLabels, dict[str, Any]]:
    """The labels that each application's symbols lead to, and what became of the symbols (for the funnel).

    finer: the tree with the level below; applications: sorted by their numbers.
    """
    numbers = applications["application"].to_numpy()
    read = of_kept = of_value = 0
    dropped: Counter[str] = Counter()
    pairs = [np.empty(0, dtype=np.int64)]
    for batch in source.symbols(values=options.ipc_values is not None):
        read += batch.height
        batch = batch.with_columns(position=positions(numbers, batch["application"])).drop_nulls("position")
        of_kept += batch.height
        if options.ipc_values is not None:
            batch = batch.filter(pl.col("value").is_in(options.ipc_values))
        of_value += batch.height
        codes = batch["symbol"].str.slice(0, finer.longest_code + 1).fill_null("")
        labels = _labels_of(codes, tree, finer)
        batch = batch.select("position", code=codes.str.slice(0, tree.longest_code), label=labels)
        dropped.update(dict(batch.filter(pl.col("label").is_null())["code"].value_counts().iter_rows()))
        pair = pl.col("position") * len(finer.labels) + pl.col("label")
        pairs.append(batch.drop_nulls().select(pair).unique().to_numpy()[:, 0])
    outside = sum(dropped.values())
    most_frequent = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))[:NAMED_CODES]
    return _distinct(pairs, len(finer.labels)), {
        "read": read,
        "of_other_applications": read - of_kept,
        "dropped_by_ipc_value": of_kept - of_value,
        "dropped_outside_label_tree": outside,
        "kept": of_value - outside,
        "most_frequent_dropped_codes": [{"code": code, "symbols": amount} for code, amount in most_frequent],
        "distinct_dropped_codes": len(dropped),
    }


def _labels_of(codes: pl.Series, tree: LabelTree, finer: LabelTree) -> pl.Series:
    """The column of the lowest label that each code leads to, Int64; null where it leads to no leaf of the tree."""
    distinct = codes.unique()  # which are few
    labels = pl.Series([_label_of(code, tree, finer) for code in distinct], dtype=pl.Int64)
    # Where there are no codes at all, replace_strict returns text whatever its return_dtype.
    return codes.replace_strict(distinct, labels, return_dtype=pl.Int64).cast(pl.Int64)


def _label_of(code: str, tree: LabelTree, finer: LabelTree) -> int | None:
    leaf = _leaf_of(code, tree)
    if leaf is None:
        return None
    below = _leaf_of(code, finer)
    return leaf if below is None else below


def _leaf_of(symbol: str, tree: LabelTree) -> int | None:
    """As `LabelTree.leaf_of`, but for a symbol that goes on where a code ends within a word or a number.

    So 3 is no code of 36, nor is chem of chemistry.
    """
    leaf = tree.leaf_of(symbol)
    if leaf is None:
        return None
    code = tree.labels[leaf]
    joint = symbol[len(code) - 1 : len(code) + 1]
    return None if len(joint) == 2 and (joint.isdigit() or joint.isalpha()) else leaf


def _distinct(pairs: list[np.ndarray], labels: int) -> ApplicationLabels:
    """The distinct ones of pairs that are written as position * labels + label; empties the list, to save memory."""
    together = np.concatenate(pairs)
    pairs.clear()
    together.sort()
    together = together[np.diff(together, prepend=-1) > 0]
    return ApplicationLabels((together // labels).astype(np.int32), (together % labels).astype(np.int32))


def label_lists(
    sample: pl.DataFrame, applications: pl.DataFrame, found: ApplicationLabels, tree: LabelTree, family_labels: str
) -> pl.DataFrame:
    """application of each document, and one list of codes per level (column: `column_of`), in tree order.

    tree: with the finer level. A list is empty where all labels of the document are above that level.
    family_labels: union, the labels of all applications of its family; representative, the document's own.
    """
    key = "family" if family_labels == "union" else "application"
    members = applications.select("application", "family").with_row_index("position")
    members = members.join(sample.select(key, document="application"), on=key)
    # Numbers of documents are above 0.
    document = np.zeros(applications.height, dtype=members["document"].to_numpy().dtype)
    document[members["position"].to_numpy()] = members["document"].to_numpy()
    owner = document[found.positions]
    wanted = owner > 0
    pairs = pl.DataFrame({"application": owner[wanted], "label": found.labels[wanted]}).unique()
    columns = [column_of(level) for level in tree.levels]
    labels = pairs.select(
        "application", *(_at_level(pairs["label"], level, tree).alias(column_of(level)) for level in tree.levels)
    )
    lists = labels.group_by("application").agg(pl.col(column).drop_nulls().unique().sort() for column in columns)
    return lists.with_columns(_codes(column, tree) for column in columns)


def column_of(level: str) -> str:
    """The column of a level's labels while the corpus is made; a level may be called like any other column there."""
    return f"labels: {level}"


def _at_level(labels: pl.Series, level: str, tree: LabelTree) -> pl.Series:
    """The column of the label of a level on the path to each label, null where that is above the level."""
    first, stop = tree.columns[level].start, tree.columns[level].stop
    on_path = [
        next((above for above in (column, *tree.ancestors(column)) if first <= above < stop), None)
        for column in range(len(tree.labels))
    ]
    return pl.Series(on_path, dtype=pl.Int32).gather(labels)


def _codes(column: str, tree: LabelTree) -> pl.Expr:
    positions_of_labels = list(range(len(tree.labels)))
    codes = pl.element().replace_strict(positions_of_labels, list(tree.labels), return_dtype=pl.String)
    return pl.col(column).list.eval(codes)
