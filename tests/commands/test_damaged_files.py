"""Every file of ours, damaged or edited in every way that a person or a disk might: one sentence, never a traceback.

A tiny finished project is made once. Each case changes one file in it, runs a command that reads it in this process,
and puts the file back.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from ipcascade.cli import main
from ipcascade.core.files import SCHEMA_VERSION, read_facts, write_parquet
from ipcascade.core.label_tree import LabelTree
from support import Files, config_file, corpus_frame, write_corpus

# What is put in place of each value, beside taking its key away.
VALUES = (None, math.nan, 7, "x", [])
VALUES_OF_OTHERS = (None, "x")
OF_LEVEL = ("f1_micro", "f1_macro", "precision_micro", "recall_micro")
SHOWN = {"section": OF_LEVEL, "class": OF_LEVEL, "hierarchical": ("f1_micro",), "reference": ("h_f1", "h_f1_ceiling")}
# What may be missing: no command uses it, or its absence means something of its own.
MAY_BE_MISSING = ("facts.", "per_label.0", "decoding.", "confidence_intervals.", "combiner")
TREE = {
    "levels": ["section", "class"],
    "labels": [
        {"code": code, "parent": code[:-2] or None, "level": "class" if len(code) > 1 else "section", "title": code}
        for code in ("A", "C", "F", "H", "A61", "C07", "F02", "H01", "H04")
    ],
}


@dataclass(frozen=True)
class Project:
    """The files of a project, and the commands that read them."""

    files: Files
    folder: Path
    config: Path

    def run(self, command: str) -> int:
        path = lambda name: str(self.folder / name)  # noqa: E731
        model = ["--model", path("model")]
        evidence = ["--linear", path("linear"), "--neighbours", path("neighbours")]
        words = {
            "splits": ["--corpus", path("corpus.parquet"), "--splits", path("o.parquet"), "--audit", path("o.json")],
            "score": [*self.files.arguments(), *model, "--split", "val", "--scores", path("o.parquet"), "--vectors",
                      path("o.safetensors")],
            "thresholds": [*self.files.documents(), "--scores", path("val.parquet"), "--thresholds", path("o.json")],
            "metrics": [*self.files.documents(), "--split", "val", "--scores", path("val.parquet"), "--thresholds",
                        path("thresholds.json"), "--metrics", path("o.json")],
            "combine": [*self.files.documents(), *evidence, "--network", path("network"), "--scores", path("o"),
                        "--combiner", path("o.json")],
            "index_neighbours": [*self.files.documents(), "--vectors", path("network/train_vectors.safetensors"),
                                 "--neighbours", path("o")],
            "predict": [*model, *evidence, "--combiner", path("combiner.json"), "--thresholds",
                        path("thresholds.json"), "--texts", path("new.csv"), "--predictions", path("o.parquet")],
            "summary": ["--results", path("")],
            "table1": [*self.files.documents(), "--stem", path("o")],
            "table2": ["--metrics", path("metrics/test.json"), "--stem", path("o")],
            "history": [*self.files.documents(), "--epochs", path("epochs.parquet"), "--validation-scores",
                        path("validation_scores.parquet"), "--history", path("o.parquet")],
            "figure3": ["--history", path("history.parquet"), "--stem", path("o")],
            "fit_linear": [*self.files.documents(), "--linear", path("o")],
            "train": [*self.files.arguments(), "--encoder", str(self.files.encoder), "--model", path("o"),
                      "--checkpoints", path("checkpoints"), "--epochs", path("o.parquet"),
                      "--validation-scores", path("o2.parquet")],
        }[command]  # fmt: skip
        return main([command, *words, "--config", str(self.config), "--threads", "1"])


@pytest.fixture(scope="module")
def project(tmp_path_factory, encoder_folder) -> Project:
    folder = tmp_path_factory.mktemp("finished")
    tree = LabelTree.from_json(TREE)
    write_corpus(folder / "corpus.parquet", corpus_frame(60), tree)
    files = Files(folder / "corpus.parquet", folder / "splits.parquet", folder / "tokens", encoder_folder)
    config = config_file(
        folder, tokens={"max_length": 32}, evaluation={"bootstrap": 5}, splits={"rare_labels": "keep"},
        training={"epochs": 1, "batching": "padded"}, scoring={"batching": "padded", "precision": "fp32"},
    )  # fmt: skip
    made = Project(files, folder, config)
    parts = {name: folder / name for name in ("splits.parquet", "audit.json")}
    assert main(["splits", "--corpus", str(files.corpus), "--splits", str(parts["splits.parquet"]),
                 "--audit", str(parts["audit.json"]), "--config", str(config)]) == 0  # fmt: skip
    assert main(["tokens", "--corpus", str(files.corpus), "--encoder", str(encoder_folder), "--tokens",
                 str(files.tokens), "--config", str(config)]) == 0  # fmt: skip
    (folder / "new.csv").write_text("document_id,text\n1,an acid\n2,a valve\n")
    assert main(["train", *files.arguments(), "--encoder", str(encoder_folder), "--model", str(folder / "model"),
                 "--checkpoints", str(folder / "checkpoints"), "--epochs", str(folder / "epochs.parquet"),
                 "--validation-scores", str(folder / "validation_scores.parquet"),
                 "--config", str(config)]) == 0  # fmt: skip
    network = folder / "network"
    for split in ("train", "val", "test"):
        assert main(["score", *files.arguments(), "--model", str(folder / "model"), "--split", split,
                     "--scores", str(network / f"{split}.parquet"), "--vectors",
                     str(network / f"{split}_vectors.safetensors"), "--config", str(config)]) == 0  # fmt: skip
    evidence = ["--linear", str(folder / "linear"), "--neighbours", str(folder / "neighbours")]
    assert main(["fit_linear", *files.documents(), *evidence[:2], "--config", str(config)]) == 0
    assert main(["index_neighbours", *files.documents(), "--vectors", str(network / "train_vectors.safetensors"),
                 *evidence[2:], "--config", str(config)]) == 0  # fmt: skip
    assert main(["combine", *files.documents(), *evidence, "--network", str(network), "--scores", str(folder),
                 "--combiner", str(folder / "combiner.json"), "--config", str(config)]) == 0  # fmt: skip
    assert main(["thresholds", *files.documents(), "--scores", str(folder / "val.parquet"),
                 "--thresholds", str(folder / "thresholds.json"), "--config", str(config)]) == 0  # fmt: skip
    assert main(["metrics", *files.documents(), "--split", "test", "--scores", str(folder / "test.parquet"),
                 "--thresholds", str(folder / "thresholds.json"), "--metrics", str(folder / "metrics/test.json"),
                 "--config", str(config)]) == 0  # fmt: skip
    assert main(["history", *files.documents(), "--epochs", str(folder / "epochs.parquet"), "--validation-scores",
                 str(folder / "validation_scores.parquet"), "--history", str(folder / "history.parquet"),
                 "--config", str(config)]) == 0  # fmt: skip
    return made


@contextmanager
def put_back(path: Path) -> Iterator[None]:
    before = path.read_bytes()
    try:
        yield
    finally:
        path.write_bytes(before)


def sentence_of(project: Project, command: str, capsys) -> str | None:
    """The one sentence with which a command refuses; None where it takes what it reads."""
    capsys.readouterr()
    code = project.run(command)  # a traceback would end the test here
    err = capsys.readouterr().err
    if code == 0:
        return None
    sentences = [line for line in err.splitlines() if line.startswith(f"ipcascade {command}: ")]
    assert code == 1 and len(sentences) == 1 and "Traceback" not in err, err
    assert err.rstrip().endswith(sentences[0]), err
    return sentences[0]


def places(value: object, place: tuple = ()) -> Iterator[tuple]:
    """The keys of all values in JSON; of lists, and of what people alone read, the first; of measures those shown."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    alone = isinstance(value, list) or place[:1] in {("confidence_intervals",), ("per_label",), ("facts",)}
    for key, inner in items[:1] if alone else items:
        if place[:1] != ("measures",) or len(place) == 1 or key in SHOWN[place[1]]:
            yield (*place, key)
            if isinstance(inner, dict | list):
                yield from places(inner, (*place, key))


def changed(content: dict, place: tuple, change: Callable[[dict | list, object], None]) -> str:
    copy = json.loads(json.dumps(content))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    change(inner, place[-1])
    return json.dumps(copy)


def is_ours(name: str) -> bool:
    return name != "model/config.json"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("model/labels.json", "predict"),
        ("thresholds.json", "metrics"),
        ("tokens/tokens.json", "score"),
        ("metrics/test.json", "summary"),
        ("model/config.json", "predict"),
    ],
)
def test_a_changed_json_file_is_one_sentence(name, command, project, capsys):
    """A key taken away and NaN are always refused in files of ours; other values wherever they are not as good."""
    path = project.folder / name
    content = json.loads(path.read_text())
    accepted = []
    with put_back(path):
        for place in places(content):
            key = ".".join(map(str, place))
            cases = {"taken away": changed(content, place, lambda inner, key: inner.pop(key))} | {
                repr(value): changed(content, place, lambda inner, key, value=value: inner.__setitem__(key, value))
                for value in (VALUES if is_ours(name) else VALUES_OF_OTHERS)
            }
            for what, text in cases.items():
                if json.loads(text) == content:
                    continue
                path.write_text(text)
                sentence = sentence_of(project, command, capsys)
                if sentence is None:
                    accepted.append((key, what))
                elif is_ours(name):
                    assert str(path.parent) in sentence, sentence
    if is_ours(name):
        assert not [key for key, what in accepted if what == "nan"]
        assert not [key for key, what in accepted if what == "taken away" and not key.startswith(MAY_BE_MISSING)]
        assert not [
            key for key, what in accepted if what == "[]" and not key.startswith((*MAY_BE_MISSING, "per_label"))
        ]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "null", '"x"', "NaN", "\ufeff{}", "[" * 100_000, '{"a": 1, "a": 2}', "1" * 5000, "\x00"],
)
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("model/labels.json", "predict"),
        ("thresholds.json", "metrics"),
        ("tokens/tokens.json", "score"),
        ("metrics/test.json", "table2"),
        ("model/config.json", "predict"),
    ],
)
def test_a_json_file_that_is_none_is_one_sentence(name, command, text, project, capsys):
    path = project.folder / name
    with put_back(path):
        path.write_bytes(text.encode())
        assert path.name in str(sentence_of(project, command, capsys))


@pytest.mark.parametrize("version", [1, 99, "2", None])
@pytest.mark.parametrize("name", ["model/labels.json", "thresholds.json"])
def test_another_schema_version_is_named(name, version, project, capsys):
    path = project.folder / name
    content = json.loads(path.read_text())
    with put_back(path):
        path.write_text(json.dumps({**content, "schema_version": version}))
        sentence = sentence_of(project, "predict", capsys)
    assert sentence.endswith(
        f"{path} is not an ipcascade file of schema version {SCHEMA_VERSION}; delete it and make it again"
    )


def test_the_key_and_the_value_are_named(project, capsys):
    path = project.folder / "thresholds.json"
    content = json.loads(path.read_text())
    with put_back(path):
        for value, words in ((1.5, "has 1.5 as 'thresholds.A61': input should be less than or equal to 1"),
                             (math.nan, "thresholds.A61 is nan, which is not a finite number"),
                             ("0.5", "has '0.5' as 'thresholds.A61': input should be a valid number")):  # fmt: skip
            path.write_text(json.dumps({**content, "thresholds": {**content["thresholds"], "A61": value}}))
            sentence = sentence_of(project, "predict", capsys)
            assert str(path) in sentence and words in sentence and "delete it and make it again" in sentence


def put(**columns: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda table: table.with_columns(**columns)


NO_TEXT, NO_NUMBER, A_TEXT = pl.lit(None, pl.String), pl.lit(None, pl.Float32), pl.lit("x")
NAN = pl.lit(math.nan, pl.Float32)
SCORED, SPLIT = ["metrics", "thresholds"], ["metrics", "table1"]


def rewrite(path: Path, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    facts = read_facts(path)
    write_parquet(path, edit(pl.read_parquet(path)), facts)


@pytest.mark.parametrize(
    ("name", "commands", "edit", "words"),
    [
        ("splits.parquet", ["score", "metrics", "table1", "fit_linear"], put(split=pl.lit("dev")),
         "is in the split 'dev', which is none of train, val, test"),
        ("splits.parquet", SPLIT, put(split=NO_TEXT), "'split' has None"),
        ("splits.parquet", SPLIT, put(split=pl.lit(1)), "'split' holds Int32, not texts"),
        ("splits.parquet", SPLIT, lambda t: pl.concat([t, t.head(1)]), "more than once"),
        ("splits.parquet", SPLIT, lambda t: t.drop("split"), "lacks the column 'split'"),
        ("corpus.parquet", ["metrics", "table1", "splits"], put(document_id=pl.lit("1")), "more than once"),
        ("corpus.parquet", ["metrics", "table1", "splits"], put(section=pl.lit("A")), "'section' holds String"),
        ("corpus.parquet", ["metrics", "splits"], put(section=pl.lit(["Q"])), "has the section 'Q'"),
        ("corpus.parquet", ["metrics", "splits"], put(section=pl.lit([None], pl.List(pl.String))), "[None]"),
        ("corpus.parquet", ["splits", "fit_linear"], put(text=NO_TEXT), "'text' has None in row 1"),
        ("val.parquet", SCORED, put(A61=NAN), "'A61' has nan in row 1"),
        ("val.parquet", SCORED, put(A61=NO_NUMBER), "'A61' has None in row 1"),
        ("val.parquet", SCORED, put(A61=pl.lit(1.5, pl.Float32)), "has 1.5 for the label 'A61'"),
        ("val.parquet", SCORED, put(A61=A_TEXT), "'A61' holds String, not numbers"),
        ("val.parquet", SCORED, lambda t: t.drop("A61"), "other labels"),
        ("validation_scores.parquet", ["history"], put(A61=A_TEXT), "'A61' holds String"),
        ("validation_scores.parquet", ["history"], put(A61=pl.lit(2, pl.Float32)), "2.0"),
        ("epochs.parquet", ["history"], put(epoch=A_TEXT), "'epoch' holds String"),
        ("epochs.parquet", ["history"], lambda t: t.drop("selected"), "lacks the column 'selected'"),
        ("history.parquet", ["figure3"], put(train_loss=A_TEXT), "'train_loss' holds String"),
        ("history.parquet", ["figure3"], put(train_loss=pl.lit(math.nan)), "'train_loss' has nan"),
    ],
)  # fmt: skip
def test_a_changed_table_is_one_sentence(name, commands, edit, words, project, capsys):
    path = project.folder / name
    with put_back(path):
        rewrite(path, edit)
        for command in commands:
            sentence = sentence_of(project, command, capsys)
            assert sentence is not None and words in sentence and str(path) in sentence, (command, sentence)


def test_metadata_of_a_corpus_are_checked(project, capsys):
    path = project.folder / "corpus.parquet"
    table = pq.read_table(path)
    for facts in ({}, {"label_tree": 7, "text": "abstract"}, {"label_tree": {"levels": [], "labels": []}, "text": "x"}):
        with put_back(path):
            text = json.dumps({**facts, "schema_version": SCHEMA_VERSION}).encode()
            pq.write_table(table.replace_schema_metadata({b"ipcascade": text}), path)
            assert "is not a corpus: its metadata" in sentence_of(project, "metrics", capsys)
    for text in (b"{", b"[]", b"\xff"):
        with put_back(path):
            pq.write_table(table.replace_schema_metadata({b"ipcascade": text}), path)
            assert f"the metadata of {path}" in sentence_of(project, "metrics", capsys)


HEAD = "heads.1.weight"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda s: s.pop(HEAD), f"lacks the tensor '{HEAD}'"),
        (lambda s: s.update(more=torch.zeros(1)), "has the tensor 'more', which does not belong there"),
        (
            lambda s: s.update({HEAD: s[HEAD][:2].clone()}),
            f"the tensor '{HEAD}' is float32 [2, 32], not float32 [5, 32]",
        ),
        (lambda s: s.update({HEAD: s[HEAD].half()}), f"the tensor '{HEAD}' is float16 [5, 32], not float32 [5, 32]"),
        (lambda s: s[HEAD].fill_(math.nan), f"holds values that are not finite numbers, in '{HEAD}' first"),
        (lambda s: s.clear(), "lacks the tensor"),
    ],
)
def test_changed_weights_are_one_sentence(edit, words, project, capsys):
    path = project.folder / "model/model.safetensors"
    with put_back(path):
        state = load_file(path)
        edit(state)
        save_file(state, path, {"format": "pt"})
        for command in ("predict", "score"):
            sentence = sentence_of(project, command, capsys)
            assert sentence is not None and str(path) in sentence and words in sentence, sentence


@pytest.mark.parametrize("name", ["model/model.safetensors", "tokens/ids.bin", "tokens/offsets.npy", "corpus.parquet",
                                  "splits.parquet", "val.parquet", "model/tokenizer.json"])  # fmt: skip
def test_a_file_that_is_cut_off_empty_or_missing_is_one_sentence(name, project, capsys):
    path = project.folder / name
    command = "metrics" if name == "val.parquet" else "score"
    with put_back(path):
        for content in (path.read_bytes()[:-9], path.read_bytes()[:50], b"", None):
            path.write_bytes(content) if content is not None else path.unlink()
            assert name.partition("/")[0].partition(".")[0] in str(sentence_of(project, command, capsys))


def test_offsets_that_fit_no_documents_are_one_sentence(project, capsys):
    path = project.folder / "tokens/offsets.npy"
    offsets = np.load(path)
    wrong = {
        "float": offsets.astype(np.float64), "short": offsets[:-1], "backwards": offsets[::-1].copy(),
        "flat": offsets[None], "shifted": offsets + 1, "objects": np.array([{}], dtype=object),
    }  # fmt: skip
    for array in wrong.values():
        with put_back(path):
            np.save(path, array)
            sentence = sentence_of(project, "score", capsys)
            assert "token cache" in str(sentence) and "make it again" in sentence
    with put_back(path):
        with path.open("wb") as file:
            np.savez(file, offsets)
        assert "token cache" in str(sentence_of(project, "score", capsys))


def test_changed_checkpoints_are_one_sentence(project, capsys):
    """A finished training resumes at its end, so all of its checkpoint is read."""
    (path,) = (project.folder / "checkpoints").glob("*/checkpoint.safetensors")
    assert sentence_of(project, "train", capsys) is None
    with put_back(path):
        state, facts = load_file(path), json.loads(safe_metadata(path))
        for place in (("step",), ("counts", "tokens"), ("epochs", 0, "val_loss"), ("best_epoch",), ("scaler",)):
            for change in (lambda inner, key: inner.pop(key), lambda inner, key: inner.__setitem__(key, "x")):
                save_file(state, path, {"ipcascade": changed(facts, place, change)})
                assert str(path) in str(sentence_of(project, "train", capsys))
        weight = next(name for name in state if name.startswith("model/"))
        moment = next(name for name in state if name.endswith("weight/exp_avg") and state[name].ndim == 2)
        for name, tensor in ((weight, None), (weight, state[weight][:1].clone()), ("model/more", torch.zeros(1)),
                             (moment, state[moment].flatten()), ("optimizer/more/step", torch.zeros(())),
                             ("more", torch.zeros(1))):  # fmt: skip
            other = {key: value for key, value in state.items() if key != name} | (
                {} if tensor is None else {name: tensor}
            )
            save_file(other, path, {"ipcascade": json.dumps(facts)})
            assert str(path) in str(sentence_of(project, "train", capsys)), name
        save_file(state, path)
        assert "belongs to a training with other options" in sentence_of(project, "train", capsys)
    for pattern in ("best-epoch-1", "validation-epoch-1"):
        other = path.with_name(f"{pattern}.safetensors")
        with put_back(other):
            save_file({"x": torch.zeros(1)}, other)
            assert str(other) in str(sentence_of(project, "train", capsys))


def safe_metadata(path: Path) -> str:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header["__metadata__"]["ipcascade"]
