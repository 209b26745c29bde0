"""The method `blend`: one threshold per label, between its level's global optimum and its own expected F1 optimum."""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import NEVER
from ipcascade.evaluation.options import BlendOptions
from ipcascade.evaluation.threshold_methods.expected_f1 import expected_optima
from ipcascade.evaluation.threshold_methods.global_optimum import global_thresholds
from ipcascade.evaluation.thresholds import Thresholds


def blended_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, options: BlendOptions
) -> Thresholds:
    """One threshold per label; truth: bool, probabilities: float32, both [documents, labels].

    It is the weighted geometric mean exp((1 - share) * log(global) + share * log(expected)) of the thresholds of the
    methods `global` and `expected_f1`. `counts.NEVER` says that there is no threshold, so it is not averaged: a label
    has it where its level's global optimum or its own expected optimum is `counts.NEVER`, unless the share leaves that
    one out. All other thresholds are above 0, as each is halfway between a probability above 0 and a lower one.

    facts: share; global: threshold and f1_micro by level; never: the codes with `counts.NEVER`.
    """
    everywhere = global_thresholds(truth, probabilities, tree)
    expected, _ = expected_optima(probabilities)
    share = options.share
    # Powers, not logarithms: a share of 0 or 1 gives the one or the other threshold bit for bit.
    values = everywhere.values ** (1 - share) * expected**share
    if share < 1:
        values[everywhere.values == NEVER] = NEVER
    if share > 0:
        values[expected == NEVER] = NEVER
    never = [code for code, value in zip(tree.labels, values, strict=True) if value == NEVER]
    return Thresholds(values, "blend", {"share": share, "global": everywhere.facts, "never": never})
