"""The token cache against the tokenizer called text by text."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ipcascade import tokens
from ipcascade.cli import main
from ipcascade.doors import read_parquet, write_parquet
from ipcascade.errors import UserError
from ipcascade.tokens import TokenCache, documents_key, encode, load_tokenizer, write_cache
from support import Files, corpus_frame

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
    said = ("ids_sha256", "documents_key", "truncated_documents", "documents")
    return {
        "ids": (folder / "ids.bin").read_bytes(),
        "offsets": np.load(folder / "offsets.npy").tolist(),
        **{name: facts[name] for name in said},
    }


def hard_corpus(path: Path) -> Path:
    frame = corpus_frame(40)
    texts = [*frame["text"][:20], *HARD_TEXTS, *frame["text"][20 + len(HARD_TEXTS) :]]
    write_parquet(path, frame.with_columns(text=pl.Series(texts)), {})
    return path


@pytest.mark.parametrize(("batch", "at_work"), [(1, 1), (1, 3), (7, 2), (40, 2), (1000, 2)])
def test_cache_holds_what_transformers_gives_whatever_the_batches(files, tmp_path, monkeypatch, batch, at_work):
    monkeypatch.setattr(tokens, "BATCH", batch)
    monkeypatch.setattr(tokens, "AT_WORK", at_work)
    corpus = hard_corpus(tmp_path / "corpus.parquet")
    write_cache(corpus, files.encoder, MAX_LENGTH, tmp_path / "tokens", {})
    assert found_cache(tmp_path / "tokens") == expected_cache(corpus, files.encoder)
    cache = TokenCache.open(tmp_path / "tokens", read_parquet(corpus)["document_id"].to_list())
    assert isinstance(cache.ids, np.memmap)


def test_cache_is_the_same_for_any_number_of_threads(files, tmp_path):
    corpus = tmp_path / "corpus.parquet"
    write_parquet(corpus, corpus_frame(tokens.BATCH * 3 + 100), {})
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

    tokenizer = load_tokenizer(files.encoder, MAX_LENGTH)
    for number, encoded in enumerate(encode(tokenizer, batches())):
        assert taken - number <= tokens.AT_WORK + 1
        assert encoded.lengths.tolist() == [min(number + 2, MAX_LENGTH)] * 2
    assert taken == 30


def test_texts_in_memory_are_the_same(files, monkeypatch):
    monkeypatch.setattr(tokens, "BATCH", 7)
    texts = corpus_frame(50)["text"].to_list()
    on_disk = TokenCache.open(files.tokens)
    in_memory = TokenCache.of_texts(load_tokenizer(files.encoder, MAX_LENGTH), texts)
    assert np.array_equal(in_memory.offsets, on_disk.offsets[:51])
    assert np.array_equal(in_memory.ids, on_disk.ids[: on_disk.offsets[50]])
    assert in_memory.facts["truncated_documents"] == sum(len(text.split()) + 2 > MAX_LENGTH for text in texts) > 0


def test_a_corpus_without_documents_gives_an_empty_cache(files, tmp_path):
    corpus = tmp_path / "corpus.parquet"
    write_parquet(corpus, corpus_frame(1).clear(), {})
    facts = write_cache(corpus, files.encoder, MAX_LENGTH, tmp_path / "tokens", {})
    assert (facts["documents"], facts["tokens"], facts["documents_key"]) == (0, 0, documents_key([]))


def test_a_cache_of_other_documents_or_cut_short_is_refused(files, tmp_path):
    with pytest.raises(UserError, match="other documents"):
        TokenCache.open(files.tokens, ["1", "2"])
    copy = tmp_path / "tokens"
    shutil.copytree(files.tokens, copy)
    (copy / "ids.bin").write_bytes((copy / "ids.bin").read_bytes()[:-10])
    with pytest.raises(UserError, match="broken token cache"):
        TokenCache.open(copy)


def test_more_tokens_than_positions_is_one_sentence(files, tmp_path, capsys):
    options = json.dumps({"tokens": {"max_length": 65}})
    assert main(arguments(files, files.corpus, tmp_path / "t", "--options", options)) == 1
    assert "tokens.max_length is 65, but the encoder has only 64 positions" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut short", "overwritten", "no text", "a missing text", "a missing id"])
def test_a_broken_corpus_is_one_sentence(files, tmp_path, capsys, damage):
    corpus = tmp_path / "corpus.parquet"
    frame = corpus_frame(tokens.BATCH + 10)
    last = pl.int_range(pl.len()) == len(frame) - 1
    for column, name in (("text", "a missing text"), ("document_id", "a missing id")):
        if damage == name:
            frame = frame.with_columns(pl.when(~last).then(pl.col(column)))
    write_parquet(corpus, frame.drop("text") if damage == "no text" else frame, {})
    content = corpus.read_bytes()
    if damage == "cut short":
        corpus.write_bytes(content[: len(content) // 2])
    if damage == "overwritten":
        corpus.write_bytes(content[:4] + bytes(len(content) // 2) + content[len(content) // 2 + 4 :])
    assert main(arguments(files, corpus, tmp_path / "tokens")) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"ipcascade tokens: {corpus} ") and said.endswith("; make it again") and "\n" not in said
    assert list(tmp_path.iterdir()) == [corpus]


def test_a_tokenizer_that_fails_half_way_is_one_sentence(files, tmp_path, capsys):
    encoder = shutil.copytree(files.encoder, tmp_path / "encoder")
    definition = json.loads((encoder / "tokenizer.json").read_text())
    definition["model"]["unk_token"] = "[NONE]"  # so that it fails at the first unknown word
    (encoder / "tokenizer.json").write_text(json.dumps(definition))
    # transformers makes BERT's tokenizer from the vocabulary alone, and others as the file says.
    (encoder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    frame = corpus_frame(tokens.BATCH * 2)
    texts = [*frame["text"][:-1], "a word unheard of"]
    write_parquet(tmp_path / "corpus.parquet", frame.with_columns(text=pl.Series(texts)), {})
    broken = Files(tmp_path / "corpus.parquet", files.splits, tmp_path / "tokens", encoder)
    assert main(arguments(broken, broken.corpus, broken.tokens)) == 1
    said = capsys.readouterr().err.strip()
    assert f"the tokenizer of {encoder} fails on a text" in said and "Missing [UNK]" in said and "\n" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.parquet", "encoder"]


def arguments(files: Files, corpus: Path, folder: Path, *more: str) -> list[str]:
    return [
        "tokens", "--corpus", str(corpus), "--encoder", str(files.encoder), "--tokens", str(folder),
        "--options", json.dumps({"tokens": {"max_length": MAX_LENGTH}}), *more,
    ]  # fmt: skip
