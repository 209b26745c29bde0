"""The sample: documents with the smallest hashes of their numbers, so a smaller one is a subset of a larger one."""

import numpy as np
import polars as pl


class Draw:
    """Draws the documents with the smallest hashes of their numbers, however many they are drawn from.

    amount: how many; None: all. Memory holds twice as many hashes at most.
    """

    def __init__(self, amount: int | None, seed: int) -> None:
        self._amount, self._seed = amount, seed
        self._smallest = np.empty(0, dtype=np.uint64)
        self.seen = 0

    def add(self, numbers: pl.Series) -> None:
        """Some of the documents to draw from."""
        self.seen += len(numbers)
        if self._amount is not None:
            hashes = np.concatenate([self._smallest, _splitmix64(numbers.to_numpy(), self._seed)])
            self._smallest = np.partition(hashes, self._amount - 1)[: self._amount] if self._is_full else hashes

    @property
    def _is_full(self) -> bool:
        return self._amount is not None and self.seen >= self._amount

    def is_drawn(self, numbers: pl.Series) -> pl.Series:
        """Whether each of some documents is drawn; all must have been added."""
        if not self._is_full:
            return pl.Series(np.ones(len(numbers), dtype=bool))
        return pl.Series(_splitmix64(numbers.to_numpy(), self._seed) <= self._smallest.max())


def _splitmix64(ids: np.ndarray, seed: int) -> np.ndarray:
    """uint64 [ids]: one step of SplitMix64 (Steele, Lea, Flood 2014) from each id; distinct ids never collide."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
