"""Documents as every later step sees them: ids, groups, truth and split in corpus order; and their score files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .doors import read_parquet, write_parquet
from .errors import UserError
from .taxonomy import Taxonomy

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Documents:
    """Columns by document: ids; groups (what splits never tear apart); truth, bool [documents, labels]; split."""

    ids: list[str]
    groups: np.ndarray
    truth: np.ndarray
    split: np.ndarray

    @classmethod
    def read(cls, corpus: Path, splits: Path, taxonomy: Taxonomy) -> "Documents":
        """Join corpus and splits by document id, in corpus order.

        Raises UserError where they are not of the same documents.
        """
        table = read_parquet(corpus, ["document_id", "group_id", "sections", "classes"])
        parts = read_parquet(splits, ["document_id", "split"])
        joined = table.join(parts, on="document_id", how="left", maintain_order="left")
        if len(parts) != len(table) or joined["split"].null_count():
            raise UserError(f"{splits} was made from other documents than {corpus}; delete it and make it again")
        truth = taxonomy.encode(
            [*sections, *classes] for sections, classes in joined.select("sections", "classes").iter_rows()
        )
        return cls(joined["document_id"].to_list(), joined["group_id"].to_numpy(), truth, joined["split"].to_numpy())

    def positions(self, split: str) -> np.ndarray:
        """Positions of the documents of a split, ascending. Raises UserError where it has none."""
        found = np.flatnonzero(self.split == split)
        if not len(found):
            raise UserError(f"the split {split!r} has no documents")
        return found

    def at(self, ids: list[str], source: Path) -> np.ndarray:
        """Positions of document ids. Raises UserError, naming `source`, for one that the corpus does not have."""
        where = {document_id: position for position, document_id in enumerate(self.ids)}
        try:
            return np.array([where[document_id] for document_id in ids], dtype=np.int64)
        except KeyError as unknown:
            raise UserError(f"{source}: the document {unknown} is not in the corpus; make the file again") from None


def write_scores(
    path: Path, ids: list[str], probabilities: np.ndarray, taxonomy: Taxonomy, made_of: dict[str, Any]
) -> None:
    """Write one row a document (document_id, then one float32 column a label in taxonomy order)."""
    columns = {code: probabilities[:, column] for column, code in enumerate(taxonomy.labels)}
    write_parquet(path, pl.DataFrame({"document_id": ids, **columns}), made_of)


def read_scores(path: Path, taxonomy: Taxonomy) -> tuple[list[str], np.ndarray]:
    """Document ids and probabilities, float32 [documents, labels]. Raises UserError for a label that is missing."""
    table = read_parquet(path, ["document_id", *taxonomy.labels])
    scores = table.select(taxonomy.labels).to_numpy(order="c").astype(np.float32, copy=False)
    return table["document_id"].to_list(), scores
