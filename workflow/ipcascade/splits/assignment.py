"""Which split each group is in, and what moving a group to another split would change."""

import numpy as np

from ipcascade.core.names import SPLITS
from ipcascade.splits.groups import Groups

COVERAGE_ORDER = tuple(SPLITS.index(name) for name in ("train", "test", "val"))
"""Which split gets a rare label's groups first, as positions in SPLITS; without test, the others in this order."""


class Assignment:
    """Groups in splits, with the counts that decide on moves. Splits are positions in SPLITS: all, or the first two.

    splits: how many there are; coverage_order: COVERAGE_ORDER without those that there are not; split_of: int [groups],
    the split of each group; groups_with: int [splits, labels], groups with each label in each split; required: bool
    [splits, labels], the labels that a split must have: one with a single group is required in train, with two groups
    in train and test, with more in all splits; without test, with two groups in train and val.

    The *imbalance* of an assignment is the sum over splits and labels (and over documents, as if they were one more
    label) of (documents with the label in the split - as many as its share asks for)² / documents with the label.
    """

    def __init__(self, groups: Groups, split_of: np.ndarray, shares: np.ndarray) -> None:
        self.splits = len(shares)
        self.coverage_order = tuple(split for split in COVERAGE_ORDER if split < self.splits)
        members = [split_of == split for split in range(self.splits)]
        self.groups, self.split_of = groups, split_of
        self.groups_with = np.stack([groups.has_label[of_split].sum(axis=0) for of_split in members])
        self.required = groups.label_groups[None, :] > np.argsort(self.coverage_order)[:, None]
        self._counts = np.stack([groups.counts[of_split].sum(axis=0) for of_split in members])
        totals = self._counts.sum(axis=0)
        self._targets = np.outer(shares, totals)
        self._weights = 1 / np.maximum(totals, 1)

    @property
    def documents(self) -> np.ndarray:
        """int [splits]: documents of each split."""
        return self._counts[:, 0].round().astype(np.int64)

    @property
    def gaps(self) -> np.ndarray:
        """bool [splits, labels]: labels that a split must have and does not have."""
        return self.required & (self.groups_with == 0)

    def gaps_by_priority(self) -> tuple[int, ...]:
        """Number of gaps in each split, in coverage order: what coverage minimises, the first number first."""
        counts = self.gaps.sum(axis=1)
        return tuple(int(counts[split]) for split in self.coverage_order)

    def move(self, group: int, to: int) -> None:
        """Move a group from its split to another one."""
        source = self.split_of[group]
        columns, amounts = self.groups.counts_of(group)
        self._counts[source, columns] -= amounts
        self._counts[to, columns] += amounts
        self.groups_with[source] -= self.groups.has_label[group]
        self.groups_with[to] += self.groups.has_label[group]
        self.split_of[group] = to

    def costs(self, source: int, to: int) -> np.ndarray:
        """float [groups]: by how much the move of each group from `source` to `to` would raise the imbalance.

        For a group with the counts c, and splits that have d documents more than they should, a label's term changes
        by ((d_to + c)² - d_to² + (d_source - c)² - d_source²) / n = (2 c (d_to - d_source) + 2 c²) / n.
        """
        excess = self._counts - self._targets
        linear = 2 * (excess[to] - excess[source]) * self._weights
        return self.groups.counts @ linear + self.groups.squares @ (2 * self._weights)

    def cheapest(self, source: int, to: int, allowed: np.ndarray) -> tuple[int, float] | None:
        """The group that is cheapest to move from `source` to `to`, and its cost.

        allowed: bool [groups]. None where no allowed group of `source` can leave it without opening a gap there.
        """
        last = self.required[source] & (self.groups_with[source] == 1)
        free = self.groups.labels @ last.astype(np.float64) == 0
        movable = np.flatnonzero((self.split_of == source) & allowed & free)
        if not movable.size:
            return None
        costs = self.costs(source, to)[movable]
        best = int(costs.argmin())
        return int(movable[best]), float(costs[best])
