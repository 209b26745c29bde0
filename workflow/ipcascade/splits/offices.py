"""Groups to splits by the office of their first filing: a model that is trained on some offices labels others."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.names import SPLITS
from ipcascade.splits.groups import Groups
from ipcascade.splits.stratification import stratify


def by_office(
    offices: pl.Series,
    test_offices: Sequence[str],
    truth: np.ndarray,
    group_of: np.ndarray,
    shares: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Groups first filed at `test_offices` to test, the others stratified to train and val; int [groups] in SPLITS.

    offices: [groups], null where it is not known: such groups are not in test; truth: bool [documents, labels];
    group_of: int [documents], the group of each document; shares: float [splits], of which those of train and val give
    their ratio.
    Raises UserError where nothing was first filed at one of these offices, and where they leave fewer than two groups.
    """
    _refuse_unknown(offices, test_offices)
    in_test = offices.is_in(list(test_offices)).fill_null(False).to_numpy()
    others = ~in_test
    if others.sum() < 2:
        raise UserError(
            f"splits.test_offices has the offices of {in_test.sum():,} of {len(in_test):,} groups of documents, so "
            "that train or val would be empty; leave other offices to them"
        )
    kept = others[group_of]
    groups = Groups.of(truth[kept], np.unique(group_of[kept], return_inverse=True)[1])
    split_of = np.full(len(offices), SPLITS.index("test"))
    split_of[others] = stratify(groups, shares[:2] / shares[:2].sum(), seed)
    return split_of


def _refuse_unknown(offices: pl.Series, test_offices: Sequence[str]) -> None:
    present = sorted(offices.drop_nulls().unique())
    missing = [office for office in test_offices if office not in present]
    if missing:
        there = f"there are {', '.join(present)}" if present else "no office is known"
        raise UserError(f"splits.test_offices: nothing in the corpus was first filed at {missing[0]!r}; {there}")
