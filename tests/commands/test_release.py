"""A released model: whole, checked, of one piece; in Python, at a terminal and for tables it labels as the workflow."""

import io
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import yaml
from chain import predict_arguments
from huggingface_hub import ModelCard
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModel

from hub import FakeHub, turn_to
from ipcascade import load
from ipcascade.cli import main
from ipcascade.commands.classify import described
from ipcascade.core.documents import read_scores
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum, read_json
from ipcascade.inference.options import ScoringOptions
from support import REPOSITORY, config_file

TEXTS = ["an antibody for a device", "a signal of the circuit with an engine", "an acid"]
CPU = ScoringOptions(accelerator="cpu")


@pytest.fixture(scope="module")
def results(two_levels):
    return two_levels


def release(results, folder, metrics="metrics/test.json", **sections):
    config = ["--config", str(config_file(folder.parent, **sections))] if sections else []
    paths = {"--model": "model", "--linear": "linear", "--neighbours": "neighbours", "--combiner": "combiner.json",
             "--thresholds": "thresholds.json", "--metrics": metrics}  # fmt: skip
    given = [word for option, name in paths.items() for word in (option, str(results.folder / name))]
    encoder = ["--encoder-facts", str(results.files.encoder / "encoder.json")]
    return main(["release", *results.files.documents(), *encoder, *given, "--release", str(folder), *config])


@pytest.fixture(scope="module")
def released(results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed on") / "my model"
    assert release(results, folder) == 0
    return folder


@pytest.fixture
def copy(released, tmp_path):
    return shutil.copytree(released, tmp_path / "copy")


def test_the_folder_holds_what_prediction_needs_and_a_checksum_of_each_file(released, results):
    files = read_json(released / "manifest.json")["files"]
    present = {str(path.relative_to(released)) for path in released.rglob("*") if path.is_file()}
    assert present == {*files, "manifest.json", "README.md"}
    assert {name: file_checksum(released / name) for name in files} == files
    for name in (
        "model.safetensors", "labels.json", "tokenizer.json", "combiner.json", "thresholds.json",
        "linear/linear.safetensors", "neighbours/vectors.safetensors", "metrics.json", "run_config.yaml",
    ):  # fmt: skip
        assert name in files
    assert not [name for name in present if "provenance" in name]


def test_a_second_release_has_the_same_bytes(results, released, tmp_path):
    assert release(results, tmp_path / "again") == 0
    for path in released.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(released)).read_bytes()


def test_python_labels_what_the_workflow_labels(results, released):
    ids, scores = read_scores(results.folder / "test.parquet", results.tree)
    corpus = pl.read_parquet(results.files.corpus).filter(pl.col("document_id").is_in(ids))
    found = load(released, CPU).predict(corpus["text"].to_list())
    assert np.array_equal(found.probabilities, scores)
    for labels, predicted in zip(found.labels, found.predicted, strict=True):
        assert {label.code for label in labels} == {results.tree.labels[column] for column in np.flatnonzero(predicted)}
        assert [label.level for label in labels] == sorted((label.level for label in labels), reverse=True)
    some = next(label for labels in found.labels for label in labels if label.level == "class")
    assert some.title == results.tree.titles[results.tree.index[some.code]]


def test_the_same_texts_get_the_same_labels_by_files_and_by_release(results, released, tmp_path):
    (tmp_path / "new.csv").write_text("document_id,text\n" + "".join(f"{n},{t}\n" for n, t in enumerate(TEXTS)))
    assert main(predict_arguments(results, tmp_path / "new.csv", tmp_path / "a.parquet")) == 0
    words = ["predict", "--model", str(released), "--texts", str(tmp_path / "new.csv"), "--predictions"]
    assert main([*words, str(tmp_path / "b.parquet")]) == 0
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_transformers_load_the_encoder(released):
    assert AutoModel.from_pretrained(released).config.hidden_size == 32


@pytest.mark.parametrize(
    "name", ["model.safetensors", "labels.json", "thresholds.json", "combiner.json", "tokenizer.json",
             "linear/vocabulary.txt", "neighbours/documents.parquet"]
)  # fmt: skip
def test_a_file_that_was_changed_or_is_missing_is_refused(copy, name):
    with (copy / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(UserError, match=re.escape(f"{copy / name} is not the file that was released")):
        load(copy, CPU)
    (copy / name).unlink()
    with pytest.raises(UserError, match=re.escape(f"{copy / name} is missing from the released model")):
        load(copy, CPU)


COMMIT = "0123abcd" * 5
ON_HUB = f"hub:an-owner/a-model@{COMMIT}"


@pytest.fixture
def hub(released, tmp_path, monkeypatch):
    """The released folder as a repository of the fake hub, with a file that somebody added."""
    names = (path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file())
    content = {name: (released / name).read_bytes() for name in sorted(names)}
    with FakeHub("an-owner/a-model", COMMIT, content | {"pytorch_model.bin": b"a pickle"}).running() as running:
        turn_to(running, tmp_path / "cache", monkeypatch)
        yield running


def test_a_model_on_the_hub_labels_as_its_folder_does(released, hub, tmp_path, monkeypatch):
    (tmp_path / "texts.csv").write_text("document_id,text\n1,an antibody\n2,a signal of the circuit\n")
    labelled = {}
    for name, model in {"folder": str(released), "hub": ON_HUB}.items():
        written = tmp_path / f"{name}.csv"
        words = ["--texts", str(tmp_path / "texts.csv"), "--predictions", str(written)]
        assert main(["predict", "--model", model, *words]) == 0
        labelled[name] = written.read_bytes()
    assert labelled["folder"] == labelled["hub"]
    fetched = hub.downloaded()
    assert "pytorch_model.bin" not in fetched and "README.md" not in fetched and fetched["linear.safetensors"] == 1
    asked = len(hub.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load(ON_HUB, CPU).predict(TEXTS).labels == load(released, CPU).predict(TEXTS).labels
    assert len(hub.asked) == asked, "without a network the copy in the cache serves"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("hub:an-owner/a-model", "needs the full hash of a commit"),
        ("hub:an-owner/a-model@main", "needs the full hash of a commit"),
        (f"hub:a-model@{COMMIT}", "write hub:OWNER/NAME@COMMIT"),
        (f"hub:../../etc@{COMMIT}", "write hub:OWNER/NAME@COMMIT"),
        (f"hub:nobody/nothing@{COMMIT}", "the model: nobody/nothing is not on the hub"),
        (f"hub:an-owner/a-model@{'f' * 40}", "the model: an-owner/a-model has no commit"),
    ],
)
def test_a_model_that_is_not_on_the_hub_is_one_sentence(hub, capsys, model, sentence):
    assert main(["classify", "--model", model, "a text"]) == 1
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error


def test_a_damaged_copy_of_the_hub_is_refused(hub, capsys):
    hub.served["combiner.json"] = hub.content["combiner.json"].replace(b"network", b"netw0rk", 1)
    assert main(["classify", f"--model={ON_HUB}", "a text"]) == 1
    assert "but the hub declares" in capsys.readouterr().err


def test_an_encoder_on_the_hub_is_no_released_model(hub, capsys):
    del hub.content["manifest.json"]
    assert main(["classify", "--model", ON_HUB, "a text"]) == 1
    assert "has no manifest.json, so it is not a released model" in capsys.readouterr().err


def test_no_other_model_makes_a_command_ask_a_hub(released, monkeypatch, capsys):
    seen = {}
    monkeypatch.setattr("ipcascade.commands.classify.run", lambda *_: seen.update(os.environ))
    for model, expected in ((str(released), "1"), (ON_HUB, None)):
        seen.clear()
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        assert main(["classify", "--model", model, "a text"]) == 0
        assert seen.get("HF_HUB_OFFLINE") == expected


def test_the_card_may_be_edited(copy):
    (copy / "README.md").write_text("mine")
    assert load(copy, CPU).predict(TEXTS).labels


@pytest.mark.parametrize("name", ["../other.json", "/etc/hostname"])
def test_a_manifest_names_no_file_outside_the_folder(copy, name):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="is not inside the folder"):
        load(copy, CPU)


def test_a_folder_that_is_no_release_is_one_sentence(results, tmp_path, capsys):
    words = ["classify", "an acid", "--model"]
    assert main([*words, results.path("model")]) == 1
    assert "is not the folder of a released model: it has no manifest.json" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "absent")]) == 1
    assert "there is no such folder" in capsys.readouterr().err


def another(results, folder):
    """The files of another model: the same network with another weight, and all that is fitted with it."""
    for name in ("model", "neighbours", "network"):
        shutil.copytree(results.folder / name, folder / name)
    changed_tensor(folder / "model/model.safetensors")
    changed_tensor(folder / "neighbours/vectors.safetensors")
    evidence = ["--linear", results.path("linear"), "--neighbours", str(folder / "neighbours")]
    fitted = ["--combiner", str(folder / "combiner.json"), "--scores", str(folder)]
    documents = results.files.documents()
    assert main(["combine", *documents, *evidence, "--network", str(folder / "network"), *fitted]) == 0
    assert main(["thresholds", *documents, "--scores", str(folder / "val.parquet"), "--thresholds",
                 str(folder / "thresholds.json")]) == 0  # fmt: skip


def changed_tensor(path):
    """Another value in the first tensor of floats of a file."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = file.metadata()
    first = next(tensor for tensor in tensors.values() if tensor.is_floating_point())
    first.view(-1)[0] += 0.5
    save_file(tensors, path, facts)


def test_files_of_two_models_are_refused(results, tmp_path, capsys):
    another(results, tmp_path / "other")
    for name, sentence in {
        "thresholds.json": "the thresholds were fitted on other probabilities",
        "combiner.json": "the thresholds were fitted on other probabilities",
        "model": "it was fitted with another network",
        "neighbours": "it was fitted with another neighbours",
    }.items():
        arguments = predict_arguments(results, tmp_path / "new.csv", tmp_path / "p.parquet")
        (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
        arguments[arguments.index(results.path(name))] = str(tmp_path / "other" / name)
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert "do not belong together" in error and sentence in error, (name, error)


def test_a_model_that_is_not_released_needs_all_its_files(results, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
    arguments = predict_arguments(results, tmp_path / "new.csv", tmp_path / "p.parquet")
    place = arguments.index("--thresholds")
    assert main(arguments[:place] + arguments[place + 2 :]) == 1
    assert "--combiner is of a model that is not released, which needs" in capsys.readouterr().err


def test_the_card_has_the_measures_on_test(results, released):
    card, metrics = ModelCard.load(released / "README.md"), read_json(results.folder / "metrics/test.json")
    of = {result.metric_name: result for result in card.data.eval_results}
    for name, (level, key) in {
        "Section F1 micro": ("section", "f1_micro"), "Class F1 macro": ("class", "f1_macro"),
        "Hierarchical F1 micro": ("hierarchical", "f1_micro"),
    }.items():  # fmt: skip
        assert of[name].metric_value == round(metrics["measures"][level][key], 4)
        assert of[name].dataset_split == "test"
    low, high = metrics["confidence_intervals"]["class.f1_micro"]
    assert f"{metrics['measures']['class']['f1_micro']:.4f} ({low:.4f}–{high:.4f})" in card.text
    assert f"{metrics['documents']} documents that no choice was made on" in card.text


def test_the_card_says_what_the_config_says(results, tmp_path):
    sections = {
        "release": {
            "name": "my-ipc",
            "licence": "cc-by-4.0",
            "edition": "Autumn 2025",
            "citation": "Me (2026)",
            "authors": ["Ada L", "Grace H"],
        },
        "corpus": {"offices": ["EP"], "first_year": 1990, "documents": None},
        "splits": {"by": "year"},
    }
    assert release(results, tmp_path / "r", **sections) == 0
    card = ModelCard.load(tmp_path / "r" / "README.md")
    assert (card.data.license, card.data.model_name) == ("cc-by-4.0", "my-ipc")
    for phrase in ("edition Autumn 2025", "offices: EP", "first filed: since 1990", "sample: all documents",
                   "by year of first filing", "encoder: tiny", "Me (2026)",
                   "Made by Ada L and Grace H with"):  # fmt: skip
        assert phrase in card.text


def test_no_path_of_this_machine_is_handed_on(results, tmp_path):
    sections = {
        "source": {"path": str(tmp_path / "secret")}, "prediction": {"inputs": {"x": str(tmp_path / "new.csv")}},
        "encoder": {"name": str(tmp_path / "secret" / "tiny"), "revision": None},
    }  # fmt: skip
    assert release(results, tmp_path / "r", **sections) == 0
    for path in (tmp_path / "r").rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path
    assert yaml.safe_load((tmp_path / "r" / "run_config.yaml").read_text())["encoder"]["name"] == "tiny"


def test_measures_of_validation_are_no_results_on_test(results, tmp_path, capsys):
    documents = results.files.documents()
    assert main(["metrics", *documents, "--split", "val", "--scores", results.path("val.parquet"), "--thresholds",
                 results.path("thresholds.json"), "--metrics", str(tmp_path / "val.json")]) == 0  # fmt: skip
    assert release(results, tmp_path / "r", metrics=tmp_path / "val.json") == 1
    assert "val.json measures the split 'val'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("standard_input", [False, True])
def test_a_person_reads_labels_and_nearest_documents(released, results, capsys, monkeypatch, standard_input):
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXTS[0]))
    assert main(["classify", *([] if standard_input else [TEXTS[0]]), "--model", str(released)]) == 0
    shown = capsys.readouterr().out
    found = load(released, CPU).predict([TEXTS[0]])
    for label in found.labels[0]:
        assert re.search(rf"{label.code} +{label.probability:.2f}  {re.escape(label.title)}", shown)
    assert found.labels[0] and all(name in shown for name in found.neighbours[0])


def test_no_text_is_one_sentence(released, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert main(["classify", "--model", str(released)]) == 1
    assert "there is no text" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_one_sentence(released):
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            [sys.executable, "-m", "ipcascade", "classify", "--model", str(released)], input=b"acid \xff\xfe",
            capture_output=True, env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0"}, check=False,
        )  # fmt: skip
        assert done.returncode == 1 and b"is not UTF-8; save it so" in done.stderr and b"Traceback" not in done.stderr


def test_a_text_without_labels_shows_the_most_probable_one(released):
    found = load(released, CPU).predict(TEXTS[:1])
    found.predicted[:] = False
    assert "no label is probable enough\nthe most probable: " in described(found)


def test_what_was_not_read_of_a_text_is_told(released):
    classifier = load(released, CPU)
    words = classifier.tokenizer.backend_tokenizer.truncation["max_length"] - 2  # beside [CLS] and [SEP]
    texts = [" ".join(["acid"] * count) for count in (words, words + 1, 2 * words)]
    assert classifier.predict(texts).cut_off == pytest.approx([0, 1 / (words + 1), 0.5], abs=0.01)
    assert "the last 50% of the text were not read" in described(classifier.predict(texts[2:]))


def test_one_text_is_no_list_of_texts(released):
    classifier = load(released, CPU)
    with pytest.raises(TypeError, match="give a list of texts"):
        classifier.predict("an acid")
    with pytest.raises(ValueError, match="no texts"):
        classifier.predict([])


def test_labelled_texts_are_measured_as_a_split_is(results, released, tmp_path):
    """The test split as new texts with a column of labels gets the measures of the test split."""
    ids, _ = read_scores(results.folder / "test.parquet", results.tree)
    corpus = pl.read_parquet(results.files.corpus).filter(pl.col("document_id").is_in(ids))
    extra = pl.DataFrame({"document_id": ["unlabelled"], "text": ["an acid"], "ipc": [""]})
    labels = pl.col("class").list.join("; ").alias("ipc")
    pl.concat([corpus.select("document_id", "text", labels), extra]).write_csv(tmp_path / "new.csv")
    assert main(["predict", "--model", str(released), "--texts", str(tmp_path / "new.csv"), "--predictions",
                 str(tmp_path / "p.parquet")]) == 0  # fmt: skip
    words = ["input_metrics", "--name", "new", "--predictions", str(tmp_path / "p.parquet"), "--model", str(released),
             "--thresholds", str(released / "thresholds.json"), "--metrics", str(tmp_path / "m.json")]  # fmt: skip
    assert main([*words, "--column", "ipc", "--config", str(config_file(tmp_path, evaluation={"bootstrap": 20}))]) == 0
    found, expected = read_json(tmp_path / "m.json"), read_json(results.folder / "metrics/test.json")
    assert found["split"] == "new" and found["documents"] == expected["documents"] == len(ids)
    assert found["measures"] == expected["measures"] and found["per_label"] == expected["per_label"]
    assert found["confidence_intervals"].keys() == expected["confidence_intervals"].keys()


def test_a_column_of_labels_that_is_not_there_is_one_sentence(results, released, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
    assert main(["predict", "--model", str(released), "--texts", str(tmp_path / "new.csv"), "--predictions",
                 str(tmp_path / "p.parquet")]) == 0  # fmt: skip
    assert main(["input_metrics", "--name", "new", "--predictions", str(tmp_path / "p.parquet"), "--model",
                 str(released), "--thresholds", str(released / "thresholds.json"), "--column", "ipc", "--metrics",
                 str(tmp_path / "m.json")]) == 1  # fmt: skip
    assert "has no column 'ipc'; it has document_id, section, class" in capsys.readouterr().err


def test_the_benchmark_of_labelling_measures_a_released_model(released, tmp_path):
    command = [sys.executable, str(REPOSITORY / "tests/benchmarks/prediction.py"), "--model", str(released)]
    done = subprocess.run(
        [*command, "--rows", "50", "200", "--threads", "1", "--json", str(tmp_path / "figures.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads((tmp_path / "figures.json").read_text())
    assert [row["rows"] for row in found] == [50, 200]
    for row, line in zip(found, done.stdout.splitlines()[2:], strict=True):
        assert row["network_ms"] > 0 and row["other_ms"] > 0 and row["peak_mib"] > 100
        share = row["network_ms"] / (row["network_ms"] + row["other_ms"])
        assert row["network_share"] == pytest.approx(share)
        assert line.startswith(
            f"| {row['rows']} | {row['network_ms']:.1f} | {row['other_ms']:.2f} | {100 * share:.1f}%"
        )
