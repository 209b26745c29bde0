import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_cases import TREES, best_by_trying, f1, make_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from ipcascade.core.errors import UserError
from ipcascade.core.files import write_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.evaluation.counts import NEVER, best_f1
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.options import BlendOptions, DecodingOptions, PerLabelOptions, ThresholdOptions
from ipcascade.evaluation.reference_h_f1 import best_on_grid
from ipcascade.evaluation.threshold_methods.blend import blended_thresholds
from ipcascade.evaluation.threshold_methods.expected_f1 import expected_f1_thresholds, expected_optima
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from ipcascade.evaluation.threshold_methods.fixed import fixed_thresholds
from ipcascade.evaluation.threshold_methods.global_optimum import global_thresholds
from ipcascade.evaluation.threshold_methods.per_label import per_label_thresholds
from ipcascade.evaluation.threshold_methods.reference import reference_thresholds
from ipcascade.evaluation.thresholds import Thresholds, read_thresholds

TREE = make_tree({"section": {"A": "", "B": ""}, "class": {"A01": "A", "B01": "B", "A02": "A", "B02": "B"}})
DEEP = make_tree(
    {
        "section": {"A": "", "B": ""},
        "class": {"A01": "A", "B01": "B", "A02": "A", "B02": "B"},
        "subclass": {"B01X": "B01", "A01X": "A01"},
    }
)
WIDTH = len(TREE.labels)
BOTH = pytest.mark.parametrize("tree", [TREE, DEEP], ids=["two levels", "three levels"])

eighths = st.integers(0, 8).map(lambda number: number / 8)


def random_case(
    documents: int, seed: int = 0, decimals: int = 2, tree: LabelTree = TREE
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    shares = [0.1, 0.1, 0.3, 0.2, 0.1, 0.05, 0.1, 0.2][: len(tree.labels)]
    truth = tree.close(random.random((documents, len(tree.labels))) < shares)
    return truth, np.round(0.3 * truth + 0.7 * random.random(truth.shape), decimals).astype(np.float32)


# Levels


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_global_optimum_is_the_maximum_of_each_level(data: st.DataObject) -> None:
    shape = data.draw(st.integers(1, 8)), len(DEEP.labels)
    truth, probabilities = (
        data.draw(hnp.arrays(bool, shape)), data.draw(hnp.arrays(np.float32, shape, elements=eighths))
    )  # fmt: skip
    found = global_thresholds(truth, probabilities, DEEP)
    for level, columns in DEEP.columns.items():
        assert len(set(found.values[columns])) == 1
        reached = f1_score(
            truth[:, columns], probabilities[:, columns] > found.values[columns], average="micro", zero_division=0
        )
        assert reached == pytest.approx(best_by_trying(truth[:, columns], probabilities[:, columns]))
        assert found.facts[level] == {"threshold": found.values[columns][0], "f1_micro": pytest.approx(reached)}


def test_fixed_thresholds() -> None:
    truth, probabilities = random_case(5, tree=DEEP)
    options = ThresholdOptions(method="fixed", fixed={"section": 0.35, "subclass": 0.2, "default": 0.1})
    found = fit_thresholds(truth, probabilities, DEEP, options, DecodingOptions(method="mask"), seed=0)
    assert found.values.tolist() == [0.35, 0.35, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2]
    assert found.facts == {"section": 0.35, "class": 0.1, "subclass": 0.2}


# Labels


@BOTH
def test_each_label_gets_its_own_maximum(tree: LabelTree) -> None:
    truth, probabilities = random_case(60, tree=tree)
    found = per_label_thresholds(truth, probabilities, tree, PerLabelOptions(floor=0, minimum_positives=1), seed=0)
    assert found.facts["fallen_back"] == {}
    for label in range(len(tree.labels)):
        reached = f1(truth[:, label], probabilities[:, label] > found.values[label])
        assert reached == pytest.approx(best_by_trying(truth[:, label], probabilities[:, label]))


def test_rare_and_hopeless_labels_fall_back_to_their_level() -> None:
    truth, probabilities = random_case(200)
    rare, hopeless, absent = TREE.index["A02"], TREE.index["B01"], TREE.index["B02"]
    truth[:, rare] = np.arange(200) < 4
    truth[:, hopeless] = np.arange(200) % 20 == 0  # ten positives, and probabilities that do not depend on them
    truth[:, absent] = False
    options = PerLabelOptions(floor=0.3, minimum_positives=5)
    found = per_label_thresholds(truth, probabilities, TREE, options, seed=0)
    alone, f1_alone = best_f1(truth[:, hopeless], probabilities[:, hopeless])
    assert f1_alone < 0.3
    everywhere = global_thresholds(truth, probabilities, TREE)
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


def test_a_label_at_its_bounds_keeps_its_own_threshold() -> None:
    """As many positives as are asked for, and a best F1 that is the floor itself."""
    truth, _ = random_case(200)
    own = truth.sum(axis=0)
    options = PerLabelOptions(floor=1, minimum_positives=int(own.min()))
    found = per_label_thresholds(truth, truth.astype(np.float32), TREE, options, seed=0)
    assert found.facts["fallen_back"] == {}


def literal_joint(truth: np.ndarray, probabilities: np.ndarray, tree: LabelTree, folds: int, seed: int) -> list[float]:
    """The joint method, cut by cut, with counts from the beginning for each."""
    thresholds = [math.nan] * len(tree.labels)
    for columns in tree.columns.values():
        labels = sorted(range(columns.start, columns.stop), key=lambda label: (-truth[:, label].sum(), label))
        before = [0, 0, 0]
        for j, label in enumerate(labels, start=1):
            deal = stream(seed, "thresholds", "joint", tree.labels[label]).permutation(len(truth))
            chosen, chosen_counts = [], [0, 0, 0]
            for fold in np.array_split(deal, folds):
                true, scores = truth[fold, label], probabilities[fold, label].astype(float)
                distinct = sorted(set(scores), reverse=True)
                candidates = [distinct[0]]
                candidates += [(a + b) / 2 for a, b in zip(distinct, [*distinct[1:], 0.0], strict=True) if a > 0]
                best = None
                for candidate in candidates:
                    predicted = scores > candidate
                    tp, fp, fn = (true & predicted).sum(), (~true & predicted).sum(), (true & ~predicted).sum()
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


@BOTH
@pytest.mark.parametrize(("documents", "seed", "decimals"), [(90, 1, 1), (120, 2, 4), (100, 5, 2)])
def test_joint_thresholds_equal_their_literal_search(tree: LabelTree, documents: int, seed: int, decimals: int) -> None:
    truth, probabilities = random_case(documents, seed, decimals, tree)
    assert truth.any(axis=0).all()
    # A section whose positives all have a probability of 0, which no threshold finds.
    probabilities[:, tree.index["B"]] *= ~truth[:, tree.index["B"]]
    found = per_label_thresholds(truth, probabilities, tree, PerLabelOptions(guard="joint", folds=3), seed)
    assert found.values.tolist() == pytest.approx(literal_joint(truth, probabilities, tree, 3, seed))
    again = per_label_thresholds(truth, probabilities, tree, PerLabelOptions(guard="joint", folds=3), seed)
    assert again.values.tolist() == found.values.tolist()
    other = per_label_thresholds(truth, probabilities, tree, PerLabelOptions(guard="joint", folds=3), seed + 1)
    assert other.values.tolist() != found.values.tolist()


def test_joint_method_spares_micro_f1_from_a_rare_label() -> None:
    # One frequent label that is easy, one rare label whose only positive is 21st of 400: its own F1 maximum
    # predicts 21 documents for one hit, which costs the micro F1 more than it gains in macro F1.
    tree = make_tree({"section": {"A": ""}, "class": {"A01": "A", "A02": "A"}})
    truth = np.zeros((400, 3), dtype=bool)
    truth[:100, :2] = True
    probabilities = np.where(truth, 0.9, 0.1).astype(np.float32)
    probabilities[:, 2] = np.linspace(0.9, 0.1, 400)
    truth[20, 2] = True
    alone = per_label_thresholds(truth, probabilities, tree, PerLabelOptions(floor=0, minimum_positives=1), seed=0)
    joint = per_label_thresholds(truth, probabilities, tree, PerLabelOptions(guard="joint"), seed=0)
    predicted = [int((probabilities[:, 2] > thresholds.values[2]).sum()) for thresholds in (alone, joint)]
    assert predicted[0] == 21 and predicted[1] < 21
    micro = [
        f1_score(truth[:, 1:], probabilities[:, 1:] > thresholds.values[1:], average="micro")
        for thresholds in (alone, joint)
    ]
    assert micro[1] > micro[0]


def test_joint_method_falls_back_where_there_are_no_positives() -> None:
    truth, probabilities = random_case(60)
    truth[:, TREE.index["B02"]] = False
    found = per_label_thresholds(truth, probabilities, TREE, PerLabelOptions(guard="joint"), seed=0)
    assert found.facts["fallen_back"] == {"B02": "positives: 0"}
    assert found.values[TREE.index["B02"]] == found.facts["global"]["class"]["threshold"]


def test_joint_method_takes_fewer_documents_than_folds() -> None:
    truth, probabilities = random_case(2)
    found = per_label_thresholds(truth, probabilities, TREE, PerLabelOptions(guard="joint", folds=5), seed=0)
    assert ((found.values >= 0) & (found.values <= 1)).all()


@pytest.mark.parametrize("guard", ["scutfbr", "joint"])
def test_a_level_without_positives_is_never_predicted(guard: str) -> None:
    truth, probabilities = random_case(30)
    truth[:, TREE.columns["class"]] = False
    options = ThresholdOptions(method="per_label", per_label=PerLabelOptions.model_validate({"guard": guard}))
    found = fit_thresholds(truth, probabilities, TREE, options, DecodingOptions(method="mask"), seed=0)
    assert found.values[TREE.columns["class"]].tolist() == [NEVER] * 4
    assert found.facts["guard"] == guard
    assert set(found.facts["fallen_back"]) >= set(TREE.codes("class"))
    assert found.facts["global"]["class"] == {"threshold": NEVER, "f1_micro": 0.0}
    certain = np.ones((1, WIDTH), dtype=np.float32)
    assert not decode(certain, found.values, TREE, DecodingOptions(method="mask"))[:, TREE.columns["class"]].any()


def test_the_seed_reaches_the_joint_method() -> None:
    truth, probabilities = random_case(60)
    options = ThresholdOptions(method="per_label", per_label=PerLabelOptions(guard="joint"))
    for seed in (3, 4):
        found = fit_thresholds(truth, probabilities, TREE, options, DecodingOptions(method="mask"), seed)
        assert found.values.tolist() == pytest.approx(literal_joint(truth, probabilities, TREE, 3, seed))


# Labels, from their probabilities alone


def expected_f1(probabilities: np.ndarray, threshold: float) -> float:
    """The F1 of a label whose documents are true with their probability: counted with it, and the rest as false."""
    chances = probabilities.astype(float)
    truth, predicted = np.repeat([True, False], len(chances)), np.tile(chances > threshold, 2)
    return float(f1_score(truth, predicted, sample_weight=np.concatenate([chances, 1 - chances]), zero_division=0))


def cuts_of(probabilities: np.ndarray) -> np.ndarray:
    """Thresholds that give all label sets that a threshold can give."""
    points = np.unique(np.append(probabilities.astype(float), [0.0, 1.0]))
    return np.concatenate([points, (points[1:] + points[:-1]) / 2])


@given(st.sampled_from([eighths, st.floats(0, 1, width=32)]), st.data())
@settings(max_examples=60, deadline=None)
def test_no_cut_has_a_higher_expected_f1(elements: st.SearchStrategy[float], data: st.DataObject) -> None:
    probabilities = data.draw(hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=elements))
    thresholds, f1 = expected_optima(probabilities)
    assert thresholds.dtype == f1.dtype == np.float64
    for column, threshold, reached in zip(probabilities.T, thresholds, f1, strict=True):
        found = [expected_f1(column, cut) for cut in cuts_of(column)]
        assert reached == pytest.approx(max(found), abs=1e-12) == pytest.approx(expected_f1(column, threshold))
        predicted = column > threshold
        if column.any():
            # Lipton et al.: just the documents above half the optimum, but for those at it.
            assert (column[predicted] >= reached / 2 - 1e-9).all() and (column[~predicted] <= reached / 2 + 1e-9).all()
        else:
            assert (threshold, reached) == (NEVER, 0)


def test_expected_f1_by_hand() -> None:
    columns = np.array([[0.75, 0.5, 0.25, 0], [0.25, 0.25, 0.25, 0.25], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    thresholds, f1 = expected_optima(columns.T)
    # 2 * .75 / (1 + 1.5), 2 * 1.25 / (2 + 1.5), 2 * 1.5 / (3 + 1.5): the second cut, halfway from .5 to .25.
    # Four times .25: all or none, 2 / (4 + 1). Certain documents alone. Never.
    assert thresholds.tolist() == [0.375, 0.125, 0.5, NEVER]
    assert f1.tolist() == pytest.approx([5 / 7, 2 / 5, 1, 0])


def test_of_equal_cuts_the_one_with_the_fewest_predictions() -> None:
    column = np.array([[0.5], [0.25], [0.25]], dtype=np.float32)  # 1 / 2; 1.5 / 3; 2 / 4
    assert expected_optima(column)[0].tolist() == [0.375]


@BOTH
def test_expected_f1_thresholds_need_no_truth(tree: LabelTree) -> None:
    truth, probabilities = random_case(60, tree=tree)
    probabilities[:, tree.index["B02"]] = 0
    options = ThresholdOptions(method="expected_f1")
    found, other = (
        fit_thresholds(labels, probabilities, tree, options, DecodingOptions(method="mask"), 0)
        for labels in (truth, ~truth)
    )
    assert found.values.tolist() == other.values.tolist() and found.facts == other.facts
    _, f1 = expected_optima(probabilities)
    assert found.facts == {
        "f1_macro": {level: pytest.approx(f1[columns].mean()) for level, columns in tree.columns.items()},
        "never": ["B02"],
    }
    assert found.values[tree.index["B02"]] == NEVER


def test_on_calibrated_probabilities_the_expected_f1_is_reached() -> None:
    random = np.random.default_rng(0)
    probabilities = random.beta(0.2, 2, (40_000, WIDTH)).astype(np.float32)
    truth = random.random(probabilities.shape) < probabilities
    thresholds, expected = expected_optima(probabilities)
    for label in range(WIDTH):
        reached = f1(truth[:, label], probabilities[:, label] > thresholds[label])
        assert reached == pytest.approx(expected[label], abs=0.02)
        assert reached == pytest.approx(best_f1(truth[:, label], probabilities[:, label])[1], abs=0.01)


@BOTH
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_blend_is_the_weighted_geometric_mean(tree: LabelTree, share: float) -> None:
    truth, probabilities = random_case(60, tree=tree)
    found = blended_thresholds(truth, probabilities, tree, BlendOptions(share=share))
    everywhere = global_thresholds(truth, probabilities, tree)
    expected = expected_f1_thresholds(probabilities, tree)
    assert not set(everywhere.values) & set(expected.values)
    pairs = zip(everywhere.values, expected.values, strict=True)
    means = [math.exp((1 - share) * math.log(one) + share * math.log(other)) for one, other in pairs]
    assert found.values.tolist() == pytest.approx(means)
    assert found.facts == {"share": share, "global": everywhere.facts, "never": []}
    if share in (0, 1):
        assert found.values.tolist() == (expected if share else everywhere).values.tolist(), "bit for bit"


def test_blend_by_hand() -> None:
    tree = make_tree({"section": {"A": "", "B": ""}})
    probabilities = np.array([[0.5, 0.25], [0.5, 0.25], [0, 0]], dtype=np.float32)
    truth = np.array([[True, False], [True, False], [False, False]])
    # The level's optimum lies halfway from .5 to .25; of the labels' own, halfway from .5 and .25 to 0.
    found = blended_thresholds(truth, probabilities, tree, BlendOptions())
    assert found.values.tolist() == pytest.approx([math.sqrt(0.375 * 0.25), math.sqrt(0.375 * 0.125)])


@pytest.mark.parametrize(
    ("share", "never"),
    [
        (0.0, ["A01", "B01", "A02", "B02"]),
        (0.5, ["B", "A01", "B01", "A02", "B02"]),
        (1.0, ["B", "B02"]),
    ],
)
def test_never_is_not_averaged(share: float, never: list[str]) -> None:
    """No class has a positive; all probabilities of B and B02 are 0."""
    truth, probabilities = random_case(60)
    truth[:, TREE.columns["class"]] = False
    probabilities[:, [TREE.index["B"], TREE.index["B02"]]] = 0
    found = blended_thresholds(truth, probabilities, TREE, BlendOptions(share=share))
    assert found.facts["never"] == never
    assert [code for code, value in zip(TREE.labels, found.values, strict=True) if value == NEVER] == never
    assert (found.values > 0).all()
    certain = np.ones((1, WIDTH), dtype=np.float32)
    for method in ("mask", "coherent"):
        decoding = DecodingOptions.model_validate({"method": method, "at_least_one": True})
        labels = decode(certain, found.values, TREE, decoding)
        assert not labels[:, [TREE.index[code] for code in never]].any()


# The published grid


@pytest.mark.parametrize("confidence", [None, 0.1])
def test_reference_thresholds_are_the_best_pair_of_the_grid(confidence: float | None) -> None:
    truth, probabilities = random_case(40, seed=4)
    found = reference_thresholds(truth, probabilities, TREE, DecodingOptions(method="mask", confidence=confidence))
    best = best_on_grid(truth, probabilities, TREE, confidence)
    section, class_ = best.thresholds["section"], best.thresholds["class"]
    assert found.facts == {"section": section, "class": class_, "h_f1": best.h_f1}
    assert found.values.tolist() == [section] * 2 + [class_] * 4


@pytest.mark.parametrize(("name", "levels"), [("one level", 1), ("three levels", 3)])
def test_reference_thresholds_need_two_levels(name: str, levels: int) -> None:
    tree = TREES[name]
    truth = np.zeros((2, len(tree.labels)), dtype=bool)
    options = ThresholdOptions(method="reference")
    with pytest.raises(UserError, match=f"two levels, and the label tree has {levels}"):
        fit_thresholds(truth, truth.astype(np.float32), tree, options, DecodingOptions(method="mask"), 0)


# Fitting and storing


@pytest.mark.parametrize("method", ["fixed", "global", "per_label", "expected_f1", "blend", "reference"])
def test_fit_goes_by_the_method_and_comes_back_from_json(method: str) -> None:
    truth, probabilities = random_case(80)
    options = ThresholdOptions.model_validate({"method": method})
    decoding = DecodingOptions(method="mask")
    found = fit_thresholds(truth, probabilities, TREE, options, decoding, seed=3)
    expected = {
        "fixed": lambda: fixed_thresholds({"section": 0.5, "class": 0.5}, TREE),
        "global": lambda: global_thresholds(truth, probabilities, TREE),
        "per_label": lambda: per_label_thresholds(truth, probabilities, TREE, options.per_label, 3),
        "expected_f1": lambda: expected_f1_thresholds(probabilities, TREE),
        "blend": lambda: blended_thresholds(truth, probabilities, TREE, options.blend),
        "reference": lambda: reference_thresholds(truth, probabilities, TREE, decoding),
    }[method]()
    assert found.method == expected.method == method
    assert found.values.dtype == np.float64
    assert found.values.tolist() == expected.values.tolist()

    text = json.dumps(found.to_json(TREE), sort_keys=True, allow_nan=False)
    again = Thresholds.from_json(json.loads(text), TREE)
    assert again.values.tolist() == found.values.tolist()
    assert (again.method, again.facts) == (found.method, found.facts)
    assert json.loads(text)["levels"] == ["section", "class"]


@pytest.mark.parametrize("method", ["fixed", "global", "per_label", "expected_f1", "blend"])
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_each_method_fits_any_depth(tree: LabelTree, method: str) -> None:
    random = np.random.default_rng(0)
    truth = tree.close(random.random((50, len(tree.labels))) < 0.2)
    probabilities = random.random(truth.shape).astype(np.float32)
    options = ThresholdOptions.model_validate({"method": method, "per_label": {"guard": "joint"}})
    found = fit_thresholds(truth, probabilities, tree, options, DecodingOptions(method="mask"), seed=3)
    assert found.values.shape == (len(tree.labels),)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    again = Thresholds.from_json(json.loads(json.dumps(found.to_json(tree))), tree)
    assert again.values.tolist() == found.values.tolist()


def test_the_order_of_documents_changes_nothing_but_the_folds() -> None:
    truth, probabilities = random_case(100)
    order = np.random.default_rng(1).permutation(100)
    for method in ("global", "per_label", "expected_f1", "blend", "reference"):
        options = ThresholdOptions.model_validate({"method": method})
        straight, turned = (
            fit_thresholds(truth[rows], probabilities[rows], TREE, options, DecodingOptions(method="mask"), 0)
            for rows in (slice(None), order)
        )
        assert straight.values.tolist() == turned.values.tolist()
        assert straight.facts == turned.facts


def test_thresholds_of_another_label_tree_are_refused() -> None:
    content = fixed_thresholds({"section": 0.5, "class": 0.5}, TREE).to_json(TREE)
    with pytest.raises(UserError, match="the levels are section, class and group, code"):
        renamed = {"group": {"A": "", "B": ""}, "code": {"A01": "A", "B01": "B", "A02": "A", "B02": "B"}}
        Thresholds.from_json(content, make_tree(renamed))
    with pytest.raises(UserError, match="only the label tree has the label 'A01X'"):
        Thresholds.from_json(content, DEEP)
    del content["thresholds"]["B02"]
    with pytest.raises(UserError, match="only the label tree has the label 'B02'"):
        Thresholds.from_json(content, TREE)
    content["thresholds"] |= {"B02": 0.5, "A99": 0.5}
    with pytest.raises(UserError, match="only the thresholds have the label 'A99'"):
        Thresholds.from_json(content, TREE)


def stored(path: Path, decoding: dict[str, Any]) -> Path:
    content = fixed_thresholds({"section": 0.5, "class": 0.5}, TREE).to_json(TREE)
    write_json(path, content | {"decoding": decoding})
    return path


def test_a_file_from_before_an_option_has_its_default(tmp_path: Path) -> None:
    path = stored(tmp_path / "thresholds.json", {"method": "mask", "confidence": 0.25})
    thresholds, decoding = read_thresholds(path, TREE)
    assert thresholds.values.tolist() == [0.5] * WIDTH
    assert decoding == DecodingOptions(method="mask", confidence=0.25, at_least_one=False, at_most=None)


def test_the_decoding_is_read_as_it_was_stored(tmp_path: Path) -> None:
    decoding = DecodingOptions(method="coherent", at_least_one=True, at_most={"class": 3, "default": 2})
    path = stored(tmp_path / "thresholds.json", decoding.model_dump(mode="json"))
    assert read_thresholds(path, TREE)[1] == decoding


@pytest.mark.parametrize(
    ("decoding", "words"),
    [
        ({"at_most": {"clas": 2}}, r"decoding\.at_most has 'clas', which is not a level of the label tree \(section"),
        ({"at_most": {"class": 0}}, r"has 0 as 'decoding\.at_most\.class'"),
        ({"at_least_one": "x"}, r"has 'x' as 'decoding\.at_least_one'"),
    ],
)
def test_a_stored_decoding_that_is_none_is_refused(tmp_path: Path, decoding: dict[str, Any], words: str) -> None:
    path = stored(tmp_path / "thresholds.json", decoding)
    with pytest.raises(UserError, match=words) as failure:
        read_thresholds(path, TREE)
    assert str(failure.value).startswith(str(path))


def test_invalid_probabilities_are_refused() -> None:
    truth, probabilities = random_case(5)
    probabilities[2, 1] = math.nan
    with pytest.raises(UserError, match="row 2 has the probability nan for the label 'B'"):
        fit_thresholds(truth, probabilities, TREE, ThresholdOptions(), DecodingOptions(method="mask"), 0)
