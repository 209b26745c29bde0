"""A split as what is fitted on its probabilities and checked over its groups sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scored:
    """truth: bool, probabilities: float32, both [documents, labels]; groups: one name per document.

    Groups are what no split divides: families of patents, joined where they share an abstract.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    groups: Sequence[Any] | np.ndarray

    def of(self, columns: slice) -> "Scored":
        """Some of the labels."""
        return Scored(self.truth[:, columns], self.probabilities[:, columns], self.groups)

    def group_numbers(self) -> np.ndarray:
        """int [documents]: the group of each document, numbered from 0 in the order of their names."""
        return np.unique(np.asarray(self.groups), return_inverse=True)[1]
