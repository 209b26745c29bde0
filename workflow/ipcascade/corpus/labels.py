"""From classification symbols to labels of the tree, for any number of levels.

A symbol is given to the leaf of the tree that it leads to; all labels above the leaf follow from it. A symbol that
leads to no leaf has an obsolete or unknown code; where no table says what is meant now (`corpus/renamed_codes.py`), it
is dropped, and the funnel counts and names its code.

Beside the levels that are learned the corpus has the next one below (the *finer* level), from which training learns,
too. It decides about nothing here: a symbol without a label of the finer level keeps its labels above.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.symbols import leaf_of
from ipcascade.corpus.applications import positions
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.reading import kept_numbers
from ipcascade.corpus.renamed_codes import RenamedCodes, labels_of
from ipcascade.corpus.scratch import Scratch, parts_of
from ipcascade.sources.base import SYMBOLS, Source, SymbolFact

# Dropped codes that the funnel names, the most frequent ones.
NAMED_CODES = 10
WEIGHED = "weighed labels"
ROUNDED = 1e-6


@dataclass(frozen=True)
class ReadLabels:
    """Puts the labels that symbols lead to on disk, as the table `labels`, or `weighed labels` where weights count.

    renamed: labels of codes that the tree lacks; applications: the file of their numbers, as `PartReader.keep` makes
    it. Columns: application, and label: Int32, the column in the finer tree of the lowest label that a symbol leads to.
    A pair is there once at least; with weights a row is a symbol, and its weight a third column.
    """

    options: CorpusOptions
    tree: LabelTree
    finer: LabelTree
    renamed: RenamedCodes
    applications: Path
    what: ClassVar[str] = SYMBOLS
    stage: ClassVar[str] = "labels"

    def __call__(self, source: Source, part: int, scratch: Scratch) -> dict[str, Any]:
        """How many symbols were read, how many each step left, how many were renamed; dropped codes."""
        applications = kept_numbers(self.applications)
        read = of_kept = of_value = renamed = 0
        # One character more than the longest code, which tells whether a code ends there; renamed codes may be longer.
        longest = None if self.renamed else self.finer.longest_code + 1
        dropped = Counter[str]()
        values, weighed = self.options.ipc_values, self.options.least_weight is not None
        asked: dict[SymbolFact, bool] = {"value": values is not None, "weight": weighed}
        also = [fact for fact, is_asked in asked.items() if is_asked]
        for batch in source.symbols(part, also):
            read += batch.height
            batch = batch.filter(positions(applications, batch["application"]).is_not_null())
            of_kept += batch.height
            if values is not None:
                batch = batch.filter(pl.col("value").is_in(values))
            of_value += batch.height
            codes = batch["symbol"].str.slice(0, longest).fill_null("")
            weight = ["weight"] if weighed else []
            found = batch.select("application", *weight, code=codes, label=_labels_of(codes, self.tree, self.finer))
            lacking = found.filter(pl.col("label").is_null()).drop("label")
            instead = _renamed_labels(lacking["code"], self.renamed)
            renamed += lacking.join(instead, on="code", how="semi").height
            lost = lacking.join(instead, on="code", how="anti")["code"].str.slice(0, self.tree.longest_code)
            dropped.update(dict(lost.value_counts().iter_rows()))
            labelled = pl.concat([found.drop_nulls("label"), lacking.join(instead, on="code")])
            labelled = labelled.select("application", pl.col("label").cast(pl.Int32), *weight)
            if not weighed:
                labelled = labelled.unique()
            scratch.add(WEIGHED if weighed else "labels", labelled, parts_of(labelled["application"]))
        return {
            "read": read, "of_kept": of_kept, "of_value": of_value, "renamed": renamed, "dropped": dict(dropped),
        }  # fmt: skip


def keep_weighty(
    scratch: Scratch, least_weight: float, units: Iterable[Sequence[int]], tree: LabelTree, finer: LabelTree
) -> int:
    """Put the labels on disk whose symbols weigh enough together; return how many symbols do not.

    PATSTAT gives the weights of industries by their longest codes: those of 28.29 and 28.3 are of the label 28. They
    add up by the lowest label that is learned, whatever the finer level.
    """
    own = len(tree.labels)
    learned = pl.Series([column if column < own else int(finer.parent[column]) for column in range(len(finer.labels))])
    dropped = 0
    for unit in units:
        symbols = scratch.read(WEIGHED, unit)
        symbols = symbols.with_columns(learned=learned.gather(symbols["label"]))
        # Weights are rounded where 1 is shared out among three.
        enough = pl.col("weight").sum().over("application", "learned") >= least_weight - ROUNDED
        kept = symbols.filter(enough)
        dropped += symbols.height - kept.height
        labels = kept.select("application", "label").unique()
        scratch.add("labels", labels, parts_of(labels["application"]))
    scratch.drop(WEIGHED)
    return dropped


def symbol_facts(facts: Sequence[Mapping[str, Any]], dropped_by_weight: int) -> dict[str, Any]:
    """What became of the symbols of all parts, for the funnel."""
    read, of_kept, of_value = (sum(fact[key] for fact in facts) for key in ("read", "of_kept", "of_value"))
    dropped = sum((Counter(fact["dropped"]) for fact in facts), Counter[str]())
    outside = sum(dropped.values())
    most_frequent = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))[:NAMED_CODES]
    return {
        "read": read,
        "of_other_applications": read - of_kept,
        "dropped_by_ipc_value": of_kept - of_value,
        "dropped_outside_label_tree": outside,
        "dropped_by_weight": dropped_by_weight,
        "kept": of_value - outside - dropped_by_weight,
        "renamed": sum(fact["renamed"] for fact in facts),
        "most_frequent_dropped_codes": [{"code": code, "symbols": amount} for code, amount in most_frequent],
        "distinct_dropped_codes": len(dropped),
    }


def _labels_of(codes: pl.Series, tree: LabelTree, finer: LabelTree) -> pl.Series:
    """The column of the lowest label that each code leads to, Int64; null where it leads to no leaf of the tree."""
    distinct = codes.unique()  # which are few
    labels = pl.Series([_label_of(code, tree, finer) for code in distinct], dtype=pl.Int64)
    # Where there are no codes at all, replace_strict returns text whatever its return_dtype.
    return codes.replace_strict(distinct, labels, return_dtype=pl.Int64).cast(pl.Int64)


def _renamed_labels(codes: pl.Series, renamed: RenamedCodes) -> pl.DataFrame:
    """code and label (Int64), a row for each label of a code, of those that the table of renamed codes knows."""
    rows = [(code, label) for code in codes.unique() for label in labels_of(code, renamed)] if renamed else []
    return pl.DataFrame(rows, schema={"code": pl.String, "label": pl.Int64}, orient="row")


def _label_of(code: str, tree: LabelTree, finer: LabelTree) -> int | None:
    leaf = leaf_of(code, tree)
    if leaf is None:
        return None
    below = leaf_of(code, finer)
    return leaf if below is None else below


def label_lists(sample: pl.DataFrame, found: pl.DataFrame, tree: LabelTree, family_labels: str) -> pl.DataFrame:
    """application of each document, and one list of codes per level (column: `column_of`), in tree order.

    sample: application and family of documents; found: family, application and label (column of the tree) of all
    applications of these families; tree: with the finer level. A list is empty where all labels of the document are
    above that level. family_labels: union, the labels of all applications of its family; representative, its own.
    """
    key = "family" if family_labels == "union" else "application"
    documents = sample.select(key, document="application")
    pairs = found.join(documents, on=key).select("label", application="document").unique()
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
