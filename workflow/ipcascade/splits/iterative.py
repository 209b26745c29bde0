"""Iterative stratification: the one place that uses the library iterative-stratification.

The function is not documented and the library is hardly maintained. tests/splits/test_iterative.py checks its signature
and its result on a small case, and says which version changed them.

Time grows with the product of groups and labels, times the labels: for each label in turn the function sums the label
matrix of the groups that are left. It copies that matrix for this, so memory grows by one byte per group and label.
"""

import numpy as np
from iterstrat.ml_stratifiers import IterativeStratification


def iterative_stratification(has_label: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Spread groups over splits so that each label is spread as the groups are (Sechidis et al. 2011).

    has_label: bool [groups, labels]; shares: float [splits], of the groups, with the sum 1; seed: any size.
    Returns the split of each group, int [groups].
    """
    state = np.random.RandomState(np.random.MT19937(seed))
    return IterativeStratification(has_label, shares, state)
