import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from ipcascade.config import DecodingOptions, FixedThresholds, PerLabelOptions, ThresholdOptions
from ipcascade.decoding import decode
from ipcascade.errors import UserError
from ipcascade.metrics import reference_h_f1
from ipcascade.randomness import stream
from ipcascade.taxonomy import Taxonomy
from ipcascade.thresholds import (
    NEVER,
    REFERENCE_GRID,
    Thresholds,
    best_f1,
    fit,
    fixed,
    global_optimum,
    per_label,
    reference_grid,
)

TREE = Taxonomy(("A", "B"), ("A01", "B01", "A02", "B02"), ("A", "B", "A", "B"), {})
WIDTH = len(TREE.labels)
LEVELS = TREE.columns.items()

eighths = st.integers(0, 8).map(lambda number: number / 8)
unit = st.floats(0, 1, width=32)


def cases(elements: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Truth and probabilities of a few documents."""
    return st.integers(1, 8).flatmap(
        lambda documents: st.tuples(
            hnp.arrays(bool, (documents, WIDTH)), hnp.arrays(np.float32, (documents, WIDTH), elements=elements)
        )
    )


def random_case(documents: int, seed: int = 0, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = TREE.close(random.random((documents, WIDTH)) < [0.1, 0.1, 0.3, 0.2, 0.1, 0.05])
    return truth, np.round(0.3 * truth + 0.7 * random.random(truth.shape), decimals).astype(np.float32)


def f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(f1_score(truth.ravel(), predicted.ravel(), zero_division=0))


def best_by_trying(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The highest F1 over all thresholds in 0 to 1: each probability, 0, 1 and the points between decide all there is
    to decide."""
    points = np.unique(np.append(probabilities.astype(np.float64), [0.0, 1.0]))
    candidates = np.concatenate([points, (points[1:] + points[:-1]) / 2])
    return max(f1(truth, probabilities > candidate) for candidate in candidates)


# The exact maximum


@given(cases(eighths) | cases(unit))
@settings(max_examples=60, deadline=None)
def test_best_f1_is_the_maximum_over_all_thresholds(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = (matrix.ravel() for matrix in case)
    threshold, reached = best_f1(truth, probabilities)
    assert 0 <= threshold <= 1
    assert reached == pytest.approx(best_by_trying(truth, probabilities))
    # What was promised at the fit is what its application gives, with float32 probabilities as they are.
    assert f1(truth, probabilities > np.float64(threshold)) == pytest.approx(reached)


def test_best_f1_by_hand() -> None:
    probabilities = np.array([0.875, 0.75, 0.5, 0.5, 0.25], dtype=np.float32)
    # The tie at .5 cannot be parted: F1 is 2/4, 4/5, 6/7, 6/8 from the highest cut down; .375 is halfway to .25.
    assert best_f1(np.array([True, True, True, False, False]), probabilities) == (0.375, pytest.approx(6 / 7))
    # Below the last probability there is only 0.
    assert best_f1(np.array([True, True, True, True, True]), probabilities) == (0.125, 1.0)
    # 2/3 at the first cut and at the third: the one with the fewest decisions.
    assert best_f1(np.array([True, False, True, False, False]), probabilities)[0] == pytest.approx(0.8125)


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_nothing_to_find_is_never_decided(probability: float) -> None:
    probabilities = np.full(4, probability, dtype=np.float32)
    assert best_f1(np.zeros(4, dtype=bool), probabilities) == (NEVER, 0.0)


def test_positives_of_probability_zero_cannot_be_found() -> None:
    assert best_f1(np.array([True, True]), np.zeros(2, dtype=np.float32)) == (NEVER, 0.0)


def test_neighbouring_float32_probabilities_are_parted() -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    threshold, reached = best_f1(np.array([True, False]), np.array([high, low]))
    assert reached == 1
    decided = decode(np.full((2, WIDTH), [[high], [low]]), np.full(WIDTH, threshold), TREE, DecodingOptions())
    assert decided.tolist() == [[True] * WIDTH, [False] * WIDTH]


# Levels


@given(cases(eighths))
@settings(max_examples=30, deadline=None)
def test_global_optimum_is_the_maximum_of_each_level(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probabilities = case
    found = global_optimum(truth, probabilities, TREE)
    for level, columns in LEVELS:
        assert len(set(found.values[columns])) == 1
        reached = f1_score(
            truth[:, columns], probabilities[:, columns] > found.values[columns], average="micro", zero_division=0
        )
        assert reached == pytest.approx(best_by_trying(truth[:, columns], probabilities[:, columns]))
        assert found.facts[level] == {"threshold": found.values[columns][0], "f1_micro": pytest.approx(reached)}


def test_fixed_thresholds() -> None:
    found = fixed(FixedThresholds.model_validate({"section": 0.35, "class": 0.1}), TREE)
    assert found.values.tolist() == [0.35, 0.35, 0.1, 0.1, 0.1, 0.1]


# Labels


def test_each_label_gets_its_own_maximum() -> None:
    truth, probabilities = random_case(60)
    found = per_label(truth, probabilities, TREE, PerLabelOptions(floor=0, minimum_positives=1), seed=0)
    assert found.facts["fallen_back"] == {}
    for label in range(WIDTH):
        reached = f1(truth[:, label], probabilities[:, label] > found.values[label])
        assert reached == pytest.approx(best_by_trying(truth[:, label], probabilities[:, label]))


def test_rare_and_hopeless_labels_fall_back_to_their_level() -> None:
    truth, probabilities = random_case(200)
    rare, hopeless, absent = TREE.index["A02"], TREE.index["B01"], TREE.index["B02"]
    truth[:, rare] = np.arange(200) < 4
    truth[:, hopeless] = np.arange(200) % 20 == 0  # ten positives, and probabilities that know nothing of them
    truth[:, absent] = False
    options = PerLabelOptions(floor=0.3, minimum_positives=5)
    found = per_label(truth, probabilities, TREE, options, seed=0)
    alone, f1_alone = best_f1(truth[:, hopeless], probabilities[:, hopeless])
    assert f1_alone < 0.3
    everywhere = global_optimum(truth, probabilities, TREE)
    assert found.facts["fallen_back"] == {
        "A02": "positives: 4",
        "B01": f"best F1: {f1_alone:.4f}",
        "B02": "positives: 0",
    }
    assert found.values[[rare, hopeless, absent]].tolist() == [everywhere.facts["class"]["threshold"]] * 3
    assert found.values[hopeless] != alone
    for code in ("A", "B", "A01"):
        label = TREE.index[code]
        assert found.values[label] == best_f1(truth[:, label], probabilities[:, label])[0]


def literal_joint(truth: np.ndarray, probabilities: np.ndarray, folds: int, seed: int) -> list[float]:
    """The joint method, tried out cut by cut with counts made anew for each."""
    thresholds = [math.nan] * WIDTH
    for _, columns in LEVELS:
        labels = sorted(range(columns.start, columns.stop), key=lambda label: (-truth[:, label].sum(), label))
        before = [0, 0, 0]
        for j, label in enumerate(labels, start=1):
            deal = stream(seed, "thresholds", "joint", TREE.labels[label]).permutation(len(truth))
            chosen, chosen_counts = [], [0, 0, 0]
            for fold in np.array_split(deal, folds):
                true, scores = truth[fold, label], probabilities[fold, label].astype(float)
                distinct = sorted(set(scores), reverse=True)
                candidates = [distinct[0]]
                candidates += [(a + b) / 2 for a, b in zip(distinct, [*distinct[1:], 0.0], strict=True) if a > 0]
                best = None
                for candidate in candidates:
                    decided = scores > candidate
                    tp, fp, fn = (true & decided).sum(), (~true & decided).sum(), (true & ~decided).sum()
                    TP, FP, FN = before[0] + tp, before[1] + fp, before[2] + fn
                    macro = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0
                    micro = 2 * TP / (2 * TP + FP + FN) if TP + FP + FN else 0
                    objective = macro / j + micro
                    if best is None or objective > best[0]:
                        best = objective, candidate, (tp, fp, fn)
                assert best is not None
                chosen.append(best[1])
                chosen_counts = [a + b for a, b in zip(chosen_counts, best[2], strict=True)]
            thresholds[label] = sum(chosen) / folds
            before = [a + b for a, b in zip(before, chosen_counts, strict=True)]
    return thresholds


@pytest.mark.parametrize(("documents", "seed", "decimals"), [(90, 1, 1), (120, 2, 4), (100, 5, 2)])
def test_joint_thresholds_equal_their_literal_search(documents: int, seed: int, decimals: int) -> None:
    truth, probabilities = random_case(documents, seed, decimals)
    assert truth.any(axis=0).all()
    # A section whose positives all have a probability of 0, which no threshold decides.
    probabilities[:, TREE.index["B"]] *= ~truth[:, TREE.index["B"]]
    found = per_label(truth, probabilities, TREE, PerLabelOptions(guard="joint", folds=3), seed)
    assert found.values.tolist() == pytest.approx(literal_joint(truth, probabilities, 3, seed))
    again = per_label(truth, probabilities, TREE, PerLabelOptions(guard="joint", folds=3), seed)
    assert again.values.tolist() == found.values.tolist()
    other = per_label(truth, probabilities, TREE, PerLabelOptions(guard="joint", folds=3), seed + 1)
    assert other.values.tolist() != found.values.tolist()


def test_joint_method_spares_micro_f1_from_a_rare_label() -> None:
    # One frequent label that is easy, one rare label whose only positive stands 21st of 400: its own F1 maximum
    # decides 21 documents for one hit, which costs the pooled F1 more than it gains in macro-F1.
    tree = Taxonomy(("A",), ("A01", "A02"), ("A", "A"), {})
    truth = np.zeros((400, 3), dtype=bool)
    truth[:100, :2] = True
    probabilities = np.where(truth, 0.9, 0.1).astype(np.float32)
    probabilities[:, 2] = np.linspace(0.9, 0.1, 400)
    truth[20, 2] = True
    alone = per_label(truth, probabilities, tree, PerLabelOptions(floor=0, minimum_positives=1), seed=0)
    joint = per_label(truth, probabilities, tree, PerLabelOptions(guard="joint"), seed=0)
    decided = [int((probabilities[:, 2] > thresholds.values[2]).sum()) for thresholds in (alone, joint)]
    assert decided[0] == 21 and decided[1] < 21
    micro = [
        f1_score(truth[:, 1:], probabilities[:, 1:] > thresholds.values[1:], average="micro")
        for thresholds in (alone, joint)
    ]
    assert micro[1] > micro[0]


def test_joint_method_falls_back_where_there_are_no_positives() -> None:
    truth, probabilities = random_case(60)
    truth[:, TREE.index["B02"]] = False
    found = per_label(truth, probabilities, TREE, PerLabelOptions(guard="joint"), seed=0)
    assert found.facts["fallen_back"] == {"B02": "positives: 0"}
    assert found.values[TREE.index["B02"]] == found.facts["global"]["class"]["threshold"]


def test_joint_method_takes_fewer_documents_than_folds() -> None:
    truth, probabilities = random_case(2)
    found = per_label(truth, probabilities, TREE, PerLabelOptions(guard="joint", folds=5), seed=0)
    assert ((found.values >= 0) & (found.values <= 1)).all()


@pytest.mark.parametrize("guard", ["scutfbr", "joint"])
def test_a_level_without_positives_is_never_decided(guard: str) -> None:
    truth, probabilities = random_case(30)
    truth[:, TREE.columns["class"]] = False
    options = ThresholdOptions(method="per_label", per_label=PerLabelOptions.model_validate({"guard": guard}))
    found = fit(truth, probabilities, TREE, options, DecodingOptions(), seed=0)
    assert found.values[TREE.columns["class"]].tolist() == [NEVER] * 4
    assert set(found.facts["fallen_back"]) >= set(TREE.classes)
    assert found.facts["global"]["class"] == {"threshold": NEVER, "f1_micro": 0.0}
    certain = np.ones((1, WIDTH), dtype=np.float32)
    assert not decode(certain, found.values, TREE, DecodingOptions())[:, TREE.columns["class"]].any()


# The published grid


def test_the_published_grid_is_in_exact_decimals() -> None:
    assert [repr(value) for value in REFERENCE_GRID] == [
        "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45", "0.5", "0.55", "0.6", "0.65", "0.7",
    ]  # fmt: skip


@pytest.mark.parametrize("confidence", [None, 0.1])
def test_reference_grid_equals_trying_every_pair(confidence: float | None) -> None:
    truth, probabilities = random_case(40, seed=4)
    decoding = DecodingOptions(confidence=confidence)
    found = reference_grid(truth, probabilities, TREE, decoding)

    def score(section: float, class_: float) -> float:
        predicted = decode(probabilities, np.array([section] * 2 + [class_] * 4), TREE, decoding)
        return math.fsum(reference_h_f1(truth, predicted, TREE)) / len(truth)

    scores = {(s, c): score(s, c) for s in REFERENCE_GRID for c in REFERENCE_GRID}
    highest = max(scores.values())
    pair = min(pair for pair, value in scores.items() if value == highest)
    assert (found.facts["section"], found.facts["class"]) == pair
    assert found.facts["h_f1"] == highest
    assert found.values.tolist() == [pair[0]] * 2 + [pair[1]] * 4


def test_equal_pairs_of_the_grid_go_to_the_lowest() -> None:
    truth = TREE.encode([["A", "A01"], ["B", "B01"]])
    found = reference_grid(truth, truth.astype(np.float32), TREE, DecodingOptions())
    assert (found.facts["section"], found.facts["class"], found.facts["h_f1"]) == (0.1, 0.1, 0.5)


# Fitting and keeping


@pytest.mark.parametrize("method", ["fixed", "global", "per_label", "reference"])
def test_fit_goes_by_the_method_and_comes_back_from_json(method: str) -> None:
    truth, probabilities = random_case(80)
    options = ThresholdOptions.model_validate({"method": method})
    decoding = DecodingOptions()
    found = fit(truth, probabilities, TREE, options, decoding, seed=3)
    expected = {
        "fixed": lambda: fixed(options.fixed, TREE),
        "global": lambda: global_optimum(truth, probabilities, TREE),
        "per_label": lambda: per_label(truth, probabilities, TREE, options.per_label, 3),
        "reference": lambda: reference_grid(truth, probabilities, TREE, decoding),
    }[method]()
    assert found.method == expected.method == method
    assert found.values.dtype == np.float64
    assert found.values.tolist() == expected.values.tolist()

    text = json.dumps(found.to_json(TREE), sort_keys=True, allow_nan=False)
    again = Thresholds.from_json(json.loads(text), TREE)
    assert again.values.tolist() == found.values.tolist()
    assert (again.method, again.facts) == (found.method, found.facts)


def test_the_order_of_documents_changes_nothing_but_the_folds() -> None:
    truth, probabilities = random_case(100)
    order = np.random.default_rng(1).permutation(100)
    for method in ("global", "per_label", "reference"):
        options = ThresholdOptions.model_validate({"method": method})
        straight, turned = (
            fit(truth[rows], probabilities[rows], TREE, options, DecodingOptions(), 0) for rows in (slice(None), order)
        )
        assert straight.values.tolist() == turned.values.tolist()
        assert straight.facts == turned.facts


def test_thresholds_of_another_taxonomy_are_refused() -> None:
    content = fixed(FixedThresholds(), TREE).to_json(TREE)
    del content["thresholds"]["B02"]
    with pytest.raises(UserError, match="only the taxonomy has the label 'B02'"):
        Thresholds.from_json(content, TREE)
    content["thresholds"] |= {"B02": 0.5, "A99": 0.5}
    with pytest.raises(UserError, match="only the thresholds have the label 'A99'"):
        Thresholds.from_json(content, TREE)


def test_improper_probabilities_are_refused() -> None:
    truth, probabilities = random_case(5)
    probabilities[2, 1] = math.nan
    with pytest.raises(UserError, match="row 2 has the probability nan for the label 'B'"):
        fit(truth, probabilities, TREE, ThresholdOptions(), DecodingOptions(), 0)
