"""The commands after training, end to end on small models of two and of three levels."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from chain import Results, make, predict_arguments
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from ipcascade.cli import main
from ipcascade.config import BUILT_IN_RUNS
from ipcascade.core.analysis_files import read_analysis
from ipcascade.core.documents import Documents, read_scores
from ipcascade.core.files import read_json, read_parquet, write_parquet
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.names import SOURCE_EFFECTS
from ipcascade.core.provenance import read_provenance
from ipcascade.core.title_examples import title_examples
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.evidence.combiner import fit_combiner, read_combiner
from ipcascade.evidence.linear import LinearModel
from ipcascade.evidence.log_odds import log_odds
from ipcascade.evidence.vectors import read_vectors
from ipcascade.model.export import load_model
from ipcascade.model.network import Classifier
from support import Files, config_file, corpus_frame, write_corpus

# Labels of the third level by their class; the documents of all other classes end at the class.
SUBCLASSES = {"A61": "A61K", "H04": "H04L"}


@pytest.fixture(scope="module")
def three_levels(files, tmp_path_factory) -> Results:
    """The same documents with subclasses of some classes."""
    folder, tree = tmp_path_factory.mktemp("three"), LabelTree.read(IPC)
    corpus = corpus_frame(200)
    lists = [[SUBCLASSES[code] for code in codes if code in SUBCLASSES] for codes in corpus["class"]]
    corpus = corpus.with_columns(subclass=pl.Series(lists, dtype=pl.List(pl.String)))
    write_corpus(folder / "corpus.parquet", corpus, tree)
    deep = Files(folder / "corpus.parquet", files.splits, files.tokens, files.encoder)
    return make(deep, folder, tree, corpus={"levels": list(tree.levels)})


@pytest.fixture(params=["two_levels", "three_levels"])
def results(request) -> Results:
    return request.getfixturevalue(request.param)


def documents_of(results: Results) -> Documents:
    return Documents.read(results.files.corpus, results.files.splits)


def test_scores_are_the_models_probabilities_in_corpus_order(results):
    ids, scores = read_scores(results.folder / "network/test.parquet", results.tree)
    documents = documents_of(results)
    vectors = read_vectors(results.folder / "network/test_vectors.safetensors", ids)
    assert ids == [documents.ids[position] for position in documents.positions("test")]
    model, tree, _ = load_model(results.folder / "model", "padded")
    assert tree == results.tree
    cache = TokenCache.open(results.files.tokens)
    for row in (0, 17, 39):
        position = documents.ids.index(ids[row])
        tokens = cache.ids[cache.offsets[position] : cache.offsets[position + 1]].astype(np.int64)
        alone = torch.cat(model(torch.tensor(tokens)[None], torch.ones(1, len(tokens), dtype=torch.bool)), dim=1)
        # bf16, where the processor has it, keeps 8 bits of a logit
        expected = with_finer(torch.sigmoid(alone)[0].detach().numpy(), tree)
        assert scores[row] == pytest.approx(expected, abs=0.02)
        heads = [head.weight.detach().numpy() @ vectors[row] + head.bias.detach().numpy() for head in model.heads]
        states = model.encoder(input_ids=torch.tensor(tokens)[None]).last_hidden_state[0].detach().numpy()
        logits = np.concatenate(heads) + found_by_labels(model, states)
        assert logits == pytest.approx(alone[0].detach().numpy(), abs=0.1)


def with_finer(probabilities: np.ndarray, tree: LabelTree) -> np.ndarray:
    """Probabilities of labels and, in two levels, of subclasses: those of labels, each class with its subclasses."""
    found = probabilities[: len(tree.labels)].astype(np.float64)
    if tree.levels == ("section", "class"):
        subclasses = LabelTree.read(IPC).codes("subclass")
        for code in tree.codes("class"):
            below = [place for place, name in enumerate(subclasses) if name.startswith(code)]
            any_holds = 1 - np.prod(1 - probabilities[len(tree.labels) :][below].astype(np.float64))
            own = found[tree.index[code]]
            if below:
                odds = np.sqrt(own / (1 - own) * any_holds / (1 - any_holds))
                found[tree.index[code]] = odds / (1 + odds)
    return found


def found_by_labels(model: Classifier, states: np.ndarray) -> np.ndarray:
    """What label-wise attention adds to each logit, in numpy; states: [tokens, size]."""
    queries, weights = (part.detach().numpy() for part in model.label_attention.parameters())
    attention = np.exp(30 * np.tanh(queries @ states.T / (30 * states.shape[1] ** 0.5)))
    return (attention / attention.sum(axis=1, keepdims=True) * (weights @ states.T)).sum(axis=1)


def test_metrics_agree_with_scikit_learn_on_the_written_files(results):
    """Where no parent is masked: each label that is predicted has its ancestors predicted too."""
    tree, documents = results.tree, documents_of(results)
    scores = documents.scores_of("test", results.folder / "test.parquet").astype(np.float64)
    truth = documents.truth[documents.positions("test")]
    thresholds = read_json(results.folder / "thresholds.json")["thresholds"]
    metrics = read_json(results.folder / "metrics/test.json")
    assert metrics["levels"] == list(tree.levels)
    assert set(metrics["measures"]) >= {"documents", "hierarchical", "reference", *tree.levels}
    above = scores > np.array([thresholds[code] for code in tree.labels])
    top = tree.columns["section"]
    expected = f1_score(truth[:, top], above[:, top], average="micro")
    assert metrics["measures"]["section"]["f1_micro"] == pytest.approx(expected)
    assert metrics["documents"] == 40 and metrics["split"] == "test"
    low, high = metrics["confidence_intervals"]["section.f1_micro"]
    assert low <= expected <= high
    assert [row["code"] for row in metrics["per_label"]] == list(tree.labels)
    assert [row["threshold"] for row in metrics["per_label"]] == [thresholds[code] for code in tree.labels]


def test_metrics_of_lower_levels_are_those_of_the_masked_decisions(results):
    """Masks by hand: below predicted parents only; all labels of a level where no label above is predicted."""
    tree, documents = results.tree, documents_of(results)
    scores = documents.scores_of("test", results.folder / "test.parquet").astype(np.float64)
    truth = documents.truth[documents.positions("test")]
    thresholds = read_json(results.folder / "thresholds.json")["thresholds"]
    metrics = read_json(results.folder / "metrics/test.json")
    above = scores > np.array([thresholds[code] for code in tree.labels])
    predicted = above.copy()
    for upper, lower in zip(tree.levels, tree.levels[1:], strict=False):
        for row in range(len(predicted)):
            open_parents = predicted[row, tree.columns[upper]].any()
            for column in range(*tree.columns[lower].indices(len(tree.labels))):
                if open_parents and not predicted[row, tree.parents[column]]:
                    predicted[row, column] = False
        columns = tree.columns[lower]
        expected = f1_score(truth[:, columns], predicted[:, columns], average="micro", zero_division=0)
        assert metrics["measures"][lower]["f1_micro"] == pytest.approx(expected), lower


def test_history_has_the_facts_of_training_then_the_measures_then_the_choice(results):
    history = read_parquet(results.folder / "history.parquet")
    epochs = read_parquet(results.folder / "epochs.parquet")
    assert history.columns[: len(epochs.columns) - 1] == epochs.columns[:-1]
    assert history.columns[-1] == epochs.columns[-1] == "selected"
    assert history.select(epochs.columns).equals(epochs)
    for level in results.tree.levels:
        assert {f"fixed.{level}.f1_micro", f"global.{level}.f1_micro", f"{level}.average_precision_micro"} <= set(
            history.columns
        )
    best = history[f"global.{results.tree.levels[-1]}.f1_micro"].arg_max()
    assert history["selected"].to_list() == [row == best for row in range(len(history))]


def test_results_have_provenance_beside_them(results):
    for name in ("val.parquet", "thresholds.json", "metrics/test.json", "history.parquet", "model"):
        facts = read_provenance(results.folder / name)
        assert facts["inputs"] and facts["options"], name


def test_scores_of_another_split_are_refused(two_levels, tmp_path, capsys):
    arguments = ["thresholds", *two_levels.files.documents(), "--scores", two_levels.path("test.parquet")]
    assert main([*arguments, "--thresholds", str(tmp_path / "t.json")]) == 1
    assert "does not belong to the split 'val'" in capsys.readouterr().err
    arguments = [
        "metrics",
        *two_levels.files.documents(),
        "--split",
        "test",
        "--scores",
        two_levels.path("val.parquet"),
    ]
    thresholds = ["--thresholds", two_levels.path("thresholds.json")]
    assert main([*arguments, *thresholds, "--metrics", str(tmp_path / "m.json")]) == 1
    assert "does not belong to the split 'test'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_part_of_the_validation_scores_is_refused(two_levels, tmp_path, capsys):
    part = read_parquet(two_levels.folder / "val.parquet").head(7)
    write_parquet(tmp_path / "part.parquet", part)
    arguments = ["thresholds", *two_levels.files.documents(), "--scores", str(tmp_path / "part.parquet")]
    assert main([*arguments, "--thresholds", str(tmp_path / "t.json")]) == 1
    assert "lacks 13 of its documents" in capsys.readouterr().err


def test_new_texts_get_what_the_workflow_gives(results, tmp_path):
    tree = results.tree
    ids, scores = read_scores(results.folder / "test.parquet", tree)
    texts = read_parquet(results.files.corpus, ["document_id", "text"]).filter(pl.col("document_id").is_in(ids))
    texts.write_csv(tmp_path / "new.csv")
    assert main(predict_arguments(results, tmp_path / "new.csv", tmp_path / "p.parquet")) == 0
    found = pl.read_parquet(tmp_path / "p.parquet")
    told = ["confidence", "classifiable", "cut_off", "neighbours", "similarity"]
    expected = ["document_id", *tree.levels, *told, *tree.labels]
    assert found.columns == expected, "one list column per level, named after it"
    assert found["document_id"].to_list() == ids
    assert np.array_equal(found.select(tree.labels).to_numpy(), scores)
    documents = documents_of(results)
    assert set(found["neighbours"].explode()) <= set(documents.ids_of("train"))
    assert set(found["neighbours"].list.n_unique()) == {5}
    thresholds = read_json(results.folder / "thresholds.json")["thresholds"]
    labelled = 0
    for row, lists in zip(scores, found.select(tree.levels).iter_rows(), strict=True):
        top = {code for code, p in zip(tree.codes(tree.levels[0]), row, strict=False) if p > thresholds[code]}
        below = {code for codes in lists[1:] for code in codes}
        above = {tree.labels[column] for code in below for column in tree.ancestors(tree.index[code])}
        assert set().union(*lists) == top | below | above, "a label brings its ancestors along"
        labelled += len(below)
    assert labelled, "there is something to compare"


@pytest.mark.parametrize("confidence", [None, 1.0])
def test_new_texts_are_decoded_as_the_thresholds_file_says(results, tmp_path, confidence):
    """All lower labels are above their thresholds: the mask alone decides, and above 1 no parent is confident."""
    tree = results.tree
    _, scores = read_scores(results.folder / "test.parquet", tree)
    sections = tree.columns["section"]
    cut = float(np.unique(scores[:, sections].max(axis=1))[-2])  # many are as sure as can be
    content = read_json(results.folder / "thresholds.json")
    content["thresholds"] = {code: cut if code in tree.codes("section") else 0.0 for code in tree.labels}
    content["decoding"] = {"method": "mask", "confidence": confidence}
    (tmp_path / "thresholds.json").write_text(json.dumps(content))
    read_parquet(results.files.corpus, ["document_id", "text"])[-len(scores) :].write_csv(tmp_path / "new.csv")
    arguments = predict_arguments(results, tmp_path / "new.csv", tmp_path / "p.parquet")
    arguments[4] = str(tmp_path / "thresholds.json")
    assert main(arguments) == 0
    found = pl.read_parquet(tmp_path / "p.parquet")
    probable = found.select(tree.codes("section")).to_numpy() > cut
    assert 0 < probable.any(axis=1).sum() < len(found)
    # A label that no training document has, has probability 0, which is above no threshold.
    possible = [code for code in tree.codes("class") if found[code].max() > 0]
    for labels, of_document in zip(found["class"], probable, strict=True):
        open_sections = np.array(tree.codes("section"))[of_document].tolist() if confidence is None else []
        below = [code for code in possible if not open_sections or code[0] in open_sections]
        assert labels.to_list() == below


def test_a_file_that_holds_no_thresholds_is_one_sentence(two_levels, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
    arguments = predict_arguments(two_levels, tmp_path / "new.csv", tmp_path / "p.parquet")
    arguments[4] = two_levels.path("metrics/test.json")
    assert main(arguments) == 1
    assert "test.json lacks the key 'method'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("new.csv", "id,text\n1,a\n", "has no column 'document_id'; its header has 'id, text'"),
        ("new.csv", "document_id,text\n1,a\n1,b\n", "line 3: the document_id '1' is there more than once"),
        ("new.csv", "document_id,text\n1,a\n2,\n", "line 3: text is missing"),
        ("new.csv", "document_id,text\n", "has no rows"),
        ("new.txt", "1", "new texts come as .csv, .csv.gz, .parquet, or as a folder of such files"),
    ],
)
def test_bad_new_texts_are_one_sentence(two_levels, tmp_path, capsys, name, content, sentence):
    (tmp_path / name).write_text(content)
    assert main(predict_arguments(two_levels, tmp_path / name, tmp_path / "p.parquet")) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "p.parquet").exists()


def test_corpus_and_splits_of_other_documents_are_refused(files, tmp_path, capsys):
    write_parquet(tmp_path / "splits.parquet", read_parquet(files.splits).head(10))
    arguments = ["--corpus", str(files.corpus), "--splits", str(tmp_path / "splits.parquet")]
    assert main(["fit_linear", *arguments, "--linear", str(tmp_path / "linear")]) == 1
    assert "was made from other documents than" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["code", "parent"])
def test_a_model_of_another_label_tree_is_refused(two_levels, tmp_path, capsys, what):
    """Another code, or the same codes with another parent."""
    shutil.copytree(two_levels.folder / "model", tmp_path / "model")
    labels = json.loads((tmp_path / "model/labels.json").read_text())
    of_class = next(label for label in labels["label_tree"]["labels"] if label["code"] == "A01")
    of_class[what] = {"code": "A98", "parent": "B"}[what]
    for label in labels["finer_labels"]:
        label["parent"] = of_class["code"] if label["parent"] == "A01" else label["parent"]
    (tmp_path / "model/labels.json").write_text(json.dumps(labels))
    arguments = ["score", *two_levels.files.arguments(), "--split", "test", "--scores", str(tmp_path / "s"),
                 "--vectors", str(tmp_path / "v")]  # fmt: skip
    assert main([*arguments, "--model", str(tmp_path / "model")]) == 1
    assert "was trained on another label tree" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_model_of_two_levels_does_not_score_a_corpus_of_three(two_levels, three_levels, tmp_path, capsys):
    arguments = ["score", *three_levels.files.arguments(), "--split", "test", "--scores", str(tmp_path / "s"),
                 "--vectors", str(tmp_path / "v")]  # fmt: skip
    assert main([*arguments, "--model", two_levels.path("model")]) == 1
    assert "was trained on another label tree" in capsys.readouterr().err


LINEAR_ALONE = BUILT_IN_RUNS["baseline"]


@pytest.fixture
def baseline(results, tmp_path) -> tuple[Results, Path]:
    """The linear model as the only source of evidence: no network is read."""
    linear = ["--linear", str(tmp_path / "linear")]
    arguments = [*linear, "--combiner", str(tmp_path / "c.json"), "--scores", str(tmp_path)]
    config = ["--config", str(config_file(tmp_path, **LINEAR_ALONE))]
    assert main(["fit_linear", *results.files.documents(), *linear, *config]) == 0
    assert main(["combine", *results.files.documents(), *arguments, *config]) == 0
    return results, tmp_path


def test_baseline_is_a_linear_svm_per_label(baseline):
    results, folder = baseline
    tree, documents = results.tree, documents_of(results)
    texts = np.array(read_parquet(results.files.corpus, ["text"])["text"].to_list())
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(texts[documents.positions("train")])
    column = tree.index["F02"]
    machine = LinearSVC(random_state=0).fit(features, documents.truth[documents.positions("train"), column])
    decisions = machine.decision_function(vectorizer.transform(texts[documents.positions("test")]))
    scores = documents.scores_of("test", folder / "test.parquet")
    order = np.argsort(decisions)
    assert (np.diff(scores[order, column]) >= -2e-3).all(), "Platt's scaling keeps the ranking"
    assert not scores[:, tree.index["D21"]].any(), "a label that no training document has gets probability 0"
    truth = documents.truth[documents.positions("test"), column]
    assert scores[truth, column].mean() > 0.5 > scores[~truth, column].mean()


def test_the_linear_model_knows_labels_by_their_titles(results):
    """One that no document has, too; it is fitted as scikit-learn fits it on documents and titles."""
    tree, documents = results.tree, documents_of(results)
    texts = read_parquet(results.files.corpus, ["text"])["text"].to_list()
    train, column = documents.positions("train"), tree.index["D21"]
    titles, truth = title_examples(LabelTree.read(IPC), tree)
    assert not documents.truth[train, column].any()
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform([*(texts[position] for position in train), *titles])
    machine = LinearSVC(random_state=0).fit(features, [*[False] * len(train), *truth[:, column]])
    found = LinearModel.read(results.folder / "linear", len(tree.labels)).decisions(["production of pulp", *texts[:9]])
    expected = machine.decision_function(vectorizer.transform(["production of pulp", *texts[:9]]))
    assert found[:, column] == pytest.approx(expected, abs=0.05)
    assert found[0, column] > found[1:, column].max()


def test_baseline_goes_through_the_same_thresholds_and_metrics(baseline):
    results, folder = baseline
    documents = results.files.documents()
    thresholds = ["--thresholds", str(folder / "thresholds.json")]
    assert main(["thresholds", *documents, "--scores", str(folder / "val.parquet"), *thresholds]) == 0
    measured = ["--split", "test", "--scores", str(folder / "test.parquet"), "--metrics", str(folder / "m.json")]
    assert main(["metrics", *documents, *measured, *thresholds, *results.config(evaluation={"bootstrap": 0})]) == 0
    measures = read_json(folder / "m.json")["measures"]
    assert all(measures[level]["f1_micro"] > 0.5 for level in results.tree.levels)


def test_texts_are_read_for_the_linear_model_alone(two_levels, tmp_path):
    """A corpus that lacks them gives the same probabilities."""
    config = ["--config", str(config_file(tmp_path, evidence={"sources": ["network", "neighbours"]}))]
    folders = ["--network", two_levels.path("network"), "--neighbours", two_levels.path("neighbours")]
    bare = tmp_path / "corpus.parquet"
    write_corpus(bare, read_parquet(two_levels.files.corpus).drop("text"), two_levels.tree)
    for name, corpus in (("texts", two_levels.files.corpus), ("bare", bare)):
        documents = ["--corpus", str(corpus), "--splits", str(two_levels.files.splits)]
        written = ["--combiner", str(tmp_path / "c.json"), "--scores", str(tmp_path / name)]
        assert main(["combine", *documents, *folders, *written, *config]) == 0
    assert (tmp_path / "texts/test.parquet").read_bytes() == (tmp_path / "bare/test.parquet").read_bytes()


# None of them a default.
EFFECTS = {"seed": 7, "thresholds": {"method": "global"}, "decoding": {"method": "mask", "at_most": {"class": 2}}}


def effects_arguments(results: Results, folder: Path) -> list[str]:
    evidence = [word for name in ("linear", "neighbours", "network") for word in (f"--{name}", results.path(name))]
    return [
        "source_effects", *results.files.documents(), *evidence, "--scores", results.path("test.parquet"),
        "--thresholds", results.path("thresholds.json"), "--analysis", str(folder),
    ]  # fmt: skip


@pytest.mark.parametrize("calibration", ["label", "level"])
def test_calibration_by_label_knows_how_many_training_documents_each_has(two_levels, tmp_path, calibration):
    """Those of no other split; by level it does not ask."""
    documents, tree, folder = documents_of(two_levels), two_levels.tree, Path(two_levels.path("network"))
    words = ["--config", str(config_file(tmp_path, evidence={"sources": ["network"], "calibration": calibration}))]
    written = ["--combiner", str(tmp_path / "combiner.json"), "--scores", str(tmp_path)]
    assert main(["combine", *two_levels.files.documents(), "--network", str(folder), *written, *words]) == 0
    counts = documents.truth[documents.positions("train")].sum(axis=0) if calibration == "label" else ()
    scores = {"network": log_odds(documents.scores_of("val", folder / "val.parquet"))}
    expected = fit_combiner(scores, documents.truth[documents.positions("val")], tree, counts)
    found, _ = read_combiner(tmp_path / "combiner.json", tree)
    assert found == expected
    assert any(level.frequency_weights for level in found.levels.values()) == (calibration == "label")


def test_effects_of_a_source_are_differences_to_a_run_without_it(results, tmp_path):
    """Which is made by the commands of a run, with the other sources in its config."""
    tree, documents, sources = results.tree, documents_of(results), ("network", "linear", "neighbours")
    config = ["--config", str(config_file(tmp_path, **EFFECTS, evidence={"sources": list(sources), "folds": 3}))]
    assert main([*effects_arguments(results, tmp_path), *config]) == 0
    found = read_analysis(tmp_path / SOURCE_EFFECTS, SOURCE_EFFECTS)
    assert found.select("level", "source").unique(maintain_order=True).rows() == [
        (level, source) for level in tree.levels for source in sources
    ]
    truth = documents.truth[documents.positions("test")]

    def labels(folder: Path) -> np.ndarray:
        thresholds, decoding = read_thresholds(folder / "thresholds.json", tree)
        return decode(documents.scores_of("test", folder / "test.parquet"), thresholds.values, tree, decoding)

    predicted, changed = labels(results.folder), 0
    for source in sources:
        folder, others = tmp_path / source, [name for name in sources if name != source]
        words = ["--config", str(config_file(tmp_path, **EFFECTS, evidence={"sources": others, "folds": 3}))]
        given = [word for name in others for word in (f"--{name}", results.path(name))]
        given += ["--network", results.path("network")] if "network" not in others else []
        written = ["--combiner", str(folder / "c.json"), "--scores", str(folder)]
        assert main(["combine", *results.files.documents(), *given, *written, *words]) == 0
        fitted = ["--scores", str(folder / "val.parquet"), "--thresholds", str(folder / "thresholds.json")]
        assert main(["thresholds", *results.files.documents(), *fitted, *words]) == 0
        without = labels(folder)
        for level, columns in tree.columns.items():
            (row,) = found.filter(level=level, source=source, frequency="all").to_dicts()
            true, now, before = (of[:, columns] for of in (truth, predicted, without))
            assert row["true_gained"] == (true & now & ~before).sum() and row["wrong"] == (now & ~true).sum()
            assert row["wrong_removed"] == (before & ~now & ~true).sum()
            assert row["f1_without"] == pytest.approx(f1_score(true, before, average="micro", zero_division=0))
            changed += (now != before).sum()
    assert changed, "there is something to compare"
    provenance = read_provenance(tmp_path / SOURCE_EFFECTS)
    assert provenance["options"].keys() == {"seed", "evidence", "thresholds", "decoding"}
    assert {"corpus", "scores", "thresholds", "linear", "vectors", "network_test"} <= provenance["inputs"].keys()


def test_of_a_single_source_there_is_nothing_to_leave_out(two_levels, tmp_path):
    config = ["--config", str(config_file(tmp_path, **LINEAR_ALONE))]
    assert main([*effects_arguments(two_levels, tmp_path), *config]) == 0
    assert read_analysis(tmp_path / SOURCE_EFFECTS, SOURCE_EFFECTS).is_empty()


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        ("--linear", "--linear is needed, since the probabilities are combined from network, linear, neighbours"),
        ("--neighbours", "--neighbours is needed"),
        ("--network", "--network is needed"),
    ],
)
def test_a_source_without_its_folder_is_one_sentence(two_levels, tmp_path, capsys, left_out, sentence):
    folders = {f"--{name}": two_levels.path(name) for name in ("linear", "neighbours", "network")}
    given = [word for option, folder in folders.items() if option != left_out for word in (option, folder)]
    written = ["--combiner", str(tmp_path / "c.json"), "--scores", str(tmp_path / "scores")]
    assert main(["combine", *two_levels.files.documents(), *given, *written]) == 1
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["linear", "neighbours"])
def test_new_texts_need_the_sources_that_the_combiner_has(two_levels, tmp_path, capsys, source):
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
    arguments = predict_arguments(two_levels, tmp_path / "new.csv", tmp_path / "p.parquet")
    place = arguments.index(f"--{source}")
    assert main(arguments[:place] + arguments[place + 2 :]) == 1
    assert f"combines network, linear, neighbours: give the folder of {source}, too" in capsys.readouterr().err


def test_without_neighbours_predictions_name_none(two_levels, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n2,a valve\n")
    config = ["--config", str(config_file(tmp_path, evidence={"sources": ["network", "linear"]}))]
    folders = ["--linear", two_levels.path("linear"), "--network", two_levels.path("network")]
    written = ["--combiner", str(tmp_path / "combiner.json"), "--scores", str(tmp_path / "scores")]
    assert main(["combine", *two_levels.files.documents(), *folders, *written, *config]) == 0
    thresholds = ["--thresholds", str(tmp_path / "thresholds.json")]
    scores = ["--scores", str(tmp_path / "scores/val.parquet")]
    assert main(["thresholds", *two_levels.files.documents(), *scores, *thresholds]) == 0
    arguments = predict_arguments(two_levels, tmp_path / "new.csv", tmp_path / "p.parquet")
    arguments[arguments.index("--combiner") + 1] = str(tmp_path / "combiner.json")
    assert main(arguments) == 1
    assert "do not belong together: the thresholds were fitted on other probabilities" in capsys.readouterr().err
    arguments[arguments.index("--thresholds") + 1] = thresholds[1]
    place = arguments.index("--neighbours")
    assert main(arguments[:place] + arguments[place + 2 :]) == 0
    assert "neighbours" not in pl.read_parquet(tmp_path / "p.parquet").columns


def test_summary_reads_what_metrics_writes(results, capsys):
    assert main(["summary", "--results", str(results.folder)]) == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.strip()]
    measures = read_json(results.folder / "metrics/test.json")["measures"]
    for level in results.tree.levels:
        assert [level.capitalize(), f"{measures[level]['f1_micro']:.4f}"] in lines
