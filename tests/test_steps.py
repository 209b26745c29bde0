"""The steps after training, end to end on a small model: score, thresholds, metrics, baseline, predict."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from ipcascade.cli import main
from ipcascade.documents import Documents, read_scores
from ipcascade.doors import read_json, read_parquet, write_parquet
from ipcascade.model import load_model
from ipcascade.tokens import TokenCache

TRAINING = '{"training": {"epochs": 2, "encoder_learning_rate": 1e-3, "head_learning_rate": 1e-2}}'


@pytest.fixture(scope="module")
def results(files, tmp_path_factory) -> Path:
    """Model, scores, thresholds and metrics, made by the steps themselves."""
    folder = tmp_path_factory.mktemp("results")
    assert main(
        ["train", *files.arguments(), "--encoder", str(files.encoder), "--options", TRAINING,
         "--checkpoints", str(folder / "checkpoints"), "--model", str(folder / "model"),
         "--history", str(folder / "history.parquet")]
    ) == 0  # fmt: skip
    for split in ("val", "test"):
        assert main(
            ["score", *files.arguments(), "--model", str(folder / "model"), "--split", split,
             "--scores", str(folder / f"{split}.parquet")]
        ) == 0  # fmt: skip
    common = files.arguments()[:6]
    assert main(
        ["thresholds", *common, "--scores", str(folder / "val.parquet"),
         "--thresholds", str(folder / "thresholds.json")]
    ) == 0  # fmt: skip
    assert main(
        ["metrics", *common, "--split", "test", "--scores", str(folder / "test.parquet"),
         "--thresholds", str(folder / "thresholds.json"), "--metrics", str(folder / "test.json"),
         "--options", '{"evaluation": {"bootstrap": 50}}']
    ) == 0  # fmt: skip
    return folder


def test_scores_are_the_models_probabilities_in_corpus_order(files, results, taxonomy):
    ids, scores = read_scores(results / "test.parquet", taxonomy)
    documents = Documents.read(files.corpus, files.splits, taxonomy)
    assert ids == [documents.ids[position] for position in documents.positions("test")]
    model, _, _ = load_model(results / "model", "padded")
    cache = TokenCache.open(files.tokens)
    for row in (0, 17, 39):
        position = documents.ids.index(ids[row])
        tokens = cache.ids[cache.offsets[position] : cache.offsets[position + 1]].astype(np.int64)
        alone = torch.cat(model(torch.tensor(tokens)[None], torch.ones(1, len(tokens), dtype=torch.bool)), dim=1)
        # bf16, where the processor has it, keeps 8 bits of a logit
        assert scores[row] == pytest.approx(torch.sigmoid(alone)[0].detach().numpy(), abs=0.02)


def test_metrics_agree_with_scikit_learn_on_the_written_files(files, results, taxonomy):
    ids, scores = read_scores(results / "test.parquet", taxonomy)
    documents = Documents.read(files.corpus, files.splits, taxonomy)
    truth = documents.truth[documents.at(ids, results)]
    thresholds = read_json(results / "thresholds.json")["thresholds"]
    metrics = read_json(results / "test.json")
    sections = taxonomy.columns["section"]
    predicted = scores.astype(np.float64) > np.array([thresholds[code] for code in taxonomy.labels])
    expected = f1_score(truth[:, sections], predicted[:, sections], average="micro")
    assert metrics["measures"]["section"]["f1_micro"] == pytest.approx(expected)
    assert metrics["documents"] == 40 and metrics["split"] == "test"
    low, high = metrics["intervals"]["section.f1_micro"]
    assert low <= expected <= high
    assert [row["code"] for row in metrics["per_label"]] == list(taxonomy.labels)


def test_thresholds_refuse_any_split_but_validation(files, results, tmp_path, capsys):
    arguments = ["thresholds", *files.arguments()[:6], "--scores", str(results / "test.parquet")]
    assert main([*arguments, "--thresholds", str(tmp_path / "t.json")]) == 1
    assert "holds documents outside the validation split" in capsys.readouterr().err
    assert not (tmp_path / "t.json").exists()


def test_new_texts_get_what_the_workflow_gives(files, results, taxonomy, tmp_path):
    ids, scores = read_scores(results / "test.parquet", taxonomy)
    texts = read_parquet(files.corpus, ["document_id", "text"]).filter(pl.col("document_id").is_in(ids))
    texts.write_csv(tmp_path / "new.csv")
    arguments = ["predict", "--model", str(results / "model"), "--thresholds", str(results / "thresholds.json")]
    assert main([*arguments, "--texts", str(tmp_path / "new.csv"), "--predictions", str(tmp_path / "p.parquet")]) == 0
    found = pl.read_parquet(tmp_path / "p.parquet")
    assert found["document_id"].to_list() == ids
    assert np.array_equal(found.select(taxonomy.labels).to_numpy(), scores)
    thresholds = read_json(results / "thresholds.json")["thresholds"]
    for row, sections, classes in zip(scores, found["predicted_section"], found["predicted_class"], strict=True):
        above = {code for code, p in zip(taxonomy.sections, row, strict=False) if p > thresholds[code]}
        assert set(sections) == above | {code[0] for code in classes}, "a class brings its section along"


def test_a_file_that_holds_no_thresholds_is_one_sentence(results, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
    arguments = ["predict", "--model", str(results / "model"), "--thresholds", str(results / "test.json")]
    assert main([*arguments, "--texts", str(tmp_path / "new.csv"), "--predictions", str(tmp_path / "p")]) == 1
    assert "test.json holds no fitted thresholds: it lacks 'facts'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("new.csv", "id,text\n1,a\n", "lacks the column 'document_id'; it has id, text"),
        ("new.csv", "document_id,text\n1,a\n1,b\n", "the document_id '1' stands there more than once"),
        ("new.csv", "document_id,text\n1,a\n2,\n", "row 2: text is missing"),
        ("new.txt", "1", "new texts come as .csv or .parquet"),
    ],
)
def test_bad_new_texts_are_one_sentence(results, tmp_path, capsys, name, content, sentence):
    (tmp_path / name).write_text(content)
    arguments = ["predict", "--model", str(results / "model"), "--thresholds", str(results / "thresholds.json")]
    assert main([*arguments, "--texts", str(tmp_path / name), "--predictions", str(tmp_path / "p")]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_corpus_and_splits_of_other_documents_are_refused(files, tmp_path, capsys):
    write_parquet(tmp_path / "splits.parquet", read_parquet(files.splits).head(10), {})
    arguments = files.arguments()[:6]
    arguments[5] = str(tmp_path / "splits.parquet")
    assert main(["baseline", *arguments, "--val", str(tmp_path / "v"), "--test", str(tmp_path / "t")]) == 1
    assert "was made from other documents than" in capsys.readouterr().err


def test_a_model_of_another_label_tree_is_refused(files, results, tmp_path, capsys):
    shutil.copytree(results / "model", tmp_path / "model")
    labels = json.loads((tmp_path / "model/labels.json").read_text())
    labels["taxonomy"]["classes"][0] = "A99"
    (tmp_path / "model/labels.json").write_text(json.dumps(labels))
    arguments = ["score", *files.arguments(), "--split", "test", "--scores", str(tmp_path / "s")]
    assert main([*arguments, "--model", str(tmp_path / "model")]) == 1
    assert "was trained on another label tree" in capsys.readouterr().err


def test_baseline_is_a_linear_svm_a_label(files, taxonomy, tmp_path):
    arguments = ["baseline", *files.arguments()[:6], "--val", str(tmp_path / "val"), "--test", str(tmp_path / "test")]
    assert main(arguments) == 0
    documents = Documents.read(files.corpus, files.splits, taxonomy)
    texts = np.array(read_parquet(files.corpus, ["text"])["text"].to_list())
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(texts[documents.positions("train")])
    column = taxonomy.index["F02"]
    machine = LinearSVC(random_state=0).fit(features, documents.truth[documents.positions("train"), column])
    decisions = machine.decision_function(vectorizer.transform(texts[documents.positions("test")]))
    _, scores = read_scores(tmp_path / "test", taxonomy)
    order = np.argsort(decisions)
    assert (np.diff(scores[order, column]) >= -1e-4).all(), "Platt's scaling keeps the ranking"
    assert not scores[:, taxonomy.index["D21"]].any(), "a label never seen has probability 0"
    truth = documents.truth[documents.positions("test"), column]
    assert scores[truth, column].mean() > 0.5 > scores[~truth, column].mean()


def test_run_config_holds_every_key(tmp_path):
    import yaml

    from ipcascade import config as settings

    assert main(["run_config", "--config", str(tmp_path / "run.yaml"), "--options", '{"seed": 3}']) == 0
    assert settings.load(yaml.safe_load((tmp_path / "run.yaml").read_text())) == settings.load({"seed": 3})


def test_every_step_explains_itself(capsys):
    from ipcascade.cli import STEPS

    for step in STEPS:
        with pytest.raises(SystemExit) as end:
            main([step, "--help"])
        assert end.value.code == 0
        assert "--options" in capsys.readouterr().out
