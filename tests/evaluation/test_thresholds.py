import json
import math

import numpy as np
import pytest
from evaluation_cases import TREES, best_by_trying, f1, make_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.evaluation.counts import NEVER, best_f1
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.options import DecodingOptions, PerLabelOptions, ThresholdOptions
from ipcascade.evaluation.reference_h_f1 import best_on_grid
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from ipcascade.evaluation.threshold_methods.fixed import fixed_thresholds
from ipcascade.evaluation.threshold_methods.global_optimum import global_thresholds
from ipcascade.evaluation.threshold_methods.per_label import per_label_thresholds
from ipcascade.evaluation.threshold_methods.reference import reference_thresholds
from ipcascade.evaluation.thresholds import Thresholds

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
    found = fit_thresholds(truth, probabilities, DEEP, options, DecodingOptions(), seed=0)
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
    found = fit_thresholds(truth, probabilities, TREE, options, DecodingOptions(), seed=0)
    assert found.values[TREE.columns["class"]].tolist() == [NEVER] * 4
    assert set(found.facts["fallen_back"]) >= set(TREE.codes("class"))
    assert found.facts["global"]["class"] == {"threshold": NEVER, "f1_micro": 0.0}
    certain = np.ones((1, WIDTH), dtype=np.float32)
    assert not decode(certain, found.values, TREE, DecodingOptions())[:, TREE.columns["class"]].any()


# The published grid


@pytest.mark.parametrize("confidence", [None, 0.1])
def test_reference_thresholds_are_the_best_pair_of_the_grid(confidence: float | None) -> None:
    truth, probabilities = random_case(40, seed=4)
    found = reference_thresholds(truth, probabilities, TREE, DecodingOptions(confidence=confidence))
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
        fit_thresholds(truth, truth.astype(np.float32), tree, options, DecodingOptions(), 0)


# Fitting and storing


@pytest.mark.parametrize("method", ["fixed", "global", "per_label", "reference"])
def test_fit_goes_by_the_method_and_comes_back_from_json(method: str) -> None:
    truth, probabilities = random_case(80)
    options = ThresholdOptions.model_validate({"method": method})
    decoding = DecodingOptions()
    found = fit_thresholds(truth, probabilities, TREE, options, decoding, seed=3)
    expected = {
        "fixed": lambda: fixed_thresholds({"section": 0.5, "class": 0.5}, TREE),
        "global": lambda: global_thresholds(truth, probabilities, TREE),
        "per_label": lambda: per_label_thresholds(truth, probabilities, TREE, options.per_label, 3),
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


@pytest.mark.parametrize("method", ["fixed", "global", "per_label"])
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_each_method_fits_any_depth(tree: LabelTree, method: str) -> None:
    random = np.random.default_rng(0)
    truth = tree.close(random.random((50, len(tree.labels))) < 0.2)
    probabilities = random.random(truth.shape).astype(np.float32)
    options = ThresholdOptions.model_validate({"method": method, "per_label": {"guard": "joint"}})
    found = fit_thresholds(truth, probabilities, tree, options, DecodingOptions(), seed=3)
    assert found.values.shape == (len(tree.labels),)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    again = Thresholds.from_json(json.loads(json.dumps(found.to_json(tree))), tree)
    assert again.values.tolist() == found.values.tolist()


def test_the_order_of_documents_changes_nothing_but_the_folds() -> None:
    truth, probabilities = random_case(100)
    order = np.random.default_rng(1).permutation(100)
    for method in ("global", "per_label", "reference"):
        options = ThresholdOptions.model_validate({"method": method})
        straight, turned = (
            fit_thresholds(truth[rows], probabilities[rows], TREE, options, DecodingOptions(), 0)
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


def test_invalid_probabilities_are_refused() -> None:
    truth, probabilities = random_case(5)
    probabilities[2, 1] = math.nan
    with pytest.raises(UserError, match="row 2 has the probability nan for the label 'B'"):
        fit_thresholds(truth, probabilities, TREE, ThresholdOptions(), DecodingOptions(), 0)
