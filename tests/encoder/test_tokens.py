"""The token cache against the tokenizer called text by text."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole, read_json, read_parquet, write_json, write_parquet
from ipcascade.core.provenance import read_provenance
from ipcascade.encoder import tokenizer
from ipcascade.encoder.positions import first_position
from ipcascade.encoder.tokenise import write_cache
from ipcascade.encoder.tokenizer import encode, load_tokenizer
from ipcascade.encoder.tokens import TEXTS_PER_BATCH, TokenCache, documents_key
from support import Files, config_file, corpus_frame

MAX_LENGTH = 32
# Texts that tokenizers are known to stumble over, in the vocabulary's words where they have any.
HARD_TEXTS = [
    "", " \t\n", "an acid " * 100, "[CLS] acid [SEP] [PAD] valve [MASK] [UNK]", "[cls]acid[SEP]engine", "a" * 5000,
    "ácid ENGINE e\u0301ngine ﬁeld İ ß", "酸 acid酸engine 日本語の特許文書", "العربية עברית ไทย 한국어",
    "acid\u0000 val\u200dve \u00ad\ufeffseed\ufffd \u2028", "acid👩\u200d👩\u200d👧 🇬🇧 valve",
    "acid/engine-valve (H₂SO₄, 10.5 %; <b>polymer</b>)",
]  # fmt: skip


def expected_cache(corpus: Path, encoder: Path) -> dict[str, object]:
    """What the cache of a corpus must hold, by transformers' own call for one text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    frame = read_parquet(corpus, ["document_id", "text"])
    documents, truncated = [], 0
    for text in frame["text"]:
        documents.append(tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"])
        truncated += len(tokenizer(text)["input_ids"]) > MAX_LENGTH
    content = np.array([token for document in documents for token in document], dtype=np.uint16).tobytes()
    assert truncated
    return {
        "ids": content,
        "offsets": [sum(map(len, documents[:count])) for count in range(len(documents) + 1)],
        "ids_sha256": hashlib.sha256(content).hexdigest(),
        "documents_key": documents_key(frame["document_id"].to_list()),
        "truncated_documents": truncated,
        "documents": len(frame),
    }


def found_cache(folder: Path) -> dict[str, object]:
    facts = json.loads((folder / "tokens.json").read_text())
    compared = ("ids_sha256", "documents_key", "truncated_documents", "documents")
    return {
        "ids": (folder / "ids.bin").read_bytes(),
        "offsets": np.load(folder / "offsets.npy").tolist(),
        **{name: facts[name] for name in compared},
    }


def hard_corpus(path: Path) -> Path:
    frame = corpus_frame(40)
    texts = [*frame["text"][:20], *HARD_TEXTS, *frame["text"][20 + len(HARD_TEXTS) :]]
    write_parquet(path, frame.with_columns(text=pl.Series(texts)))
    return path


@pytest.mark.parametrize(("batch", "parallel"), [(1, 1), (1, 3), (7, 2), (40, 2), (1000, 2)])
def test_cache_holds_what_transformers_gives_whatever_the_batches(files, tmp_path, monkeypatch, batch, parallel):
    monkeypatch.setattr(tokenizer, "BATCHES_IN_PARALLEL", parallel)
    corpus = hard_corpus(tmp_path / "corpus.parquet")
    with folder_written_whole(tmp_path / "tokens") as folder:
        write_cache(corpus, files.encoder, MAX_LENGTH, folder, batch)
    assert found_cache(tmp_path / "tokens") == expected_cache(corpus, files.encoder)
    cache = TokenCache.open(tmp_path / "tokens", read_parquet(corpus)["document_id"].to_list(), files.encoder)
    assert isinstance(cache.ids, np.memmap)


def test_cache_is_the_same_for_any_number_of_threads(files, tmp_path):
    corpus = tmp_path / "corpus.parquet"
    write_parquet(corpus, corpus_frame(TEXTS_PER_BATCH * 3 + 100))
    command = [sys.executable, "-m", "ipcascade"]
    # The tokenizer's threads are started once in a process, so each number needs one of its own.
    jobs = [
        subprocess.Popen(
            [*command, *arguments(files, corpus, tmp_path / f"tokens{threads}", "--threads", str(threads))]
        )
        for threads in (1, 2, 3)
    ]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    expected = expected_cache(corpus, files.encoder)
    for threads in (1, 2, 3):
        assert found_cache(tmp_path / f"tokens{threads}") == expected
        written = (tmp_path / f"tokens{threads}" / "tokens.json").read_bytes()
        assert written == (tmp_path / "tokens1" / "tokens.json").read_bytes()


def test_few_batches_are_in_memory_at_a_time(files):
    taken = 0

    def batches() -> Iterator[list[str]]:
        nonlocal taken
        for number in range(30):
            taken += 1
            yield ["acid " * number] * 2

    for number, encoded in enumerate(encode(load_tokenizer(files.encoder, MAX_LENGTH), batches())):
        assert taken - number <= tokenizer.BATCHES_IN_PARALLEL + 1
        assert encoded.lengths.tolist() == [min(number + 2, MAX_LENGTH)] * 2
    assert taken == 30


def test_texts_in_memory_are_the_same(files):
    texts = corpus_frame(50)["text"].to_list()
    on_disk = TokenCache.open(files.tokens)
    in_memory = TokenCache.of_texts(load_tokenizer(files.encoder, MAX_LENGTH), texts)
    assert np.array_equal(in_memory.offsets, on_disk.offsets[:51])
    assert np.array_equal(in_memory.ids, on_disk.ids[: on_disk.offsets[50]])
    assert in_memory.facts["truncated_documents"] == sum(len(text.split()) + 2 > MAX_LENGTH for text in texts) > 0


def test_a_corpus_without_documents_gives_an_empty_cache(files, tmp_path):
    corpus = tmp_path / "corpus.parquet"
    write_parquet(corpus, corpus_frame(1).clear())
    facts = write_cache(corpus, files.encoder, MAX_LENGTH, tmp_path)
    assert (facts["documents"], facts["tokens"], facts["documents_key"]) == (0, 0, documents_key([]))


# At use


def test_a_cache_of_other_documents_is_refused(files):
    with pytest.raises(UserError, match="was made from other documents than this corpus; delete it"):
        TokenCache.open(files.tokens, ["1", "2"])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda ids: ids[:-10], r"ids.bin holds \d+ tokens, not \d+"),
        (lambda ids: ids[:-1] + bytes([ids[-1] ^ 1]), "ids.bin does not have the checksum in tokens.json"),
        (lambda ids: ids[2:] + ids[:2], "ids.bin does not have the checksum in tokens.json"),
    ],
)
def test_a_cache_whose_ids_have_changed_is_refused(files, tmp_path, damage, sentence):
    copy = shutil.copytree(files.tokens, tmp_path / "tokens")
    (copy / "ids.bin").write_bytes(damage((copy / "ids.bin").read_bytes()))
    with pytest.raises(UserError, match=f"^{copy} is a broken token cache: {sentence}; delete it and make it again$"):
        TokenCache.open(copy)


def other_encoder(encoder: Path, target: Path) -> Path:
    """The same encoder with a vocabulary in which two words have changed places."""
    shutil.copytree(encoder, target)
    definition = json.loads((target / "tokenizer.json").read_text())
    vocabulary = definition["model"]["vocab"]
    vocabulary["acid"], vocabulary["engine"] = vocabulary["engine"], vocabulary["acid"]
    (target / "tokenizer.json").write_text(json.dumps(definition))
    return target


def test_a_cache_made_with_another_tokenizer_is_refused(files, tmp_path):
    other = other_encoder(files.encoder, tmp_path / "other")
    sentence = f"^{files.tokens} was made with another tokenizer than the one in {other}; delete it and make it again"
    with pytest.raises(UserError, match=sentence):
        TokenCache.open(files.tokens, tokenizer_folder=other)
    TokenCache.open(files.tokens, tokenizer_folder=files.encoder)
    copy = shutil.copytree(files.encoder, tmp_path / "copy")  # another place, and so another name of the same
    TokenCache.open(files.tokens, tokenizer_folder=copy)


def test_a_cache_cut_at_another_length_is_another_tokenizers(files, tmp_path):
    copy = shutil.copytree(files.tokens, tmp_path / "tokens")
    facts = read_json(copy / "tokens.json")
    write_json(copy / "tokens.json", {**facts, "max_length": MAX_LENGTH + 1})
    with pytest.raises(UserError, match="another tokenizer"):
        TokenCache.open(copy, tokenizer_folder=files.encoder)


def test_facts_and_provenance_are_apart(files):
    facts = read_json(files.tokens / "tokens.json")
    assert facts.keys() == {
        "tokenizer_key", "documents_key", "ids_sha256", "dtype", "max_length", "pad_id", "documents", "tokens",
        "truncated_documents", "mean_length", "schema_version",
    }  # fmt: skip
    made_of = read_provenance(files.tokens)
    assert made_of["options"] == {"tokens": {"max_length": MAX_LENGTH}}
    assert made_of["inputs"]["corpus"] == hashlib.sha256(files.corpus.read_bytes()).hexdigest()
    assert made_of["inputs"].keys() == {"corpus", "encoder"}


class Numbered(NamedTuple):
    """As much of a config as says where positions begin."""

    model_type: str
    pad_token_id: int | None


@pytest.mark.parametrize(
    ("config", "first"), [(Numbered("bert", 0), 0), (Numbered("bert", None), 0), (Numbered("roberta", 1), 2)]
)
def test_positions_begin_where_the_model_counts_from(config, first):
    assert first_position(config) == first


def test_a_model_that_counts_from_the_padding_token_has_fewer_positions(files, tmp_path):
    encoder = shutil.copytree(files.encoder, tmp_path / "encoder")
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps({**config, "model_type": "roberta", "pad_token_id": 1}))
    load_tokenizer(encoder, 62)
    with pytest.raises(UserError, match=r"^tokens\.max_length is 63, but the encoder has only 62 positions"):
        load_tokenizer(encoder, 63)


def test_more_tokens_than_positions_is_one_sentence(files, tmp_path, capsys):
    assert main(arguments(files, files.corpus, tmp_path / "t", max_length=65)) == 1
    assert "tokens.max_length is 65, but the encoder has only 64 positions" in capsys.readouterr().err
    assert not (tmp_path / "t").exists() and not (tmp_path / ".t.part").exists()


@pytest.mark.parametrize("damage", ["cut short", "overwritten", "no text", "a missing text", "a missing id"])
def test_a_broken_corpus_is_one_sentence(files, tmp_path, capsys, damage):
    corpus = tmp_path / "corpus.parquet"
    frame = corpus_frame(TEXTS_PER_BATCH + 10)
    last = pl.int_range(pl.len()) == len(frame) - 1
    for column, name in (("text", "a missing text"), ("document_id", "a missing id")):
        if damage == name:
            frame = frame.with_columns(pl.when(~last).then(pl.col(column)))
    write_parquet(corpus, frame.drop("text") if damage == "no text" else frame)
    content = corpus.read_bytes()
    if damage == "cut short":
        corpus.write_bytes(content[: len(content) // 2])
    if damage == "overwritten":
        corpus.write_bytes(content[:4] + bytes(len(content) // 2) + content[len(content) // 2 + 4 :])
    assert main(arguments(files, corpus, tmp_path / "tokens")) == 1
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith(f"ipcascade tokens: {corpus} ") and sentence.endswith("; make it again")
    assert "\n" not in sentence
    assert [path for path in tmp_path.iterdir() if path.suffix != ".yaml"] == [corpus]


def test_a_tokenizer_that_fails_half_way_is_one_sentence(files, tmp_path, capsys):
    encoder = shutil.copytree(files.encoder, tmp_path / "encoder")
    definition = json.loads((encoder / "tokenizer.json").read_text())
    definition["model"]["unk_token"] = "[NONE]"  # so that it fails at the first unknown word
    (encoder / "tokenizer.json").write_text(json.dumps(definition))
    # transformers makes BERT's tokenizer from the vocabulary alone, and others as the file says.
    (encoder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    frame = corpus_frame(TEXTS_PER_BATCH * 2)
    texts = [*frame["text"][:-1], "a word unheard of"]
    write_parquet(tmp_path / "corpus.parquet", frame.with_columns(text=pl.Series(texts)))
    broken = Files(tmp_path / "corpus.parquet", files.splits, tmp_path / "tokens", encoder)
    assert main(arguments(broken, broken.corpus, broken.tokens)) == 1
    sentence = capsys.readouterr().err.strip()
    assert f"the tokenizer of {encoder} fails on a text" in sentence and "Missing [UNK]" in sentence
    assert "\n" not in sentence
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".yaml") == ["corpus.parquet", "encoder"]


def arguments(files: Files, corpus: Path, folder: Path, *more: str, max_length: int = MAX_LENGTH) -> list[str]:
    config = config_file(folder.parent, tokens={"max_length": max_length})
    return [
        "tokens", "--corpus", str(corpus), "--encoder", str(files.encoder), "--tokens", str(folder),
        "--config", str(config), *more,
    ]  # fmt: skip
