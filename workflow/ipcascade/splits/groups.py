"""Groups of documents, which no split divides, with the counts that the splits are made from.

Memory: `has_label` takes one byte per group and label; everything else grows with the labels that documents have.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True)
class Groups:
    """Columns by group.

    documents: int [groups], documents of each group; has_label: bool [groups, labels]; labels: the same, sparse
    float64; label_groups: int [labels], groups with each label; counts: sparse float64 [groups, 1 + labels], documents
    of each group with each label, after a column 0 that counts all its documents; squares: the counts squared.
    """

    documents: np.ndarray
    has_label: np.ndarray
    labels: csr_array
    label_groups: np.ndarray
    counts: csr_array
    squares: csr_array

    @classmethod
    def of(cls, truth: np.ndarray, group_of: np.ndarray) -> "Groups":
        """The groups of documents.

        truth: bool [documents, labels]; group_of: int [documents], the group of each document, counted from 0.
        """
        documents = np.bincount(group_of)
        document, label = np.nonzero(truth)
        has_label = np.zeros((len(documents), truth.shape[1]), dtype=bool)
        has_label[group_of[document], label] = True
        counts = _counts(group_of, group_of[document], label, (len(documents), truth.shape[1] + 1))
        return cls(
            documents=documents,
            has_label=has_label,
            labels=csr_array(has_label).astype(np.float64),
            label_groups=has_label.sum(axis=0),
            counts=counts,
            squares=counts.multiply(counts).tocsr(),
        )

    def counts_of(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """The columns of `counts` that are not 0 for a group, and their values."""
        start, end = self.counts.indptr[group : group + 2]
        return self.counts.indices[start:end], self.counts.data[start:end]


def _counts(
    group_of_document: np.ndarray, group_of_label: np.ndarray, label: np.ndarray, shape: tuple[int, int]
) -> csr_array:
    """`Groups.counts`, from the group of each document, and group and column of each label of each document."""
    rows = np.concatenate([group_of_document, group_of_label])
    columns = np.concatenate([np.zeros(len(group_of_document), dtype=np.int64), label + 1])
    counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    return counts
