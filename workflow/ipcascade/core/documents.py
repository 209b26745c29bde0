"""Documents as every rule after the splits sees them: ids, groups, labels and split in corpus order; their scores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.files import read_facts, read_parquet, write_parquet
from ipcascade.core.label_tree import LabelTree


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
        table = read_parquet(corpus, ["document_id", "group_id", *tree.levels])
        parts = read_parquet(splits, ["document_id", "split"])
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

    def scores_of(self, split: str, path: Path) -> np.ndarray:
        """The probabilities in a scores file, float32 [documents of the split, labels], in the order of `positions`.

        Raises UserError where the file does not hold exactly the documents of the split, each once.
        """
        ids, scores = read_scores(path, self.tree)
        wanted = [self.ids[position] for position in self.positions(split)]
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
    return LabelTree.from_json(_corpus_fact(corpus, "label_tree"))


def read_text_content(corpus: Path) -> str:
    """What the texts of a corpus are made of: `abstract`, `title_and_abstract`. Raises UserError as `read_tree`."""
    return _corpus_fact(corpus, "text")


def _corpus_fact(corpus: Path, name: str) -> Any:
    facts = read_facts(corpus)
    if name not in facts:
        raise UserError(f"{corpus} is not a corpus: its metadata lack {name!r}; make it again")
    return facts[name]


def truth_of(corpus: pl.DataFrame, tree: LabelTree) -> np.ndarray:
    """bool [documents, labels] in tree order, from the corpus's list columns, one per level."""
    return tree.encode(corpus.select(pl.concat_list(tree.levels)).to_series().to_list())


def write_scores(path: Path, ids: list[str], probabilities: np.ndarray, tree: LabelTree) -> None:
    """Write one row per document: document_id, then one float32 column per label in tree order."""
    columns = {code: probabilities[:, column] for column, code in enumerate(tree.labels)}
    write_parquet(path, pl.DataFrame({"document_id": ids, **columns}))


def read_scores(path: Path, tree: LabelTree) -> tuple[list[str], np.ndarray]:
    """Document ids and probabilities, float32 [documents, labels].

    Raises UserError where the labels are not those of the tree, in its order.
    """
    table = read_parquet(path)
    if tuple(table.columns) != ("document_id", *tree.labels):
        strange = sorted(set(table.columns[1:]) ^ set(tree.labels))
        which = f"{strange[0]!r} is in only one of them" if strange else "their order differs"
        raise UserError(f"{path} has other labels than the corpus's label tree ({which}); score the documents again")
    scores = table.select(tree.labels).to_numpy(order="c").astype(np.float32, copy=False)
    return table["document_id"].to_list(), scores
