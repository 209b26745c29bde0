"""The token cache against the tokenizer called text by text."""

import json
import shutil

import numpy as np
import pytest

from ipcascade.cli import main
from ipcascade.doors import read_parquet
from ipcascade.errors import UserError
from ipcascade.tokens import TokenCache, load_tokenizer
from support import corpus_frame


def test_cache_holds_what_transformers_gives(files):
    from transformers import AutoTokenizer

    texts = read_parquet(files.corpus, ["text"])["text"].to_list()
    cache = TokenCache.open(files.tokens)
    tokenizer = AutoTokenizer.from_pretrained(files.encoder)
    expected = [tokenizer(text, truncation=True, max_length=32)["input_ids"] for text in texts]
    found = [cache.ids[cache.offsets[i] : cache.offsets[i + 1]].tolist() for i in range(len(texts))]
    assert found == expected
    uncut = [len(tokenizer(text)["input_ids"]) for text in texts]
    assert cache.facts["truncated_documents"] == sum(length > 32 for length in uncut) > 0
    assert cache.facts["tokens"] == sum(map(len, expected))
    assert isinstance(cache.ids, np.memmap)


def test_texts_in_memory_are_the_same(files):
    texts = corpus_frame(50)["text"].to_list()
    on_disk = TokenCache.open(files.tokens)
    in_memory = TokenCache.of_texts(load_tokenizer(files.encoder, 32), texts)
    assert np.array_equal(in_memory.offsets, on_disk.offsets[:51])
    assert np.array_equal(in_memory.ids, on_disk.ids[: on_disk.offsets[50]])


def test_the_same_corpus_gives_the_same_bytes(files, tmp_path):
    arguments = ["tokens", "--corpus", str(files.corpus), "--encoder", str(files.encoder)]
    assert main([*arguments, "--tokens", str(tmp_path / "again"), "--options", '{"tokens": {"max_length": 32}}']) == 0
    for path in files.tokens.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_cache_of_other_documents_or_cut_short_is_refused(files, tmp_path):
    with pytest.raises(UserError, match="other documents"):
        TokenCache.open(files.tokens, ["1", "2"])
    copy = tmp_path / "tokens"
    shutil.copytree(files.tokens, copy)
    (copy / "ids.bin").write_bytes((copy / "ids.bin").read_bytes()[:-10])
    with pytest.raises(UserError, match="broken token cache"):
        TokenCache.open(copy)


def test_more_tokens_than_positions_is_one_sentence(files, tmp_path, capsys):
    arguments = [
        "tokens",
        "--corpus",
        str(files.corpus),
        "--encoder",
        str(files.encoder),
        "--tokens",
        str(tmp_path / "t"),
    ]
    assert main([*arguments, "--options", json.dumps({"tokens": {"max_length": 65}})]) == 1
    assert "tokens.max_length is 65, but the encoder has only 64 positions" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
