"""The linear source: one SVM per label, against scikit-learn; what is written is what is read."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from ipcascade.core.errors import UserError
from ipcascade.core.random_streams import stream_seed
from ipcascade.core.tensors import save_tensors
from ipcascade.evidence.linear import LinearModel, fit_linear
from ipcascade.evidence.options import LinearOptions

OPTIONS = LinearOptions(minimum_documents=1, smallest_weight=0)
LABELS = 4


@pytest.fixture(scope="module")
def data():
    """Texts of a document's labels and noise; a label's word is often missing, or there without the label."""
    random = np.random.default_rng(0)
    truth = random.random((300, LABELS)) < 0.4
    texts = [
        " ".join(
            [f"word{label}" for label in range(LABELS) if row[label] == (random.random() < 0.8)]
            + [f"noise{random.integers(20)}" for _ in range(5)]
        )
        for row in truth
    ]
    return texts, truth


@pytest.fixture(scope="module")
def model(data):
    texts, truth = data
    return fit_linear(texts[:200], truth[:200], OPTIONS, seed=1)


@pytest.mark.parametrize(
    ("options", "vectorizer", "c"),
    [
        (OPTIONS, TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), 1.0),
        (LinearOptions(ngrams=1, minimum_documents=3, c=0.1, smallest_weight=0),
         TfidfVectorizer(min_df=3, sublinear_tf=True), 0.1),
        (LinearOptions(ngrams=3, minimum_documents=1, maximum_features=30, smallest_weight=0),
         TfidfVectorizer(ngram_range=(1, 3), max_features=30, sublinear_tf=True), 1.0),
    ],
)  # fmt: skip
def test_decisions_are_those_of_scikit_learn(data, options, vectorizer, c):
    texts, truth = data
    found = fit_linear(texts[:200], truth[:200], options, seed=1).decisions(texts[200:])
    features = vectorizer.fit_transform(texts[:200])
    for label in range(LABELS):
        machine = LinearSVC(C=c, random_state=0).fit(features, truth[:200, label])
        expected = machine.decision_function(vectorizer.transform(texts[200:]))
        np.testing.assert_allclose(found[:, label], expected, atol=0.01)
    assert found.dtype == np.float32


def test_small_weights_are_dropped(data, model):
    texts, truth = data
    options = LinearOptions(minimum_documents=1, smallest_weight=0.1)
    found = fit_linear(texts[:200], truth[:200], options, seed=1).weights.toarray()
    whole = model.weights.toarray()
    assert np.array_equal(found, np.where(np.abs(whole) < 0.1, 0, whole))
    assert 0 < np.count_nonzero(found) < np.count_nonzero(whole)


def test_more_labels_than_a_small_number_holds(tmp_path):
    labels = 40_000
    truth = np.zeros((2, labels), dtype=bool)
    truth[0, -1] = True
    model = fit_linear(["pump", "valve"], truth, OPTIONS, seed=1)
    model.write(tmp_path)
    assert LinearModel.read(tmp_path, labels).decisions(["pump"])[0, -1] == model.decisions(["pump"])[0, -1] > 0


def test_labels_that_training_cannot_tell_apart(data):
    texts, truth = data
    changed = truth[:200].copy()
    changed[:, 1], changed[:, 2] = False, True
    found = fit_linear(texts[:200], changed, OPTIONS, seed=1).decisions(texts[200:])
    assert (found[:, 1] == -np.inf).all() and (found[:, 2] == np.inf).all()
    assert np.isfinite(found[:, [0, 3]]).all()


def test_what_is_written_is_what_is_read(data, model, tmp_path):
    """Also the half precision of the file changes nothing: the model has it from the beginning."""
    texts, _ = data
    model.write(tmp_path / "linear")
    again = LinearModel.read(tmp_path / "linear", LABELS)
    assert np.array_equal(again.decisions(texts[200:]), model.decisions(texts[200:]))
    assert again.vocabulary == model.vocabulary and again.ngrams == 2
    model.write(tmp_path / "other")
    for name in ("linear.safetensors", "vocabulary.txt"):
        assert (tmp_path / "other" / name).read_bytes() == (tmp_path / "linear" / name).read_bytes()


def test_words_of_any_script_survive(tmp_path):
    texts = ["türpumpe 水泵 valve\u2028next", "ventil 阀门 naïve\x85more"] * 3
    truth = np.array([[True], [False]] * 3)
    model = fit_linear(texts, truth, LinearOptions(minimum_documents=1), seed=1)
    model.write(tmp_path / "linear")
    again = LinearModel.read(tmp_path / "linear", 1)
    assert again.vocabulary == model.vocabulary
    assert np.array_equal(again.decisions(texts), model.decisions(texts))


@pytest.mark.parametrize(
    ("texts", "minimum", "sentence"),
    [
        (["pump valve", "pump"], 3, "linear.minimum_documents is 3, but no word .* is in so many of the 2 training"),
        (["pump", "valve"], 2, "evidence.linear.minimum_documents is 2, but no word"),
        (["a b", "c"], 1, "no word of two letters or more is in so many of the 2 training documents"),
    ],
)
def test_texts_without_a_frequent_word_are_one_sentence(texts, minimum, sentence):
    with pytest.raises(UserError, match=sentence):
        fit_linear(texts, np.eye(2, dtype=bool), LinearOptions(minimum_documents=minimum), seed=1)


def test_the_seed_is_the_only_chance(data, model):
    texts, truth = data
    again = fit_linear(texts[:200], truth[:200], OPTIONS, seed=1)
    assert np.array_equal(again.decisions(texts), model.decisions(texts))


def test_each_machine_has_a_seed_of_its_own(data, monkeypatch):
    texts, truth = data
    seeds = []

    def noted(**options):
        seeds.append(options["random_state"])
        return LinearSVC(**options)

    monkeypatch.setattr("ipcascade.evidence.linear.LinearSVC", noted)
    fit_linear(texts, truth, OPTIONS, seed=9)
    assert seeds == [stream_seed(9, "linear", label) % 2**32 for label in range(LABELS)]


def put(name, value):
    def change(folder):
        from safetensors.torch import load_file

        tensors = load_file(folder / "linear.safetensors")
        tensors[name] = value(tensors[name]) if name in tensors else value
        save_tensors(folder / "linear.safetensors", tensors)

    return change


@pytest.mark.parametrize(
    ("damage", "labels", "sentence"),
    [
        (lambda folder: (folder / "vocabulary.txt").unlink(), LABELS, "vocabulary.txt could not be read"),
        (lambda folder: (folder / "vocabulary.txt").write_bytes(b"\xff\n"), LABELS, "vocabulary.txt could not be read"),
        (lambda folder: (folder / "vocabulary.txt").write_text("one\n"), LABELS, "vocabulary.txt does not belong to"),
        (lambda folder: (folder / "linear.safetensors").write_bytes(b"x"), LABELS, "not a complete safetensors file"),
        (put("idf", lambda idf: idf.double()), LABELS, "does not hold a linear model"),
        (put("more", torch.zeros(1)), LABELS, "does not hold a linear model"),
        (put("idf", lambda idf: idf * torch.nan), LABELS, "not finite numbers, in 'idf'"),
        (put("weights.labels", lambda labels: labels + LABELS), LABELS, "does not hold a linear model: "),
        (put("weights.starts", lambda starts: starts[:-1]), LABELS, "does not hold a linear model: "),
        (lambda folder: None, LABELS + 1, f"is of {LABELS} labels, the label tree of {LABELS + 1}"),
    ],
)
def test_damaged_folders_are_one_sentence(model, tmp_path, damage, labels, sentence):
    model.write(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=sentence):
        LinearModel.read(tmp_path, labels)
