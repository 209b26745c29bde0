"""Guaranteed label sets: against brute force over documents and bounds, cases worked by hand, and what they promise."""

import math
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
from evaluation_cases import TWO, random_case
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

from ipcascade.evaluation.bootstrap import group_weights
from ipcascade.evaluation.guarantees import fitted_bound, group_values, guarantees
from ipcascade.evaluation.options import EvaluationOptions, GuaranteeOptions
from ipcascade.evaluation.scored import Scored

EACH_MEASURE = pytest.mark.parametrize("measure", ["recall", "precision"])


def scored(truth: Any, probabilities: Any, groups: Any = None) -> Scored:
    """A split from lists; without groups each document is one of its own."""
    values = np.array(probabilities, dtype=np.float32)
    return Scored(np.array(truth, dtype=bool), values, np.arange(len(values)) if groups is None else groups)


def alike(documents: int, probability: float, true: bool = True) -> Scored:
    """Documents with one label, all of one probability."""
    return scored([[true]] * documents, [[probability]] * documents)


# By brute force


def log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def probability(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def values_of_groups(split: Scored, measure: str, bound: float) -> list[Fraction]:
    """Of each group with documents that count, document by document."""
    documents: dict[Any, list[Fraction]] = {}
    for truth, probabilities, group in zip(split.truth, split.probabilities, split.groups, strict=True):
        found = {label for label, value in enumerate(probabilities) if float(value) > bound}
        true = set(np.flatnonzero(truth).tolist())
        if of := true if measure == "recall" else found:
            documents.setdefault(group, []).append(Fraction(len(true & found), len(of)))
    return [sum(values, Fraction(0)) / len(values) for values in documents.values()]


def p_value(values: list[Fraction], wanted: float) -> float:
    """Of Hoeffding and Bentkus, for the hypothesis that the expected loss, 1 - value, is above what is allowed."""
    if not values:
        return 1.0
    count, loss, allowed = len(values), sum((1 - value for value in values), Fraction(0)), 1 - wanted
    mean = min(float(loss / count), allowed)
    divergence = (1 - mean) * math.log((1 - mean) / (1 - allowed)) + (mean and mean * math.log(mean / allowed))
    at_most = sum(
        math.comb(count, number) * allowed**number * (1 - allowed) ** (count - number)
        for number in range(math.ceil(loss) + 1)
    )
    return min(math.exp(-count * divergence), math.e * at_most)


def bound_by_trying(split: Scored, measure: str, wanted: float, confidence: float) -> float | None:
    if measure == "recall":
        orders = [[0.0, *(probability(-10 + 0.05 * step) for step in range(300))]]
    else:
        first = log_odds(wanted)
        orders = [[probability(first + 3 - 0.05 * step) for step in range(skip, 200)] for skip in (0, 30, 60)]
    found = []
    for order in orders:
        for bound in order:
            if p_value(values_of_groups(split, measure, bound), wanted) > (1 - confidence) / len(orders):
                break
            found.append(bound)
    return (max if measure == "recall" else min)(found, default=None)


@pytest.mark.parametrize(("groups", "lost"), [(30, 0), (30, 1), (200, 12), (400, 35.5), (50, 20), (0, 0)])
def test_p_values_of_mapie_are_those_of_the_formula(groups: int, lost: float) -> None:
    """A function that MAPIE does not document, so that any version may change it."""
    values = [Fraction(1)] * (groups - math.ceil(lost)) + [Fraction(0)] * int(lost)
    values += [Fraction(1, 2)] * (groups - len(values))
    mean = lost / groups if groups else 1.0
    (found,) = compute_hoeffding_bentkus_p_value(np.array([mean]), np.array([float(groups)]), 0.1)[:, 0]
    assert found == pytest.approx(p_value(values, 0.9)), f"MAPIE {version('mapie')}; 1.6.0 agreed"


@EACH_MEASURE
@pytest.mark.parametrize(
    ("seed", "wanted", "confidence"), [(0, 0.7, 0.8), (1, 0.6, 0.9), (2, 0.5, 0.5), (3, 0.99, 0.9)]
)
def test_the_bound_is_what_trying_all_of_them_gives(measure: str, seed: int, wanted: float, confidence: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.random((120, 4)) < 0.3
    split = scored(truth, np.where(truth, random.random(truth.shape) ** 0.3, random.random(truth.shape) ** 8),
                   random.integers(70, size=120))  # fmt: skip
    expected = bound_by_trying(split, measure, wanted, confidence)
    found = fitted_bound(split, measure, wanted, confidence)
    assert (expected is None) == (wanted == 0.99)
    assert found == pytest.approx(expected, rel=1e-9) if expected is not None else found is None


@EACH_MEASURE
def test_values_of_groups_are_those_of_their_documents(measure: str) -> None:
    truth, _, probabilities = random_case(TWO, 60)
    probabilities[:5] = 0
    split = Scored(truth, probabilities, np.random.default_rng(1).integers(25, size=60))
    bounds = np.array([0.0, 0.1, 0.3, 0.75, 0.99])
    values, counts = group_values(split, measure, bounds)
    for column, bound in enumerate(bounds.tolist()):
        expected = [float(value) for value in values_of_groups(split, measure, bound)]
        assert sorted(values[counts[:, column], column]) == pytest.approx(sorted(expected))
    assert not values[~counts].any()


def test_a_probability_equal_to_the_bound_is_not_above_it_and_float32_stays_what_it_is() -> None:
    # 0.1 as a float32 is above 0.1.
    _, counts = group_values(scored([[1], [1]], [[0.5], [0.1]]), "precision", np.array([0.1, 0.5]))
    assert counts.tolist() == [[True, False], [True, False]]


# By hand


def test_a_recall_needs_as_many_groups_as_chance_could_not_give() -> None:
    """Nothing is missed in n groups: with an expected loss of 0.1 that has the probability 0.9 ** n."""
    assert 0.9**21 > 0.1 > 0.9**22
    assert fitted_bound(alike(21, 0.52), "recall", 0.9, 0.9) is None
    bound = fitted_bound(alike(22, 0.52), "recall", 0.9, 0.9)
    assert bound is not None and log_odds(0.52) - 0.05 < log_odds(bound) < log_odds(0.52)


def test_a_whole_number_of_losses_stays_one() -> None:
    """MAPIE rounds losses up, and 237 times their mean is a little above 15."""
    assert 15 / 237 * 237 > 15
    values = [Fraction(0)] * 15 + [Fraction(1)] * 222
    assert p_value(values, 0.9) < 0.1 < p_value([Fraction(0), *values[:-1]], 0.9)
    bound = fitted_bound(scored([[1]] * 237, [[0.3]] * 15 + [[0.52]] * 222), "recall", 0.9, 0.9)
    assert bound is not None and log_odds(bound) > log_odds(0.52) - 0.05


def test_a_precision_has_a_third_of_the_error_for_each_start() -> None:
    """All labels are right and below all starts but the wanted precision; so there is no lower bound to stop at."""
    third = 0.1 / 3
    assert 0.9**32 > third > 0.9**33
    assert fitted_bound(alike(32, 0.97), "precision", 0.9, 0.9) is None
    assert fitted_bound(alike(33, 0.97), "precision", 0.9, 0.9) == pytest.approx(probability(log_odds(0.9) - 6.95))


def test_a_precision_is_found_where_only_the_surest_labels_are_right() -> None:
    """Those of 0.99 are right, as many of 0.95 wrong: the sequence from the wanted precision on fails at once."""
    split = scored([[1]] * 60 + [[0]] * 60, [[0.99]] * 60 + [[0.95]] * 60)
    bound = fitted_bound(split, "precision", 0.9, 0.9)
    assert bound is not None and log_odds(0.95) <= log_odds(bound) < log_odds(0.95) + 0.05


def test_a_sequence_that_stops_does_not_keep_a_later_one_from_a_lower_bound() -> None:
    """The surest labels are right, the next ones wrong, and most of those above 0.9 right again."""
    split = scored([[1]] * 40 + [[0]] * 30 + [[1]] * 1000, [[0.995]] * 40 + [[0.985]] * 30 + [[0.95]] * 1000)
    assert p_value(values_of_groups(split, "precision", 0.9945), 0.9) < 0.1 / 3, "confirmed by itself"
    assert fitted_bound(split, "precision", 0.9, 0.9) == pytest.approx(probability(log_odds(0.9) - 6.95))


def test_documents_without_labels_and_empty_sets_do_not_count() -> None:
    split = scored([[1, 0], [0, 0], [1, 1]], [[0.9, 0.1], [0.9, 0.1], [0.4, 0.1]])
    values, counts = group_values(split, "recall", np.array([0.5]))
    assert values[counts].tolist() == [1, 0] and counts.ravel().tolist() == [True, False, True]
    values, counts = group_values(split, "precision", np.array([0.5]))
    assert values[counts].tolist() == [1, 0] and counts.ravel().tolist() == [True, True, False]


@EACH_MEASURE
def test_nothing_is_guaranteed_without_documents_that_count(measure: str) -> None:
    assert fitted_bound(scored([[0]] * 50, [[0.0]] * 50), measure, 0.5, 0.5) is None


@EACH_MEASURE
def test_members_of_a_group_are_no_further_evidence(measure: str) -> None:
    copies = np.repeat(np.arange(20), 3)
    alone = alike(20, 0.97)
    assert fitted_bound(Scored(alone.truth[copies], alone.probabilities[copies], copies), measure, 0.9, 0.9) is None
    assert fitted_bound(alike(60, 0.97), measure, 0.9, 0.9) is not None


# What is promised


def families(number: int, seed: int) -> Scored:
    """Groups of 1 to 15 documents that differ little, with probabilities that promise too much."""
    random = np.random.default_rng(seed)
    signal = 2.5 * random.normal(size=(number, 3)) - 0.5
    group = np.repeat(np.arange(number), random.integers(1, 16, size=number))
    truth = random.random((number, 3)) < 1 / (1 + np.exp(-signal))
    moved = 2 * signal[group] + 0.2 * random.normal(size=(len(group), 3))
    return scored(truth[group], 1 / (1 + np.exp(-moved)), group)


@pytest.mark.parametrize(("measure", "wanted"), [("recall", 0.85), ("precision", 0.85)])
def test_too_low_a_value_is_as_rare_as_promised(measure: str, wanted: float) -> None:
    """Over many validation splits, on the groups of a large population that are drawn alike.

    Bounds that are as good as wanted on validation, and no better, are too low in nearly half of the draws; those that
    are fitted as if documents were independent, in more than a fifth.
    """
    population, draws, confidence = families(5_000, seed=1), 200, 0.8
    bounds = [fitted_bound(families(200, seed=draw + 2), measure, wanted, confidence) for draw in range(draws)]
    tried = np.unique([bound for bound in bounds if bound is not None])
    values, counts = group_values(population, measure, tried)
    of_bound = dict(zip(tried.tolist(), values.sum(axis=0) / counts.sum(axis=0), strict=True))
    reached = [of_bound[bound] for bound in bounds if bound is not None]
    assert sum(value < wanted for value in reached) <= (1 - confidence) * draws
    assert len(reached) > 0.8 * draws and np.mean(reached) < wanted + 0.08, "and not by bounds that are merely safe"


# The table


def table(val: Scored, test: Scored, **options: float) -> list[dict[str, Any]]:
    evaluation = EvaluationOptions(bootstrap=40, confidence=0.8)
    return guarantees(val, test, TWO, GuaranteeOptions(**options), evaluation, seed=7)


def split_of(seed: int, documents: int = 400) -> Scored:
    """Each document twice in a row of groups that are hard to sort; probabilities are good."""
    truth, _, noise = random_case(TWO, documents, seed)
    probabilities = np.where(truth, 0.4 + 0.6 * noise, 0.6 * noise).astype(np.float32)
    return Scored(truth, probabilities, np.array([f"g{number // 2}" for number in range(documents)]))


def test_the_table_has_the_bounds_of_val_and_the_values_of_test() -> None:
    val, test = split_of(0), split_of(1)
    rows = table(val, test, recall=0.8, precision=0.7, confidence=0.85)
    assert [(row["level"], row["measure"], row["wanted"]) for row in rows] == [
        (level, measure, wanted) for level in TWO.levels for measure, wanted in (("recall", 0.8), ("precision", 0.7))
    ]
    names = sorted(set(test.groups))
    weights = np.concatenate(list(group_weights(len(names), 40, 7)))
    for row in rows:
        columns, measure, bound = TWO.columns[row["level"]], row["measure"], row["bound"]
        assert bound == fitted_bound(val.of(columns), measure, row["wanted"], 0.85) and row["confidence"] == 0.85
        for name, split in (("val", val), ("test", test)):
            values = values_of_groups(split.of(columns), measure, bound)
            assert row[f"{name}_groups"] == len(values)
            assert row[f"{name}_mean"] == pytest.approx(float(sum(values) / len(values)))
        assert row["val_mean"] > row["wanted"] and row["held"] is (row["test_mean"] >= row["wanted"])
        means = []
        for drawn in weights:
            members = [
                values[0]
                for name, times in zip(names, drawn, strict=True)
                for values in [values_of_groups(member(test.of(columns), name), measure, bound)] * int(times)
                if values
            ]
            means.append(float(sum(members) / len(members)))
        assert [row["test_low"], row["test_high"]] == pytest.approx(np.quantile(means, [0.1, 0.9]).tolist())
        sizes = (test.probabilities[:, columns].astype(float) > bound).sum(axis=1)
        assert row["mean_size"] == pytest.approx(sizes.mean()), "all groups have two documents"
        assert row["share_nonempty"] == pytest.approx((sizes > 0).mean())


def member(split: Scored, name: str) -> Scored:
    chosen = np.asarray(split.groups) == name
    return Scored(split.truth[chosen], split.probabilities[chosen], np.asarray(split.groups)[chosen])


def test_a_guarantee_that_does_not_hold_on_test_is_shown() -> None:
    val = split_of(0)
    test = Scored(~val.truth, val.probabilities, val.groups)
    for row in table(val, test, recall=0.8, precision=0.7):
        assert row["held"] is False and row["test_high"] < row["wanted"] < row["val_mean"]


def test_where_validation_cannot_give_it_the_row_is_empty() -> None:
    few = split_of(0, documents=8)
    for row in table(few, split_of(1)):
        assert row["wanted"] == row["confidence"] == 0.9
        assert {value for name, value in row.items() if name not in ("level", "measure", "wanted", "confidence")} == {
            None
        }


def test_a_test_split_without_a_set_has_no_value() -> None:
    val = split_of(0)
    test = Scored(val.truth, np.zeros_like(val.probabilities), val.groups)
    recall, precision, *_ = table(val, test, recall=0.8, precision=0.7)
    assert (recall["test_mean"], recall["held"], recall["mean_size"]) == (0, False, 0)
    assert precision["bound"] is not None and precision["test_groups"] == 0
    assert precision["test_mean"] is precision["held"] is precision["test_low"] is None


def test_without_bootstrap_samples_there_is_no_interval() -> None:
    val = split_of(0)
    for row in guarantees(val, val, TWO, GuaranteeOptions(recall=0.8), EvaluationOptions(bootstrap=0), seed=7)[:1]:
        assert row["bound"] is not None and row["test_low"] is row["test_high"] is None


def test_large_groups_count_once_in_every_column() -> None:
    """A group of one document with all labels in its set, and one of three with one each."""
    val = alike(40, 0.97)
    groups = ["a", "b", "b", "b"]
    truth, probabilities = [[1, 1, 0]] + [[1, 0, 0]] * 3, [[0.9] * 3] + [[0.9, 0, 0]] * 3
    test = scored(truth, probabilities, groups)
    one = TWO.select(["section"])
    both = Scored(np.repeat(val.truth, 3, axis=1), np.repeat(val.probabilities, 3, axis=1), val.groups)
    row = guarantees(both, test, one, GuaranteeOptions(), EvaluationOptions(bootstrap=0), seed=7)[1]
    assert row["test_mean"] == pytest.approx((2 / 3 + 1) / 2) and row["mean_size"] == (3 + 1) / 2
    assert row["held"] is False
