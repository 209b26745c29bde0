"""Counts of technologies by rows of units, added up from predictions, text by text.

A unit counts with its weight, whatever the number n of its texts. With the probabilities p and the predicted labels of
its texts it adds to each label (or, by a concordance, to each technology: concordance.py)

    expected:    the mean over its texts of p (so of calibrated probabilities: how many units are to be expected)
    fractional:  the mean over its texts of 1 / (labels of the text), where the label is predicted
    whole:       1, where the label is predicted for at least one of its texts

Everything is added in the order of the table, in double precision: the same predictions give the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ipcascade.core.random_streams import stream

MEASURES = ("expected", "fractional", "whole")


class Block(NamedTuple):
    """Some texts: predicted (bool) and probabilities (float32), [texts, labels]."""

    predicted: np.ndarray
    probabilities: np.ndarray


class Amounts(NamedTuple):
    """What texts add to technologies, were each a unit of its own: float64 [texts, technologies] by measure."""

    expected: np.ndarray
    fractional: np.ndarray
    whole: np.ndarray


def set_aside(texts: Iterator[Amounts], classifiable: np.ndarray) -> Iterator[Amounts]:
    """The amounts of texts with a technology more: all of a text that is not classifiable goes there, and nothing else.

    classifiable: bool [texts], in the order in which they come.
    """
    start = 0
    for block in texts:
        here = classifiable[start : start + len(block.whole), None]
        yield Amounts(*(np.hstack([np.where(here, amounts, 0.0), ~here]) for amounts in block))
        start += len(here)


@dataclass(frozen=True)
class Units:
    """Which unit each text belongs to, and which row each unit.

    unit_of: int64 [texts]; row_of: int64 [units]; weights: float64 [units]; rows: how many there are.
    """

    unit_of: np.ndarray
    row_of: np.ndarray
    weights: np.ndarray
    rows: int

    @property
    def texts(self) -> np.ndarray:
        """int64 [units]: their texts."""
        return np.bincount(self.unit_of, minlength=len(self.row_of))

    @property
    def sizes(self) -> np.ndarray:
        """int64 [rows]: their units."""
        return np.bincount(self.row_of, minlength=self.rows)

    @property
    def totals(self) -> np.ndarray:
        """float64 [rows]: the weights of their units."""
        return np.bincount(self.row_of, weights=self.weights, minlength=self.rows)


@dataclass(frozen=True)
class Counts:
    """float64 [rows, technologies] by measure; low, high: bounds of their intervals, None where there are none."""

    values: dict[str, np.ndarray]
    low: dict[str, np.ndarray] | None
    high: dict[str, np.ndarray] | None


def of_labels(block: Block) -> Amounts:
    """The amounts where each label is a technology."""
    predicted = block.predicted.astype(np.float64)
    shared = predicted / np.maximum(predicted.sum(axis=1, keepdims=True), 1)
    return Amounts(block.probabilities.astype(np.float64), shared, predicted)


def count(units: Units, texts: Iterator[Amounts], samples: int, confidence: float, seed: int) -> Counts:
    """Add up all texts, which come block by block in the order of `units.unit_of`.

    samples: of the bootstrap, in which the texts of each unit with several are drawn with replacement; memory holds the
    texts of these units, and one block of all others. Intervals are percentiles, of the share `confidence`.
    """
    alone = units.texts[units.unit_of] == 1
    values: dict[str, np.ndarray] = {}
    several: list[Amounts] = []
    start = 0
    for block in texts:
        stop = start + len(block.whole)
        here = alone[start:stop]
        unit = units.unit_of[start:stop][here]
        for measure, amounts in block._asdict().items():
            total = values.setdefault(measure, np.zeros((units.rows, amounts.shape[1])))
            np.add.at(total, units.row_of[unit], units.weights[unit, None] * amounts[here])
        several.append(Amounts(*(amounts[~here] for amounts in block)))
        start = stop
    if alone.all():
        return Counts(values, None, None)
    of_several = Amounts(*(np.concatenate(parts) for parts in zip(*several, strict=True)))
    others = _Several(units, units.unit_of[~alone], of_several)
    for measure, amounts in others.amounts(np.ones(len(others.unit_of))).items():
        values[measure] += amounts
    if not samples:
        return Counts(values, None, None)
    return Counts(values, *others.intervals(values, samples, confidence, seed))


class _Several:
    """The texts of units that have several: unit_of [texts], and what each text adds."""

    def __init__(self, units: Units, unit_of: np.ndarray, of_texts: Amounts) -> None:
        self.unit_of = unit_of
        self._of_texts = of_texts
        self._sizes = units.texts[unit_of]
        own, self._position = np.unique(unit_of, return_inverse=True)
        self._to_rows = sparse.csr_matrix(
            (units.weights[own], (units.row_of[own], np.arange(len(own)))), shape=(units.rows, len(own))
        )

    def amounts(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """What they add to the rows by measure, where each text is there so many times: float64 [rows, labels]."""
        shape = (self._to_rows.shape[1], len(times))
        means = sparse.csr_matrix((times / self._sizes, (self._position, np.arange(len(times)))), shape=shape)
        largest, drawn = np.zeros((shape[0], self._of_texts.whole.shape[1])), times > 0
        np.maximum.at(largest, self._position[drawn], self._of_texts.whole[drawn])
        return {
            "expected": self._to_rows @ (means @ self._of_texts.expected),
            "fractional": self._to_rows @ (means @ self._of_texts.fractional),
            "whole": self._to_rows @ largest,
        }

    def intervals(
        self, values: dict[str, np.ndarray], samples: int, confidence: float, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Bounds of the counts `values`: percentiles over samples of these texts, all other texts staying."""
        ones = self.amounts(np.ones(len(self.unit_of)))
        generator = stream(seed, "matrix bootstrap")
        order = np.argsort(self._position, kind="stable")
        sizes = np.bincount(self._position)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        drawn: dict[str, list[np.ndarray]] = {measure: [] for measure in MEASURES}
        for _ in range(samples):
            places = (generator.random(len(order)) * np.repeat(sizes, sizes)).astype(np.int64) + np.repeat(
                starts, sizes
            )
            times = np.bincount(order[places], minlength=len(order)).astype(np.float64)
            for measure, amounts in self.amounts(times).items():
                drawn[measure].append(amounts - ones[measure])
        bounds = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = {}, {}
        for measure, differences in drawn.items():
            below, above = np.quantile(np.stack(differences), bounds, axis=0)
            low[measure], high[measure] = values[measure] + below, values[measure] + above
        return low, high
