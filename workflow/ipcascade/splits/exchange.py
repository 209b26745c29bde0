"""Exchange: groups of equal size swap splits while that brings the labels clearly nearer to their shares.

Coverage brings rare labels, and with them their frequent companions, into the small splits; this makes up for it among
the groups that are free to move.
"""

import itertools

from ipcascade.splits.assignment import Assignment

LEAST_GAIN = 0.01
"""Least fall of the imbalance by a swap: what one document too many costs a label that has 100."""


def exchange(assignment: Assignment, least_gain: float = LEAST_GAIN) -> None:
    """Swap groups, the best pair of each two splits in turn, until no swap gains `least_gain`.

    Neither sizes nor coverage change.
    """
    pairs = list(itertools.permutations(range(assignment.splits), 2))
    while max(_swap(assignment, source, to, least_gain) for source, to in pairs) >= least_gain:
        pass


def _swap(assignment: Assignment, source: int, to: int, least_gain: float) -> float:
    """Swap the cheapest pair where that gains enough; by how much the imbalance falls, or would have fallen."""
    documents = assignment.groups.documents
    there = assignment.cheapest(source, to, documents > 0)
    if there is None:
        return 0.0
    group, cost = there
    assignment.move(group, to)
    back = assignment.cheapest(to, source, documents == documents[group])
    gain = 0.0 if back is None else -(cost + back[1])
    if back is None or gain < least_gain:
        assignment.move(group, source)
    else:
        assignment.move(back[0], source)
    return gain
