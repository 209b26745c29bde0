"""How far thresholds move: against fits on documents that were drawn one by one, and cases without any movement."""

from typing import Any

import numpy as np
import pytest
from evaluation_cases import THREE, TREES, TWO, random_case
from sklearn.metrics import f1_score

from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.bootstrap import group_weights
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.options import BlendOptions, DecodingOptions, PerLabelOptions, ThresholdOptions
from ipcascade.evaluation.scored import Scored
from ipcascade.evaluation.stability import stability
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds

MASK = DecodingOptions(method="mask", confidence=0.4)
OVER_REFITS = ("mean", "deviation", "low", "high")


def split(tree: LabelTree, documents: int, seed: int) -> Scored:
    """Documents in groups of unequal size; some labels never occur."""
    truth, _, _ = random_case(tree, documents, seed)
    random = np.random.default_rng(seed)
    probabilities = (0.15 * truth + 0.85 * random.random(truth.shape)).astype(np.float32)
    groups = random.integers(documents // 3, size=documents)
    return Scored(truth, probabilities, np.array([f"g{number:03}" for number in groups]))


def rows(val: Scored, test: Scored, tree: LabelTree = TWO, refits: int = 4, **options: Any) -> dict[tuple, dict]:
    """The records by level and quantity."""
    decoding = options.pop("decoding", DecodingOptions())
    records = stability(val, test, tree, ThresholdOptions(**options), decoding, refits, seed=7)
    return {(record.pop("level"), record.pop("quantity")): record for record in records}


def f1(truth: np.ndarray, predicted: np.ndarray, measure: str) -> float:
    """By scikit-learn."""
    supported = np.flatnonzero(truth.any(axis=0))
    how = {"average": "micro"} if measure == "f1_micro" else {"average": "macro", "labels": supported}
    return float(f1_score(truth, predicted, zero_division=0, **how))


@pytest.mark.parametrize(
    ("tree", "options", "decoding"),
    [
        (THREE, {"method": "blend", "blend": BlendOptions(share=0.3)}, DecodingOptions()),
        (TREES["one level"], {"method": "global"}, DecodingOptions(at_least_one=True)),
        (TWO, {"method": "per_label", "per_label": PerLabelOptions(floor=0.5, minimum_positives=3)}, MASK),
        (TWO, {"method": "per_label", "per_label": PerLabelOptions(guard="joint")}, DecodingOptions()),
        (TWO, {"method": "expected_f1"}, DecodingOptions()),
        (TWO, {"method": "reference"}, MASK),
    ],
)
def test_refits_are_fits_on_documents_drawn_by_groups(
    tree: LabelTree, options: dict[str, Any], decoding: DecodingOptions
) -> None:
    val, test = split(tree, 90, seed=1), split(tree, 70, seed=2)
    found = rows(val, test, tree, refits=5, decoding=decoding, **options)
    names = sorted(set(val.groups))

    def fitted(drawn: list[int], **options: Any) -> Any:
        case = val.truth[drawn], val.probabilities[drawn], tree
        return fit_thresholds(*case, ThresholdOptions(**options), decoding, seed=7)

    everyone = list(range(90))
    everything, drawn_documents = fitted(everyone, **options), []
    for weights in np.concatenate(list(group_weights(len(names), 5, 7))):
        times = dict(zip(names, weights.astype(int).tolist(), strict=True))
        drawn_documents.append([document for document in everyone for _ in range(times[val.groups[document]])])
    again = [fitted(drawn, **options) for drawn in drawn_documents]
    for level, columns in tree.columns.items():
        for measure in ("f1_micro", "f1_macro_supported"):

            def reached(on: Scored, thresholds: Any, columns: slice = columns, measure: str = measure) -> float:
                predicted = decode(on.probabilities, thresholds.values, tree, decoding)
                return f1(on.truth[:, columns], predicted[:, columns], measure)

            row, values = found[level, measure], [reached(test, thresholds) for thresholds in again]
            assert row["val"] == pytest.approx(reached(val, everything))
            assert row["fitted"] == pytest.approx(reached(test, everything))
            assert row["fall"] == pytest.approx(reached(val, everything) - reached(test, everything))
            expected = [np.mean(values), np.std(values, ddof=1), *np.percentile(values, [5, 95])]
            assert [row[name] for name in OVER_REFITS] == pytest.approx(expected)
        of_labels = np.array([thresholds.values[columns] for thresholds in again]).T
        row = found[level, "threshold"]
        assert row["fitted"] == pytest.approx(everything.values[columns].mean())
        assert row["mean"] == pytest.approx(of_labels.mean())
        assert row["deviation"] == pytest.approx(np.mean([np.std(values, ddof=1) for values in of_labels]))
        assert row["low"] == pytest.approx(np.mean([np.percentile(values, 5) for values in of_labels]))
        assert row["high"] == pytest.approx(np.mean([np.percentile(values, 95) for values in of_labels]))
        assert row["val"] is row["fall"] is None
        assert ((level, "global_threshold") in found) == (options["method"] in ("global", "blend", "per_label"))
        if row := found.get((level, "global_threshold")):
            of_level, *moved = [
                fitted(drawn, method="global").values[columns.start] for drawn in (everyone, *drawn_documents)
            ]
            expected = [np.mean(moved), np.std(moved, ddof=1), *np.percentile(moved, [5, 95])]
            assert row["fitted"] == of_level and row["deviation"] > 0
            assert [row[name] for name in OVER_REFITS] == pytest.approx(expected)


def test_levels_come_from_the_top_down_and_every_record_has_all_columns() -> None:
    records = stability(
        split(THREE, 60, 1), split(THREE, 60, 2), THREE, ThresholdOptions(), DecodingOptions(), 3, seed=7
    )
    quantities = ["f1_micro", "f1_macro_supported", "threshold", "global_threshold"]
    assert [(record["level"], record["quantity"]) for record in records] == [
        (level, quantity) for level in THREE.levels for quantity in quantities
    ]
    assert len({tuple(record) for record in records}) == 1


def test_thresholds_that_are_not_fitted_do_not_move() -> None:
    found = rows(split(TWO, 60, 1), split(TWO, 60, 2), method="fixed", fixed={"default": 0.3})
    assert len(found) == 6, "no global threshold"
    for row in found.values():
        assert row["deviation"] == pytest.approx(0, abs=1e-12)
        assert [row["mean"], row["low"], row["high"]] == pytest.approx([row["fitted"]] * 3)
    assert found["class", "threshold"]["fitted"] == pytest.approx(0.3)


def test_one_group_is_drawn_whole_and_moves_nothing() -> None:
    val = split(TWO, 60, 1)
    together = Scored(val.truth, val.probabilities, np.full(60, "g"))
    found = rows(together, split(TWO, 60, 2))
    assert found["class", "threshold"]["deviation"] == pytest.approx(0, abs=1e-12)
    assert rows(val, split(TWO, 60, 2))["class", "threshold"]["deviation"] > 0.001


def test_copies_within_a_group_do_not_steady_a_threshold() -> None:
    single = split(TWO, 50, seed=1)
    truth, probabilities = single.truth, single.probabilities
    copies, test = np.repeat(np.arange(50), 4), split(TWO, 60, 2)
    alone = rows(Scored(truth, probabilities, np.arange(50)), test, refits=20, method="global")
    copied = rows(Scored(truth[copies], probabilities[copies], copies), test, refits=20, method="global")
    for key, row in alone.items():
        for name in OVER_REFITS:
            assert copied[key][name] == pytest.approx(row[name]), (key, name)
    as_if_independent = rows(
        Scored(truth[copies], probabilities[copies], np.arange(200)), test, refits=20, method="global"
    )
    key = "class", "global_threshold"
    assert as_if_independent[key]["deviation"] < 0.8 * alone[key]["deviation"]


def test_the_fall_is_from_validation_to_test() -> None:
    truth = TWO.encode([["A", "A01"], ["B", "B01"], ["A", "A02"]])
    val = Scored(truth, np.where(truth, 0.9, 0.1).astype(np.float32), np.arange(3))
    half = truth.copy()
    half[0] = False  # one of three documents has no label, and gets one
    test = Scored(half, val.probabilities, val.groups)
    row = rows(val, test, method="fixed")["class", "f1_micro"]
    assert (row["val"], row["fitted"], row["fall"]) == pytest.approx((1, 4 / 5, 1 / 5))


@pytest.mark.parametrize("refits", [0, 1])
def test_few_refits_leave_out_what_needs_more(refits: int) -> None:
    found = rows(split(TWO, 60, 1), split(TWO, 60, 2), refits=refits)
    for row in found.values():
        assert row["fitted"] is not None and row["deviation"] is None
        assert (row["mean"] is None) == (row["low"] is None) == (row["high"] is None) == (refits == 0)


def test_refits_follow_the_seed() -> None:
    val, test = split(TWO, 60, 1), split(TWO, 60, 2)
    case = val, test, TWO, ThresholdOptions(), DecodingOptions(), 3
    assert stability(*case, seed=7) == stability(*case, seed=7) != stability(*case, seed=8)
