"""Options of the splits."""

from typing import Literal

from pydantic import model_validator

from ipcascade.core.names import SPLITS
from ipcascade.core.options import Probability, Section


class SplitOptions(Section):
    """Shares of the three splits. Families, and documents with the same normalised abstract, stay together."""

    train: Probability = 0.7
    """Share of documents to train on."""
    val: Probability = 0.1
    """Share of documents to choose the epoch and fit the thresholds on."""
    test: Probability = 0.2
    """Share of documents to measure on."""
    rare_labels: Literal["refuse", "keep"] = "refuse"
    """A label with a single document (or family) cannot be both learned and tested. refuse: stop and name it. keep:
    keep it in the one split that can hold it, as the published system did."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitOptions":
        shares = [getattr(self, name) for name in SPLITS]
        if abs(sum(shares) - 1) > 1e-9 or min(shares) <= 0:
            raise ValueError(f"{', '.join(SPLITS[:-1])} and {SPLITS[-1]} must be positive and sum to 1")
        return self
