"""The neighbour source: the labels of the training documents nearest to a document, by exact search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ipcascade.core.documents import label_lists, truth_of
from ipcascade.core.files import Kind, folder_written_whole, read_parquet, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.names import INDEXED_DOCUMENTS, VECTORS
from ipcascade.evidence.log_odds import log_odds
from ipcascade.evidence.vectors import read_vectors, write_vectors

# Vectors that are compared at once: the similarities of a block take 4 bytes each, 128 MiB.
QUERIES_AT_ONCE, INDEXED_AT_ONCE = 512, 65_536
PRIOR_WEIGHT = 0.05  # of all documents beside a query's neighbours, which weigh 1 together


class Neighbours(NamedTuple):
    """The nearest indexed documents of each query, the nearest first.

    positions: int64 [queries, count], in the index; similarities: float32 [queries, count], cosines.
    """

    positions: np.ndarray
    similarities: np.ndarray


@dataclass(frozen=True)
class NeighbourIndex:
    """Labelled documents to search among: ids; vectors, float16 [documents, size]; truth, bool [documents, labels]."""

    ids: list[str]
    vectors: np.ndarray
    truth: np.ndarray
    _placed: dict[torch.device, list[Tensor]] = field(default_factory=dict, compare=False, repr=False)

    def search(
        self, queries: np.ndarray, count: int, device: torch.device, advance: Callable[[int], None] = lambda count: None
    ) -> Neighbours:
        """The `count` nearest documents (all, where there are fewer) of each query, float16 or float32 [queries, size].

        Exact: every query is compared with every document, in float32. Takes 2 * queries * documents * size operations.
        advance: called with the number of queries in each block of them.
        """
        count = min(count, len(self.ids))
        documents = self._on(device)
        found = []
        for block in _blocks(queries, QUERIES_AT_ONCE):
            found.append(_nearest(_normalised(block, device), documents, count))
            advance(len(block))
        similarities, positions = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
        return Neighbours(positions, similarities)

    def _on(self, device: torch.device) -> list[Tensor]:
        """The documents' vectors as they are searched, in blocks on a device, where they stay: texts come in parts."""
        if device not in self._placed:
            self._placed[device] = [_normalised(block, device) for block in _blocks(self.vectors, INDEXED_AT_ONCE)]
        return self._placed[device]

    def scores(self, neighbours: Neighbours, temperature: float) -> np.ndarray:
        """Log-odds of each label from the `shares` of the neighbours that have it: float32 [queries, labels].

        A share is first mixed with the label's share of all documents, of weight `PRIOR_WEIGHT`:
        a label that no neighbour has would have no log-odds.
        """
        shares = self.shares(neighbours, temperature).astype(np.float64)
        prior = self.truth.mean(axis=0) * PRIOR_WEIGHT
        smoothed = (shares + prior) / (1 + PRIOR_WEIGHT)
        return log_odds(smoothed)

    def shares(self, neighbours: Neighbours, temperature: float) -> np.ndarray:
        """The weighted share of the neighbours that have each label: float32 [queries, labels].

        A neighbour of cosine c weighs exp(c / temperature); the weights of a query sum to 1.
        """
        logits = neighbours.similarities.astype(np.float64) / temperature
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        shares = np.zeros((len(weights), self.truth.shape[1]))
        for rank in range(weights.shape[1]):
            shares += weights[:, rank, None] * self.truth[neighbours.positions[:, rank]]
        return shares.clip(0, 1).astype(np.float32)

    def named(self, neighbours: Neighbours, count: int) -> list[list[str]]:
        """The ids of the nearest `count` neighbours of each query, the nearest first."""
        return [[self.ids[position] for position in row] for row in neighbours.positions[:, :count]]

    def write(self, folder: Path, tree: LabelTree) -> None:
        """Write the folder whole: the vectors, and a table of the document ids and their labels, a list per level."""
        with folder_written_whole(folder) as part:
            write_vectors(part / VECTORS, self.ids, self.vectors)
            table = pl.DataFrame({"document_id": self.ids, **label_lists(self.truth, tree)})
            write_parquet(part / INDEXED_DOCUMENTS, table)

    @classmethod
    def read(cls, folder: Path, tree: LabelTree) -> "NeighbourIndex":
        """The inverse of `write`. Raises UserError where the folder is not complete, or of other labels."""
        table = read_parquet(
            folder / INDEXED_DOCUMENTS, {"document_id": Kind.TEXT, **dict.fromkeys(tree.levels, Kind.LISTS)}
        )
        ids = table["document_id"].to_list()
        return cls(ids, read_vectors(folder / VECTORS, ids), truth_of(table, tree))


def _blocks(rows: np.ndarray, size: int) -> Sequence[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _normalised(vectors: np.ndarray, device: torch.device) -> Tensor:
    """Vectors of length 1, float32; one of zeros stays so, and is equally near to all."""
    return torch.nn.functional.normalize(torch.from_numpy(vectors).to(device).float(), dim=1)


def _nearest(queries: Tensor, blocks: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """The best `count` documents of each query: (similarities, positions), each [queries, count], the best first."""
    best = queries.new_empty((len(queries), 0)), queries.new_empty((len(queries), 0), dtype=torch.int64)
    start = 0
    for block in blocks:
        here = (queries @ block.T).topk(min(count, len(block)), dim=1)
        both = torch.cat([best[0], here.values], dim=1), torch.cat([best[1], here.indices + start], dim=1)
        order = torch.argsort(both[0], dim=1, descending=True, stable=True)[:, :count]
        best = both[0].gather(1, order), both[1].gather(1, order)
        start += len(block)
    return best
