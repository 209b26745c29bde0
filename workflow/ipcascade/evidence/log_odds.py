"""Probabilities as log-odds, in which the scores of sources add up, and back."""

import numpy as np

# A probability of 0 or 1 has no log-odds; those of float32 end at about 16.
LARGEST = 16.0


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), float32, from -`LARGEST` to `LARGEST`."""
    exact = probabilities.astype(np.float64)
    with np.errstate(divide="ignore"):
        found = np.log(exact) - np.log1p(-exact)
    return found.clip(-LARGEST, LARGEST).astype(np.float32)


def probability(values: np.ndarray) -> np.ndarray:
    """The inverse, 1 / (1 + exp(-value)), float64."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-values.astype(np.float64)))
