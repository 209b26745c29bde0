"""Groups of documents to splits, stratified by label.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) spreads the labels; it promises neither that every
label reaches every split nor exact sizes. Then coverage: a label's groups go to train first, then test, then val, as
far as there are any. Then balance: groups move, one by one, until each split has the number of documents asked for,
every time the group whose move most helps (or least harms) the labels' shares. Last, exchange: groups swap splits while
that brings the labels' shares clearly nearer to what was asked for.

Memory: one byte per document and label for the labels of documents, twice that for those of groups while they are
spread; it does not grow with the square of the labels.
"""

import numpy as np

from ipcascade.core.random_streams import stream_seed
from ipcascade.splits.assignment import Assignment
from ipcascade.splits.balance import balance
from ipcascade.splits.coverage import cover
from ipcascade.splits.exchange import exchange
from ipcascade.splits.groups import Groups
from ipcascade.splits.iterative import iterative_stratification


def stratify(groups: Groups, shares: np.ndarray, seed: int) -> np.ndarray:
    """The split of each group, int [groups]: positions in `shares`.

    shares: float [splits] of the documents, with the sum 1: train, val and test, or train and val alone.
    """
    spread = iterative_stratification(groups.has_label, shares, stream_seed(seed, "splits"))
    assignment = Assignment(groups, spread, shares)
    cover(assignment)
    balance(assignment, shares)
    exchange(assignment)
    return assignment.split_of
