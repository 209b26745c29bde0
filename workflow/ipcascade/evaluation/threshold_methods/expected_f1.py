"""The method `expected_f1`: one threshold per label from its probabilities alone, without true labels.

It takes the probabilities as calibrated: that a probability of p means a share p of positives. Since no true label is
read, a rare label does not overfit.
"""

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.counts import NEVER, best_f1, exact_mean
from ipcascade.evaluation.thresholds import Thresholds


def expected_f1_thresholds(probabilities: np.ndarray, tree: LabelTree) -> Thresholds:
    """One threshold per label; probabilities: float32 [documents, labels].

    facts: f1_macro by level, the mean over labels of the F1 that their probabilities promise; never: the codes whose
    probabilities are all 0, which get `counts.NEVER`.
    """
    values, f1 = expected_optima(probabilities)
    facts = {
        "f1_macro": {level: exact_mean(f1[columns]) for level, columns in tree.columns.items()},
        "never": [code for code, value in zip(tree.labels, values, strict=True) if value == NEVER],
    }
    return Thresholds(values, "expected_f1", facts)


def expected_optima(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each label the threshold t that maximises

        F(t) = 2 * (sum of the p > t) / (number of p > t + sum of all p)

    and this F, both float64 [labels]; probabilities: float32 [documents, labels]. Of equally good cuts the one with the
    fewest predictions is taken; `counts.NEVER` and 0 where all probabilities are 0.

    F(t) is the F1 with the numbers of true positives and of positives replaced by what the probabilities lead one to
    expect. It is largest where just the documents with p > F/2 are predicted (Lipton, Elkan and Naryanaswamy, "Optimal
    Thresholding of Classifiers to Maximize F1 Measure", ECML PKDD 2014, theorem 1).
    """
    # With the probabilities in the place of the truth, the F1 of a cut is F(t).
    optima = [best_f1(column.astype(np.float64), column) for column in probabilities.T]
    values, f1 = np.array(optima).T
    return values, f1
