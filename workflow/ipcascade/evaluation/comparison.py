"""Comparison of runs on the same documents: paired bootstrap over groups, and replicates.

Paired bootstrap: the same bootstrap samples are drawn for all runs (the draws follow from the seed and the number of
groups), and the difference of two runs is taken in each of them. What makes a sample easy or hard makes it so for both
runs and cancels, so the interval of the difference is mostly narrower than those of the runs suggest (Koehn 2004;
Berg-Kirkpatrick et al. 2012).

Macro measures: `bootstrap` moves the values of a run by a constant, so that their mean is the value over all documents.
A difference of moved values is the difference of the values, moved so that its mean is the difference over all
documents; the reason to move is the same (labels that a sample misses shift the difference, too, where the runs differ
more, or less, on rare labels). So differences are right of values that are moved, but not of values that are then cut
off at 0 and 1: they are taken before. In `f1_macro_supported` a bootstrap sample leaves out the same labels for all
runs; in `f1_macro` the labels that only one of the runs predicts there are left out for the others.

Replicates are runs that differ in the training seed alone. Their standard deviation tells what the seed does; the
intervals tell what the choice of the documents does, with these trained models. Neither contains the other.

Average precision is compared without intervals: it does not follow from counts that add up over groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.bootstrap import headline_names, unclipped_values
from ipcascade.evaluation.counts import average_precision
from ipcascade.evaluation.metrics import flatten, label_set_measures

# Bounds of a measure, and of the difference of two.
OF_MEASURE, OF_DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)


@dataclass(frozen=True)
class Measured:
    """Measures by their dotted names ("class.f1_micro"): of a run, of the mean of runs, or differences of two.

    values: over all documents; samples: float64 [samples], in each bootstrap sample, of those that are bootstrapped;
    macro measures are not cut off (see `bootstrap.unclipped_values`).
    """

    values: dict[str, float]
    samples: dict[str, np.ndarray]


def measure_run(
    truth: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    groups: Sequence[Any] | np.ndarray,
    tree: LabelTree,
    samples: int,
    seed: int,
) -> Measured:
    """All that runs are compared by: the headline measures with bootstrap samples, and average precision without.

    truth, predicted: bool, probabilities: float32, all [documents, labels]; groups: one name per document. Average
    precision (micro, per level) is left out for a level without a true label. With 0 samples there are none.
    Raises ValueError where there are no documents.
    """
    measures = flatten(label_set_measures(truth, predicted, tree))
    values = {name: value for name in headline_names(tree) if (value := measures[name]) is not None}
    for level, columns in tree.columns.items():
        found = average_precision(truth[:, columns].ravel(), probabilities[:, columns].ravel())
        if found is not None:
            values[f"{level}.average_precision_micro"] = found
    return Measured(values, unclipped_values(truth, predicted, groups, tree, samples, seed))


def difference(run: Measured, reference: Measured) -> Measured:
    """run - reference, in each bootstrap sample and over all documents; both measured on the same documents and seed.

    0 everywhere for two runs with the same predictions.
    """
    return Measured(
        {name: value - reference.values[name] for name, value in run.values.items()},
        {name: values - reference.samples[name] for name, values in run.samples.items()},
    )


def mean_of_replicates(replicates: Sequence[Measured]) -> Measured:
    """The mean of each measure over replicates, in each bootstrap sample and over all documents."""
    names = replicates[0].samples
    return Measured(
        {name: value for name, (value, _) in mean_and_deviation([one.values for one in replicates]).items()},
        {name: np.mean([one.samples[name] for one in replicates], axis=0) for name in names},
    )


def mean_and_deviation(replicates: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and sample standard deviation (n - 1) of each measure over replicates: at least two, of equal measures."""
    columns = {name: [one[name] for one in replicates] for name in replicates[0]}
    return {name: (mean(values), stdev(values)) for name, values in columns.items()}


def percentile_intervals(
    measured: Measured, confidence: float, bounds: tuple[float, float] = OF_MEASURE
) -> dict[str, list[float]]:
    """Percentiles [low, high] of the bootstrap samples, cut off at the bounds; none where there are no samples.

    confidence: the share of samples within.
    """
    shares = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {
        name: np.quantile(np.clip(values, *bounds), shares).tolist()
        for name, values in measured.samples.items()
        if len(values)
    }


def check_comparison(runs: Sequence[str], replicates: Sequence[Sequence[str]], reference: str) -> None:
    """Raise UserError where names of runs, of groups of replicates ([name, run, run, ...]) and reference do not fit."""
    if not runs:
        raise UserError("there is no run to compare; give at least one as --run NAME SCORES THRESHOLDS")
    names = [*runs, *(group[0] for group in replicates)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"the name {twice!r} is given to more than one run or group of replicates; rename one of them")
    group_of: dict[str, str] = {}
    for group, *members in replicates:
        if len(members) < 2:
            raise UserError(f"the group of replicates {group!r} has {len(members)} runs; name at least two after it")
        for member in members:
            if member not in runs:
                raise UserError(
                    f"the group of replicates {group!r} names the run {member!r}, which is not there; "
                    f"the runs are {', '.join(runs)}"
                )
            if member in group_of:
                raise UserError(
                    f"the run {member!r} is named more than once in groups of replicates ({group_of[member]!r} and "
                    f"{group!r}); name it in one of them, once"
                )
            group_of[member] = group
    if reference in group_of:
        raise UserError(
            f"the reference {reference!r} is one of the replicates {group_of[reference]!r}, which are compared as "
            f"a mean; give {group_of[reference]!r} as the reference"
        )
    if reference not in names:
        raise UserError(f"the reference {reference!r} is none of the runs: {', '.join(names)}")


def compare(
    runs: Mapping[str, Measured], replicates: Sequence[Sequence[str]], reference: str, confidence: float
) -> list[dict[str, Any]]:
    """One row per run, in the order of the runs, as plain data; replicates are one row, at the place of the first.

    replicates: [name, run, run, ...] for each group; reference: the run, or group, that the differences are to. Raises
    UserError as `check_comparison`. Keys of a row: name; replicates, {run: measures}, empty for a single run; measures
    and differences (run - reference), of replicates the mean; deviations, the sample standard deviations over
    replicates; confidence_intervals and difference_intervals, of what is bootstrapped. All measures by dotted names.
    The reference itself has no differences.
    """
    check_comparison(list(runs), replicates, reference)
    group_of = {member: group for group, *members in replicates for member in members}
    members_of = {group: {name: runs[name] for name in runs if name in members} for group, *members in replicates}
    found = {
        name: mean_of_replicates(list(members_of[name].values())) if name in members_of else runs[name]
        for name in dict.fromkeys(group_of.get(run, run) for run in runs)
    }
    return [
        _row(name, measured, members_of.get(name, {}), confidence)
        | _differences(None if name == reference else difference(measured, found[reference]), confidence)
        for name, measured in found.items()
    ]


def _row(name: str, measured: Measured, members: Mapping[str, Measured], confidence: float) -> dict[str, Any]:
    values = {member: one.values for member, one in members.items()}
    spread = mean_and_deviation(list(values.values())) if values else {}
    return {
        "name": name,
        "measures": measured.values,
        "confidence_intervals": percentile_intervals(measured, confidence),
        "replicates": values,
        "deviations": {measure: deviation for measure, (_, deviation) in spread.items()},
    }


def _differences(measured: Measured | None, confidence: float) -> dict[str, Any]:
    return {
        "differences": measured.values if measured else {},
        "difference_intervals": percentile_intervals(measured, confidence, OF_DIFFERENCE) if measured else {},
    }
