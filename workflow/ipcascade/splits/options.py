"""Options of the splits."""

from typing import Literal

from pydantic import model_validator

from ipcascade.core.names import SPLITS
from ipcascade.core.options import Names, Probability, Section


class SplitOptions(Section):
    """Shares of the three splits, and what decides them. Families, and documents with the same normalised abstract,
    stay together and count by their first filing."""

    by: Literal["labels", "year", "office"] = "labels"
    """labels: drawn at random, stratified by label. year: the first filing years to train, the next ones to val, the
    last ones to test. office: what was first filed at test_offices to test, the rest to train and val, stratified by
    label."""
    test_offices: Names | None = None
    """Offices of the test split, [JP, KR] for example; with by: office alone."""
    train: Probability = 0.7
    """Share of documents to train on."""
    val: Probability = 0.1
    """Share of documents to choose the epoch and fit the thresholds on."""
    test: Probability = 0.2
    """Share of documents to measure on. With by: office, it is what the offices have, and train and val share the rest
    in their ratio."""
    rare_labels: Literal["refuse", "keep"] = "refuse"
    """A label with a single document (or family) cannot be both learned and tested. refuse: stop and name it. keep:
    keep it in the one split that can hold it, as the published system did."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitOptions":
        shares = [getattr(self, name) for name in SPLITS]
        if abs(sum(shares) - 1) > 1e-9 or min(shares) <= 0:
            raise ValueError(f"{', '.join(SPLITS[:-1])} and {SPLITS[-1]} must be positive and sum to 1")
        return self

    @model_validator(mode="after")
    def _names_offices(self) -> "SplitOptions":
        if self.by == "office" and self.test_offices is None:
            raise ValueError("by is 'office', so test_offices must name the offices of the test split")
        if self.by != "office" and self.test_offices is not None:
            raise ValueError(
                f"test_offices is given, but by is {self.by!r}; set by to 'office', or test_offices to null"
            )
        return self
