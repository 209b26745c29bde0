"""Documents as every rule after the splits sees them: ids, groups, labels and split in corpus order; their scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, Kind, check_columns, check_content, read_facts, read_parquet, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import SPLITS
from ipcascade.core.schemas import CorpusFacts, ScoreFacts


@dataclass(frozen=True)
class Documents:
    """Columns by document: ids; groups (which no split divides); truth, bool [documents, labels]; split.

    tree: the label tree that the corpus was made with.
    """

    ids: list[str]
    groups: np.ndarray
    truth: np.ndarray
    split: np.ndarray
    tree: LabelTree

    @classmethod
    def read(cls, corpus: Path, splits: Path) -> "Documents":
        """Join corpus and splits by document id, in corpus order.

        Raises UserError where they are not of the same documents.
        """
        tree = read_tree(corpus)
        table = read_corpus(corpus, tree, {"group_id": Kind.TEXT})
        parts = read_splits(splits)
        joined = table.join(parts, on="document_id", how="left", maintain_order="left")
        if len(parts) != len(table) or joined["split"].null_count():
            raise UserError(f"{splits} was made from other documents than {corpus}; delete it and make it again")
        return cls(
            joined["document_id"].to_list(), joined["group_id"].to_numpy(), truth_of(joined, tree),
            joined["split"].to_numpy(), tree,
        )  # fmt: skip

    def positions(self, split: str) -> np.ndarray:
        """Positions of the documents of a split, ascending. Raises UserError where it has none."""
        found = np.flatnonzero(self.split == split)
        if not len(found):
            raise UserError(f"the split {split!r} has no documents")
        return found

    def ids_of(self, split: str) -> list[str]:
        """The ids of the documents of a split, in the order of `positions`."""
        return [self.ids[position] for position in self.positions(split)]

    def scores_of(self, split: str, path: Path) -> np.ndarray:
        """The probabilities in a scores file, float32 [documents of the split, labels], in the order of `positions`.

        Raises UserError where the file does not hold exactly the documents of the split, each once.
        """
        ids, scores = read_scores(path, self.tree)
        wanted = self.ids_of(split)
        if ids == wanted:
            return scores
        row = {document_id: place for place, document_id in enumerate(ids)}
        missing = [document_id for document_id in wanted if document_id not in row]
        strange = sorted(row.keys() - set(wanted))
        if strange or missing or len(ids) != len(wanted):
            what = (
                f"has the document {strange[0]!r}, which is not in it" if strange
                else f"lacks {len(missing):,} of its documents, {missing[0]!r} first" if missing
                else "has a document more than once"
            )  # fmt: skip
            raise UserError(f"{path} does not belong to the split {split!r}: it {what}; score that split again")
        return scores[[row[document_id] for document_id in wanted]]


def read_tree(corpus: Path) -> LabelTree:
    """The label tree that a corpus was made with. Raises UserError where the file is not a corpus."""
    return LabelTree.from_json(_corpus_facts(corpus)["label_tree"], f"the label tree in {corpus}")


def read_text_content(corpus: Path) -> str:
    """What the texts of a corpus are made of: `abstract`, `title_and_abstract`. Raises UserError as `read_tree`."""
    return _corpus_facts(corpus)["text"]


def _corpus_facts(corpus: Path) -> dict[str, Any]:
    facts = read_facts(corpus)
    check_content(CorpusFacts, facts, f"{corpus} is not a corpus: its metadata")
    return facts


def read_corpus(corpus: Path, tree: LabelTree, others: Mapping[str, Kind]) -> pl.DataFrame:
    """A corpus's document ids and labels, and other columns of the kinds given.

    Raises UserError where a column is missing or not of its kind, for a document that is there twice, and for a label
    that is not in the tree.
    """
    table = read_parquet(corpus, {"document_id": Kind.TEXT, **others, **dict.fromkeys(tree.levels, Kind.LISTS)})
    _check_once(corpus, table)
    for level in tree.levels:
        labels = table.select("document_id", pl.col(level).alias("label")).explode("label").drop_nulls()
        strange = labels.filter(~pl.col("label").is_in(tree.codes(level)))
        if len(strange):
            document_id, label = strange.row(0)
            raise UserError(
                f"{corpus}: the document {document_id!r} has the {level} {label!r}, which is not in its label tree; "
                f"{MAKE_AGAIN}"
            )
    return table


def read_splits(splits: Path) -> pl.DataFrame:
    """The columns document_id and split of a splits.parquet.

    Raises UserError where one is missing or not text, for another name of a split, and for a document that is there
    twice.
    """
    table = read_parquet(splits, {"document_id": Kind.TEXT, "split": Kind.TEXT})
    strange = table.filter(~pl.col("split").is_in(SPLITS))
    if len(strange):
        document_id, name = strange.row(0)
        raise UserError(
            f"{splits}: the document {document_id!r} is in the split {name!r}, which is none of {', '.join(SPLITS)}; "
            f"{MAKE_AGAIN}"
        )
    _check_once(splits, table)
    return table


def _check_once(path: Path, table: pl.DataFrame) -> None:
    twice = table.filter(pl.col("document_id").is_duplicated())["document_id"]
    if len(twice):
        raise UserError(f"{path} has the document {twice[0]!r} more than once; {MAKE_AGAIN}")


def truth_of(corpus: pl.DataFrame, tree: LabelTree) -> np.ndarray:
    """bool [documents, labels] in tree order, from the corpus's list columns, one per level."""
    return tree.encode(corpus.select(pl.concat_list(tree.levels)).to_series().to_list())


def label_lists(labels: np.ndarray, tree: LabelTree) -> dict[str, pl.Series]:
    """The inverse: the codes of each level, one list per document, by level; labels: bool [documents, labels]."""
    lists = {}
    for level, columns in tree.columns.items():
        codes = np.array(tree.codes(level), dtype=object)
        rows = [codes[row].tolist() for row in labels[:, columns]]
        lists[level] = pl.Series(level, rows, dtype=pl.List(pl.String))
    return lists


def write_scores(
    path: Path, ids: list[str], probabilities: np.ndarray, tree: LabelTree, made_with: str | None = None
) -> None:
    """Write one row per document: document_id, then one float32 column per label in tree order.

    made_with: SHA-256 of the file that gave the probabilities (the network's weights, or the combiner).
    """
    columns = {code: probabilities[:, column] for column, code in enumerate(tree.labels)}
    write_parquet(path, pl.DataFrame({"document_id": ids, **columns}), {"made_with": made_with})


def made_with(path: Path) -> str | None:
    """What a scores file says of the file that gave it; None where it says nothing. Raises UserError as `read_tree`."""
    facts = read_facts(path)
    check_content(ScoreFacts, facts, f"{path} does not hold scores: its metadata")
    return facts["made_with"]


def read_scores(path: Path, tree: LabelTree) -> tuple[list[str], np.ndarray]:
    """Document ids and probabilities, float32 [documents, labels].

    Raises UserError where the labels are not those of the tree, in its order, and for a value that is not from 0 to 1.
    """
    table = read_parquet(path)
    if tuple(table.columns) != ("document_id", *tree.labels):
        strange = sorted(set(table.columns[1:]) ^ set(tree.labels))
        which = f"{strange[0]!r} is in only one of them" if strange else "their order differs"
        raise UserError(f"{path} has other labels than the corpus's label tree ({which}); score the documents again")
    check_columns(path, table, {"document_id": Kind.TEXT, **dict.fromkeys(tree.labels, Kind.NUMBER)})
    scores = table.select(tree.labels).to_numpy(order="c").astype(np.float32, copy=False)
    ids = table["document_id"].to_list()
    valid = (scores >= 0) & (scores <= 1)
    if not valid.all():
        row, label = (int(position) for position in np.argwhere(~valid)[0])
        raise UserError(
            f"{path}: the document {ids[row]!r} has {scores[row, label]} for the label {tree.labels[label]!r}, which "
            f"is not a probability from 0 to 1; score the documents again"
        )
    return ids, scores
