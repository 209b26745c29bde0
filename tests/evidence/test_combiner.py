"""One calibrated probability from several sources: against scikit-learn, and what cross-fitting must not know."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ipcascade.core.errors import UserError
from ipcascade.core.files import write_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.evidence.combiner import BelowWeights, Combiner, LevelWeights, cross_fitted, fit_combiner, read_combiner
from ipcascade.evidence.log_odds import log_odds, probability
from ipcascade.evidence.options import NeighbourOptions

TREE = LabelTree.from_json(
    {
        "levels": ["top", "low"],
        "labels": [
            {"code": code, "parent": parent, "level": level, "title": code}
            for code, parent, level in
            [("a", None, "top"), ("b", None, "top"), ("a1", "a", "low"), ("a2", "a", "low"), ("b1", "b", "low")]
        ],
    }
)  # fmt: skip
DOCUMENTS = 400
COUNTS = (3, 400, 2, 0, 90)


@pytest.fixture(scope="module")
def data():
    """Truth, and two sources that each see it through noise of their own, on scales of their own."""
    random = np.random.default_rng(0)
    truth = random.random((DOCUMENTS, 5)) < 0.3
    scores = {
        "network": (truth * 2.0 - 1 + random.normal(size=truth.shape)).astype(np.float32),
        "linear": (0.1 * (truth * 2.0 - 1 + random.normal(size=truth.shape)) + 3).astype(np.float32),
    }
    return scores, truth


def test_one_regression_per_level_as_scikit_learn_fits_it(data):
    scores, truth = data
    combiner = fit_combiner(scores, truth, TREE)
    for level, columns in TREE.columns.items():
        features = np.stack([values[:, columns].ravel() for values in scores.values()], axis=1)
        oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(features, truth[:, columns].ravel())
        expected = oracle.predict_proba(features)[:, 1].reshape(DOCUMENTS, -1)
        np.testing.assert_allclose(combiner.probabilities(scores, TREE)[:, columns], expected, atol=0.01)
        weights = combiner.levels[level].weights
        np.testing.assert_allclose(weights, oracle.coef_[0], rtol=0.05)


def test_probabilities_are_calibrated_by_level(data):
    """A fit by maximum likelihood with a free shift: on its own documents the means agree."""
    scores, truth = data
    found = fit_combiner(scores, truth, TREE).probabilities(scores, TREE)
    for columns in TREE.columns.values():
        assert found[:, columns].mean() == pytest.approx(truth[:, columns].mean(), abs=1e-4)


def test_two_sources_are_better_than_one(data):
    scores, truth = data

    def log_loss(names):
        some = {name: scores[name] for name in names}
        found = cross_fitted(some, truth, np.arange(DOCUMENTS), TREE, 5, seed=0).astype(float)
        return -np.mean(np.where(truth, np.log(found), np.log1p(-found)))

    assert log_loss(["network", "linear"]) < 0.9 * min(log_loss(["network"]), log_loss(["linear"]))


def test_cross_fitting_knows_nothing_of_a_documents_own_group(data):
    """Whatever the labels of a group are, the probabilities of its documents stay; those of others move."""
    scores, truth = data
    groups = np.arange(DOCUMENTS) // 4
    before = cross_fitted(scores, truth, groups, TREE, 5, seed=3)
    for group in (0, 17, 99):
        changed = truth.copy()
        changed[groups == group] ^= True
        after = cross_fitted(scores, changed, groups, TREE, 5, seed=3)
        assert np.array_equal(after[groups == group], before[groups == group])
        assert not np.array_equal(after, before)


def test_folds_are_of_nearly_equal_size_and_drawn_by_the_seed(data):
    scores, truth = data
    found = cross_fitted(scores, truth, np.arange(DOCUMENTS), TREE, 4, seed=0)
    slopes = {}  # a fold is known by its weights
    for row in range(DOCUMENTS):
        matrix = np.array([[scores["network"][row, column], scores["linear"][row, column], 1] for column in (2, 3, 4)])
        weights = np.linalg.solve(matrix, log_odds(found[row, 2:]).astype(float))
        slopes.setdefault(tuple(np.round(weights, 2)), []).append(row)
    largest = sorted((len(rows) for rows in slopes.values()), reverse=True)[:4]
    assert min(largest) > 80  # of 100 each; rounding puts some rows elsewhere
    assert not np.array_equal(found, cross_fitted(scores, truth, np.arange(DOCUMENTS), TREE, 4, seed=1))


def test_the_order_of_documents_changes_nothing(data):
    scores, truth = data
    groups = np.array([f"g{number % 90}" for number in range(DOCUMENTS)])
    order = np.random.default_rng(5).permutation(DOCUMENTS)
    one = cross_fitted(scores, truth, groups, TREE, 5, seed=0)
    other = cross_fitted({name: s[order] for name, s in scores.items()}, truth[order], groups[order], TREE, 5, seed=0)
    np.testing.assert_allclose(other, one[order], atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_fewer_groups_than_folds(data, groups):
    scores, truth = data
    found = cross_fitted(scores, truth, np.arange(DOCUMENTS) % groups, TREE, 5, seed=0)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("value", [False, True])
def test_a_level_that_validation_cannot_calibrate(data, value):
    scores, truth = data
    changed = truth.copy()
    changed[:, TREE.columns["low"]] = value
    found = fit_combiner(scores, changed, TREE).probabilities(scores, TREE)
    assert (np.abs(found[:, TREE.columns["low"]] - value) < 1e-6).all()
    unchanged = fit_combiner(scores, truth, TREE).probabilities(scores, TREE)
    assert np.array_equal(found[:, :2], unchanged[:, :2])


def test_an_infinite_score_decides_and_does_not_reach_the_fit(data):
    scores, truth = data
    changed = {name: values.copy() for name, values in scores.items()}
    changed["linear"][:, 2], changed["linear"][:, 3] = -np.inf, np.inf
    found = fit_combiner(changed, truth, TREE).probabilities(changed, TREE)
    assert (found[:, 2] == 0).all() and (found[:, 3] == 1).all()
    assert ((found[:, 4] > 0) & (found[:, 4] < 1)).all()


def by_scikit_learn(features, positives):
    """Probabilities of a regression with a little regularisation; features: [cells, features]."""
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, tol=1e-10, max_iter=5000))
    return oracle.fit(features, positives).predict_proba(features)[:, 1]


def test_weights_change_with_training_documents_and_labels_below(data):
    """Both regressions as scikit-learn fits them, the upper level's own features worked out label by label."""
    scores, truth = data
    combiner = fit_combiner(scores, truth, TREE, COUNTS)
    found = combiner.probabilities(scores, TREE)
    first = {}
    for level, columns in TREE.columns.items():
        cells = []
        for document in range(DOCUMENTS):
            for label in range(columns.start, columns.stop):
                one, other, log = (
                    scores["network"][document, label],
                    scores["linear"][document, label],
                    np.log(1 + COUNTS[label]),
                )
                cells.append([one, other, log, one * log, other * log])
        first[level] = by_scikit_learn(np.array(cells), truth[:, columns].ravel()).reshape(DOCUMENTS, -1)
    levels = {level: replace(fitted, below=None) for level, fitted in combiner.levels.items()}
    own = replace(combiner, levels=levels).probabilities(scores, TREE)
    np.testing.assert_allclose(own, np.concatenate([first["top"], first["low"]], axis=1), atol=1e-4)
    assert np.array_equal(found[:, 2:], own[:, 2:])
    below = np.stack([1 - (1 - found[:, 2]) * (1 - found[:, 3]), found[:, 4]], axis=1)
    features = np.stack([log_odds(own[:, :2]).ravel(), log_odds(below).ravel()], axis=1)
    expected = by_scikit_learn(features, truth[:, :2].ravel()).reshape(DOCUMENTS, 2)
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-3)


def test_frequency_is_what_the_number_of_training_documents_is(data):
    """Labels whose scores are worth more the more documents they have: the fit finds the slope."""
    random = np.random.default_rng(1)
    counts = (1, 10, 100, 1000, 10_000)
    scores = {"network": random.normal(size=(4000, 5)).astype(np.float32)}
    slopes = 0.2 + 0.3 * np.log1p(counts)
    truth = random.random((4000, 5)) < probability(scores["network"] * slopes)
    tree = LabelTree.from_json({"levels": ["only"], "labels": [
        {"code": code, "parent": None, "level": "only", "title": code} for code in "abcde"
    ]})  # fmt: skip
    (fitted,) = fit_combiner(scores, truth, tree, counts).levels.values()
    assert fitted.weights[0] == pytest.approx(0.2, abs=0.1)
    assert fitted.frequency_weights[0] == pytest.approx(0.3, abs=0.04)
    assert fitted.shift == pytest.approx(0, abs=0.2) and fitted.frequency_shift == pytest.approx(0, abs=0.05)
    assert fitted.below is None


def test_a_label_without_others_below_is_left_to_its_sources(data):
    scores, truth = data
    tree = LabelTree.from_json({"levels": ["top", "low"], "labels": [
        {"code": code, "parent": parent, "level": level, "title": code}
        for code, parent, level in
        [("a", None, "top"), ("b", None, "top"), ("a1", "a", "low"), ("a2", "a", "low"), ("a3", "a", "low")]
    ]})  # fmt: skip
    with_below = fit_combiner(scores, truth, tree, COUNTS)
    without = Combiner(
        with_below.sources,
        {"low": with_below.levels["low"], "top": replace(with_below.levels["top"], below=None)},
        with_below.training_documents,
    )
    one, other = (combiner.probabilities(scores, tree) for combiner in (with_below, without))
    assert np.array_equal(one[:, 1:], other[:, 1:])
    assert not np.allclose(one[:, 0], other[:, 0])


def test_labels_below_that_are_decided_do_not_decide_above(data):
    """No training document had a1 and all had a2: for a that is no certainty."""
    scores, truth = data
    changed = {name: values.copy() for name, values in scores.items()}
    changed["linear"][:, 2], changed["linear"][:, 3] = -np.inf, np.inf
    found = fit_combiner(changed, truth, TREE, COUNTS).probabilities(changed, TREE)
    assert (found[:, 2] == 0).all() and (found[:, 3] == 1).all()
    assert ((found[:, :2] > 0) & (found[:, :2] < 1)).all()


def test_cross_fitting_with_training_documents_is_fitting_on_the_others(data):
    scores, truth = data
    groups = np.arange(DOCUMENTS) % 2
    found = cross_fitted(scores, truth, groups, TREE, 2, 0, COUNTS)
    for group in (0, 1):
        here, there = groups == group, groups != group
        combiner = fit_combiner({name: of[there] for name, of in scores.items()}, truth[there], TREE, COUNTS)
        expected = combiner.probabilities({name: of[here] for name, of in scores.items()}, TREE)
        assert np.array_equal(found[here], expected)


def test_separable_scores_have_finite_weights():
    truth = np.array([[True, False, True, False, False], [False, True, False, False, True]])
    combiner = fit_combiner({"network": np.where(truth, 1.0, -1.0).astype(np.float32)}, truth, TREE)
    assert all(np.isfinite([fitted.shift, *fitted.weights]).all() for fitted in combiner.levels.values())


def test_without_levels_the_networks_probabilities_stay_as_they_are():
    probabilities = np.array([[0.0, 1.0, 0.25, 0.5, 1e-6]], dtype=np.float32)
    found = Combiner(("network",), {}).probabilities({"network": log_odds(probabilities)}, TREE)
    np.testing.assert_allclose(found, probabilities, atol=2e-7)


def test_log_odds_and_back():
    values = np.array([0, 1e-5, 0.2, 0.5, 0.999, 1], dtype=np.float32)
    assert log_odds(values)[[0, -1]].tolist() == [-16, 16]
    np.testing.assert_allclose(probability(log_odds(values)), values, atol=2e-7)
    np.testing.assert_allclose(log_odds(np.array([0.2])), np.log(0.25), rtol=1e-6)


@pytest.mark.parametrize("counts", [(), COUNTS])
def test_what_is_written_is_what_is_read(data, tmp_path, counts):
    scores, truth = data
    combiner = fit_combiner(scores, truth, TREE, counts)
    options = NeighbourOptions(count=7, temperature=0.2)
    write_json(tmp_path / "combiner.json", combiner.to_json(TREE) | {"neighbours": options.model_dump(mode="json")})
    assert read_combiner(tmp_path / "combiner.json", TREE) == (combiner, options)


LEVEL = {"shift": 0.5, "weights": {"network": 1.0, "linear": 2.0}, "by_frequency": None, "below": None}
BY_FREQUENCY = {"shift": 0.1, "weights": {"network": 0.3, "linear": 0.2}}
ALL_COUNTED = dict(zip(TREE.labels, COUNTS, strict=True))


def changed(**keys):
    content = {"sources": ["network", "linear"], "levels": {"top": LEVEL, "low": LEVEL}, "training_documents": None}
    content |= {"neighbours": {"count": 30, "temperature": 0.05}, "schema_version": 2}
    return json.dumps(content | keys)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "combiner.json"),
        (changed(levels={"top": LEVEL}), "of the levels top, the"),
        (
            changed(
                levels={"top": LEVEL, "low": LEVEL | {"by_frequency": {"shift": 0.1, "weights": {"network": 1.0}}}}
            ),
            "does not have a weight for each of network, linear",
        ),
        (changed(levels={"top": LEVEL, "low": LEVEL | {"by_frequency": BY_FREQUENCY}}), "training documents of each"),
        (
            changed(levels={"top": LEVEL | {"by_frequency": BY_FREQUENCY}, "low": LEVEL}, training_documents={"a": 1}),
            "training documents of each",
        ),
        (changed(levels={"top": LEVEL | {"below": {"shift": 1.0, "own": 1.0}}, "low": LEVEL}), "below"),
        (changed(training_documents=ALL_COUNTED | {"a": -1}), "training_documents"),
        (changed(sources=["network"]), "does not have a weight for each of network"),
        (changed(levels={}), "does not have a weight for each of network, linear"),
        (changed(sources=["magic"]), "sources"),
        (changed(neighbours={"count": 0}), "neighbours.count"),
        (changed(more=1), "more"),
    ],
)
def test_other_files_are_one_sentence(tmp_path, text, sentence):
    (tmp_path / "combiner.json").write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_combiner(tmp_path / "combiner.json", TREE)
    (tmp_path / "combiner.json").write_text(changed())
    combiner, _ = read_combiner(tmp_path / "combiner.json", TREE)
    assert combiner.levels["low"] == LevelWeights(0.5, (1.0, 2.0))
    top = LEVEL | {"by_frequency": BY_FREQUENCY, "below": {"shift": 0.7, "own": 0.8, "below": 0.9}}
    (tmp_path / "combiner.json").write_text(changed(levels={"top": top, "low": LEVEL}, training_documents=ALL_COUNTED))
    combiner, _ = read_combiner(tmp_path / "combiner.json", TREE)
    assert combiner.levels["top"] == LevelWeights(0.5, (1.0, 2.0), 0.1, (0.3, 0.2), BelowWeights(0.7, 0.8, 0.9))
    assert combiner.training_documents == COUNTS
