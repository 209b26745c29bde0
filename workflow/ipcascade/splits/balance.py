"""Balance: single groups move until every split has the number of documents asked for."""

import numpy as np

from ipcascade.splits.assignment import Assignment


def balance(assignment: Assignment, shares: np.ndarray) -> None:
    """Bring the sizes of the splits to their shares, in documents, without losing coverage.

    Sizes are exact in the end where single documents can move; with groups larger than what is left to move, they are
    as near as single moves come.
    """
    sizes = whole_sizes(shares, int(assignment.groups.documents.sum()))
    while (excess := assignment.documents - sizes).any():
        source, to = int(excess.argmax()), int(excess.argmin())
        small_enough = assignment.groups.documents <= min(excess[source], -excess[to])
        found = assignment.cheapest(source, to, small_enough)
        if found is None:
            break
        assignment.move(found[0], to)


def whole_sizes(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers with the sum `total`, as near to the shares as can be (largest remainders): int [splits]."""
    exact = shares * total
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    by_remainder = np.argsort(sizes - exact, kind="stable")
    sizes[by_remainder[: total - sizes.sum()]] += 1
    return sizes
