"""The encoder's tokenizer: loaded, identified, and run over batches of texts.

Hugging Face `tokenizers` encodes a batch on all of its threads (RAYON_NUM_THREADS, which the command line sets from
--threads) without Python's lock. What is left to Python, reading, token ids to arrays, hashing and writing, is 5% of
the work, and is done while other batches are being encoded: see `encode`. At that share the lock is no limit below some
20 cores, so there are no worker processes.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.names import MODEL_CONFIG, TOKENIZER
from ipcascade.encoder.positions import first_position

BATCHES_IN_PARALLEL = 2
"""Batches being encoded at a time: while one of them needs Python's lock, the cores are busy with another."""


class NoTokenizer(Exception):
    """A folder holds no tokenizer that can be used: why, as part of a sentence."""


def load_tokenizer(folder: Path, max_length: int) -> Any:
    """The fast tokenizer in an encoder's folder, set to cut at `max_length` and not to pad.

    Raises UserError where there is none, where the encoder has fewer positions than `max_length`, and where a text can
    have no token.
    """
    try:
        return read_tokenizer(folder, max_length)
    except NoTokenizer as reason:
        raise UserError(f"{folder} has {reason}; delete the folder and make it again") from reason


def read_tokenizer(folder: Path, max_length: int) -> Any:
    """`load_tokenizer`, raising NoTokenizer for a folder without one, and UserError for what an option can change."""
    from transformers import AutoConfig, AutoTokenizer

    # Without these transformers looks for the folder's name on the hub, or makes a tokenizer that knows no word.
    for name in (MODEL_CONFIG, TOKENIZER):
        if not (folder / name).is_file():
            raise NoTokenizer(f"no {name}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        first = first_position(config)
    except Exception as error:  # transformers raises many kinds for a broken file; all mean the same to a user
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise NoTokenizer(f"no usable tokenizer ({reason})") from error
    if not tokenizer.is_fast:
        raise NoTokenizer(f"only a slow tokenizer, where one with a {TOKENIZER} is needed")
    positions = getattr(config, "max_position_embeddings", None)
    # XLNet's -1 says that there is no limit.
    if positions is not None and positions >= 0 and max_length > (usable := positions - first):
        raise UserError(f"tokens.max_length is {max_length}, but the encoder has only {usable} positions")
    if not tokenizer.backend_tokenizer.encode("").ids:
        raise UserError(
            "the encoder's tokenizer puts no token of its own, such as [CLS], around a text, which then may have none "
            "at all; choose an encoder whose tokenizer does"
        )
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length)
    backend.no_padding()
    return tokenizer


def tokenizer_key(tokenizer: Any, max_length: int) -> str:
    """What identifies a tokenizer: SHA-256 of its definition (its truncation included) and of `max_length`."""
    return hashlib.sha256(f"{max_length}\n{tokenizer.backend_tokenizer.to_str()}".encode()).hexdigest()


class Encoded(NamedTuple):
    """A batch of texts as tokens: `ids` of all end to end, int64 `lengths` [texts], and how many were cut off."""

    ids: np.ndarray
    lengths: np.ndarray
    truncated: int


def encode(tokenizer: Any, batches: Iterable[Sequence[str]]) -> Iterator[Encoded]:
    """Encode batches of texts, in their order; never more than BATCHES_IN_PARALLEL + 1 of them are in memory.

    Raises UserError where the tokenizer fails on a text.
    """
    with ThreadPoolExecutor(BATCHES_IN_PARALLEL) as threads:
        waiting: deque[Future[Encoded]] = deque()
        for texts in batches:
            waiting.append(threads.submit(_encode, tokenizer, texts))
            if len(waiting) > BATCHES_IN_PARALLEL:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _encode(tokenizer: Any, texts: Sequence[str]) -> Encoded:
    try:
        encodings = tokenizer.backend_tokenizer.encode_batch_fast(texts)
    except Exception as error:  # tokenizers raises no kind of its own
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} fails on a text ({error}); delete the folder and make it again"
        ) from error
    lengths = np.fromiter(map(len, encodings), dtype=np.int64, count=len(encodings))
    # One list of ids at a time, dropped at once: half the cost of holding all of them.
    tokens = chain.from_iterable(encoding.ids for encoding in encodings)
    ids = np.fromiter(tokens, dtype=ids_dtype(tokenizer), count=int(lengths.sum()))
    return Encoded(ids, lengths, sum(bool(encoding.overflowing) for encoding in encodings))


def ids_dtype(tokenizer: Any) -> np.dtype[Any]:
    """The type of token ids: the smaller one that holds them all."""
    return np.dtype(np.uint16 if len(tokenizer) <= np.iinfo(np.uint16).max else np.int32)
