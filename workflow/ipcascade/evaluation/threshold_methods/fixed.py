"""The method `fixed`: the numbers of the config."""

from collections.abc import Mapping

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.mask import thresholds_of_levels
from ipcascade.evaluation.thresholds import Thresholds


def fixed_thresholds(values: Mapping[str, float], tree: LabelTree) -> Thresholds:
    """One number per level; facts: the numbers by level."""
    return Thresholds(thresholds_of_levels(values, tree), "fixed", dict(values))
