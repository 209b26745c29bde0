"""The one function of iterative-stratification that is used: not documented, so that any version may change it."""

import inspect
from importlib.metadata import version

import numpy as np
from iterstrat import ml_stratifiers

from ipcascade.splits.iterative import iterative_stratification

LIBRARY = f"iterative-stratification {version('iterative-stratification')}"
ADVICE = "see splits/iterative.py, which was written for 0.1.9"


def test_the_function_has_the_signature_that_it_had():
    function = getattr(ml_stratifiers, "IterativeStratification", None)
    assert function is not None, f"{LIBRARY} has no function IterativeStratification any more; {ADVICE}"
    parameters = list(inspect.signature(function).parameters)
    assert parameters == ["labels", "r", "random_state"], f"{LIBRARY} changed the parameters to {parameters}; {ADVICE}"


def test_a_fixed_case_gives_what_it_gave():
    """Twelve groups with one to three of four labels, one group without: the splits that version 0.1.9 gave."""
    has_label = np.array(
        [[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0],
         [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=bool
    )  # fmt: skip
    before = has_label.copy()
    found = iterative_stratification(has_label, np.array([0.5, 0.2, 0.3]), seed=2**63 - 1)
    expected = [0, 0, 2, 0, 0, 2, 0, 2, 1, 0, 2, 1]
    assert found.tolist() == expected, (
        f"{LIBRARY} splits otherwise: {found.tolist()} where it was {expected}. All splits, and whatever is trained on "
        f"them, would change; {ADVICE}"
    )
    assert np.array_equal(has_label, before), f"{LIBRARY} changes the labels that it is given; {ADVICE}"


def test_labels_are_spread_as_the_shares_ask():
    random = np.random.default_rng(0)
    has_label = random.random((1000, 8)) < np.linspace(0.05, 0.5, 8)
    found = iterative_stratification(has_label, np.array([0.7, 0.1, 0.2]), seed=1)
    assert set(found.tolist()) == {0, 1, 2}
    for split, share in enumerate((0.7, 0.1, 0.2)):
        shares = has_label[found == split].sum(axis=0) / has_label.sum(axis=0)
        assert np.abs(shares - share).max() < 0.03
