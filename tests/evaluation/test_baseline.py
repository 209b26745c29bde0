"""The linear baseline: one SVM per label, one logistic curve per level, at any depth."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.baseline import fit_and_score
from ipcascade.evaluation.options import BaselineOptions

OPTIONS = BaselineOptions(ngrams=1, minimum_documents=1)
SIZES = {"train": 300, "val": 150, "test": 150}
TREE = LabelTree.from_json(
    {
        "levels": ["top", "middle", "low"],
        "labels": [
            {"code": code, "parent": parent, "level": level, "title": code}
            for code, parent, level in [
                ("a", None, "top"), ("b", None, "top"), ("a1", "a", "middle"), ("a2", "a", "middle"),
                ("b1", "b", "middle"), ("a1x", "a1", "low"), ("a1y", "a1", "low"), ("a2x", "a2", "low"),
            ]
        ],
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def data():
    """Texts of a document's labels and noise; a label's word is often missing, or there without the label."""
    random = np.random.default_rng(0)
    leaves = ("a1x", "a1y", "a2x", "b1")
    texts, truth = {}, {}
    for split, size in SIZES.items():
        chosen = [random.choice(leaves, random.integers(1, 3), replace=False) for _ in range(size)]
        truth[split] = TREE.close(TREE.encode(chosen))
        texts[split] = [
            " ".join(
                [f"word{code}" for code in codes if random.random() < 0.7]
                + [f"word{random.choice(leaves)}" for _ in range(random.integers(0, 2))]
                + [f"noise{random.integers(20)}" for _ in range(5)]
            )
            for codes in chosen
        ]
    return texts, truth


def decisions(texts, positives):
    """Of the label's machine, for the test documents, with scikit-learn alone."""
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    machine = LinearSVC(random_state=0).fit(vectorizer.fit_transform(texts["train"]), positives)
    return machine.decision_function(vectorizer.transform(texts["test"]))


def test_one_logistic_curve_per_level(data):
    """Within a level, the log-odds of all labels are one rising line over the decisions; each level has its own."""
    texts, truth = data
    scores = fit_and_score(texts, truth, TREE, OPTIONS, seed=1)["test"].astype(np.float64)
    slopes = set()
    for columns in TREE.columns.values():
        labels = range(*columns.indices(len(TREE.labels)))
        over = np.concatenate([decisions(texts, truth["train"][:, label]) for label in labels])
        log_odds = np.concatenate([np.log(scores[:, label] / (1 - scores[:, label])) for label in labels])
        slope, shift = np.polyfit(over, log_odds, 1)
        assert np.abs(slope * over + shift - log_odds).max() < 0.02
        assert slope > 0
        slopes.add(round(slope, 3))
    assert len(slopes) == len(TREE.levels)


def test_probabilities_are_calibrated_by_level(data):
    """Platt's scaling is a maximum-likelihood fit with a free shift: on val the means agree exactly."""
    texts, truth = data
    scores = fit_and_score(texts, truth, TREE, OPTIONS, seed=1)["val"]
    for columns in TREE.columns.values():
        assert scores[:, columns].mean() == pytest.approx(truth["val"][:, columns].mean(), abs=1e-3)


def test_labels_that_training_cannot_tell_apart(data):
    texts, truth = data
    never, always = TREE.index["a2x"], TREE.index["a"]
    changed = {split: matrix.copy() for split, matrix in truth.items()}
    changed["train"][:, never], changed["train"][:, always] = False, True
    scores = fit_and_score(texts, changed, TREE, OPTIONS, seed=1)
    for split in ("val", "test"):
        assert scores[split].dtype == np.float32 and scores[split].shape == truth[split].shape
        assert (scores[split][:, never] == 0).all() and (scores[split][:, always] == 1).all()


@pytest.mark.parametrize("value", [False, True])
def test_a_level_that_validation_cannot_calibrate(data, value):
    texts, truth = data
    changed = {split: matrix.copy() for split, matrix in truth.items()}
    changed["val"][:, TREE.columns["low"]] = value
    scores = fit_and_score(texts, changed, TREE, OPTIONS, seed=1)["test"]
    assert (scores[:, TREE.columns["low"]] == value).all()
    others = fit_and_score(texts, truth, TREE, OPTIONS, seed=1)["test"]
    assert np.array_equal(scores[:, : TREE.columns["low"].start], others[:, : TREE.columns["low"].start])


@pytest.mark.parametrize(
    ("texts", "minimum", "sentence"),
    [
        (["pump valve", "pump"], 3, "baseline.minimum_documents is 3, but no word .* is in so many of the 2 training"),
        (["pump", "valve"], 2, "baseline.minimum_documents is 2, but no word"),
        (["a b", "c"], 1, "no word of two letters or more is in so many of the 2 training documents"),
    ],
)
def test_texts_without_a_frequent_word_are_one_sentence(texts, minimum, sentence):
    truth = TREE.encode([["a"], ["b"]])
    options = BaselineOptions(minimum_documents=minimum)
    with pytest.raises(UserError, match=sentence):
        fit_and_score(dict.fromkeys(SIZES, texts), dict.fromkeys(SIZES, truth), TREE, options, seed=1)


def test_the_seed_is_the_only_chance(data):
    texts, truth = data
    one, two = (fit_and_score(texts, truth, TREE, OPTIONS, seed=1) for _ in range(2))
    assert all(np.array_equal(one[split], two[split]) for split in one)
