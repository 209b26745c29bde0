"""Groups to splits by the year of their first filing: a model that is trained on the past labels what came later."""

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.names import SPLITS


def by_year(years: pl.Series, documents: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The first years to train, the next ones to val, the last ones to test; int [groups], positions in SPLITS.

    years: [groups], null where it is not known: such groups are in train, since nothing says that they came later;
    documents: int [groups]; shares: float [splits], of the documents.
    No year is in two splits and none of these is without a year. Of all boundaries between years those are taken that
    give the smallest sum over splits of (documents - share asked for)² / share asked for, both in documents (Pearson's
    chi-squared); of equally good ones the earliest.
    Raises UserError where fewer years are known than there are splits, and where more documents are of unknown years
    than train should have.
    """
    known = years.is_not_null().to_numpy()
    values, place = np.unique(years.drop_nulls().to_numpy(), return_inverse=True)
    total, without_year = int(documents.sum()), int(documents[~known].sum())
    if without_year > shares[0] * total:
        raise UserError(
            f"splits.by is 'year', but the year of the first filing is not known for {without_year:,} of {total:,} "
            f"documents, more than the share of train; leave them out with corpus.first_year, or set splits.by to "
            "'labels'"
        )
    if len(values) < len(SPLITS):
        named = ", ".join(map(str, values))
        raise UserError(
            f"splits.by is 'year', and no year may be in two splits, but the corpus has first filings of {named} only; "
            "widen corpus.first_year and corpus.last_year, or set splits.by to 'labels'"
        )
    of_years = np.zeros(len(values), dtype=np.int64)
    np.add.at(of_years, place, documents[known])
    val, test = _boundaries(of_years, without_year, shares)
    split_of = np.zeros(len(years), dtype=np.int64)
    split_of[known] = (place >= val).astype(np.int64) + (place >= test)
    return split_of


def _boundaries(of_years: np.ndarray, before_all: int, shares: np.ndarray) -> tuple[int, int]:
    """Positions of the first year of val and of test.

    of_years: int [years], documents of each year; before_all: documents that are in train anyway.
    """
    before = before_all + np.concatenate([[0], np.cumsum(of_years)])  # [years + 1], documents before each year
    val, test = np.triu_indices(len(of_years), k=1)
    val, test = val[val > 0], test[val > 0]
    sizes = np.stack([before[val], before[test] - before[val], before[-1] - before[test]])
    asked = (shares * before[-1])[:, None]
    best = int(((sizes - asked) ** 2 / asked).sum(axis=0).argmin())
    return int(val[best]), int(test[best])
