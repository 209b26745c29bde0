"""Coverage: every label with enough groups gets one into train, then into test, then into val."""

from collections.abc import Iterator

import numpy as np

from ipcascade.splits.assignment import Assignment


def cover(assignment: Assignment) -> None:
    """Close gaps as long as one move, or two at once, makes coverage better.

    Better means fewer labels missing in train; or as many there and fewer in test; or as many in both and fewer in val.
    """
    while any(_close(assignment, split, label) for split, label in _gaps(assignment)):
        pass


def _gaps(assignment: Assignment) -> Iterator[tuple[int, int]]:
    """Splits and the labels missing in them, by priority of the split, then the rarest label first."""
    for split in assignment.coverage_order:
        missing = np.flatnonzero(assignment.gaps[split])
        rarest_first = np.argsort(assignment.groups.label_groups[missing], kind="stable")
        yield from ((split, int(label)) for label in missing[rarest_first])


def _close(assignment: Assignment, split: int, label: int) -> bool:
    """Bring a label into a split where that makes coverage better; whether it did."""
    before = assignment.gaps_by_priority()
    for group, home in _groups_outside(assignment, label, split):
        assignment.move(group, split)
        if assignment.gaps_by_priority() < before or _replace(assignment, group, home, before):
            return True
        assignment.move(group, home)
    return False


def _replace(assignment: Assignment, group: int, home: int, before: tuple[int, ...]) -> bool:
    """After `group` left its home, which opened a gap there: bring another group there; whether coverage is better."""
    lost = np.flatnonzero(assignment.groups.has_label[group] & assignment.gaps[home])
    for other, source in _groups_outside(assignment, int(lost[0]), home, without=group):
        assignment.move(other, home)
        if assignment.gaps_by_priority() < before:
            return True
        assignment.move(other, source)
    return False


def _groups_outside(
    assignment: Assignment, label: int, split: int, without: int | None = None
) -> list[tuple[int, int]]:
    """Groups with a label outside a split, and the splits they are in; the cheapest to move into it first."""
    groups = np.flatnonzero(assignment.groups.has_label[:, label] & (assignment.split_of != split))
    groups = groups[groups != without] if without is not None else groups
    sources = assignment.split_of[groups]
    costs = np.empty(len(groups))
    for source in set(sources.tolist()):
        costs[sources == source] = assignment.costs(source, split)[groups[sources == source]]
    order = np.argsort(costs, kind="stable")
    return [(int(groups[place]), int(sources[place])) for place in order]
