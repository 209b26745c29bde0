"""The token cache: written once, memory-mapped everywhere.

Layout of the folder: `ids.bin` (token ids of all documents end to end, in corpus order, special tokens included, as
uint16 or int32), `offsets.npy` (int64 [documents + 1]; document i is ids[offsets[i]:offsets[i+1]]) and `tokens.json`.

Hugging Face `tokenizers` encodes a batch on all of its threads (RAYON_NUM_THREADS, which the command line sets from
--threads) without Python's lock. What is left to Python, reading, token ids to arrays, hashing and writing, is 5% of
the work, and is done while other batches are being encoded: see `encode`. At that share the lock is no limit below some
20 cores, so there are no worker processes. Texts and ids pass through in batches; a length a document stays in memory.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .doors import read_json, write_json
from .errors import UserError
from .progress import Progress

log = logging.getLogger(__name__)
BATCH = 1024
# Batches being encoded at a time: while one of them needs Python's lock, the cores are busy with another.
AT_WORK = 2
# These count positions from the padding token's id on, and so have fewer than their config says.
POSITIONS_AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})


def load_tokenizer(folder: Path, max_length: int) -> Any:
    """The fast tokenizer in an encoder's folder, set to cut at `max_length` and not to pad.

    Raises UserError where there is none, or where the encoder has fewer positions than `max_length`.
    """
    from transformers import AutoConfig, AutoTokenizer

    # Without these transformers looks for the folder's name on the hub, or makes a tokenizer that knows no word.
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; delete the folder and make it again")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises many kinds for a broken file; all mean the same to a user
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{folder} has no usable tokenizer ({reason}); delete the folder and make it again") from error
    if not tokenizer.is_fast:
        raise UserError(f"{folder} has only a slow tokenizer; the token cache needs one with a tokenizer.json")
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in POSITIONS_AFTER_PADDING:
        positions -= config.pad_token_id + 1
    if positions is not None and max_length > positions:
        raise UserError(f"tokens.max_length is {max_length}, but the encoder has only {positions} positions")
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(max_length)
    backend.no_padding()
    return tokenizer


def tokenizer_key(tokenizer: Any, max_length: int) -> str:
    """What a cache is keyed by: SHA-256 of the tokenizer's definition (its truncation included) and `max_length`."""
    return hashlib.sha256(f"{max_length}\n{tokenizer.backend_tokenizer.to_str()}".encode()).hexdigest()


class Encoded(NamedTuple):
    """A batch of texts as tokens: `ids` of all end to end, int64 `lengths` [texts], and how many were cut off."""

    ids: np.ndarray
    lengths: np.ndarray
    truncated: int


def encode(tokenizer: Any, batches: Iterable[Sequence[str]]) -> Iterator[Encoded]:
    """Encode batches of texts, in their order; never more than AT_WORK + 1 of them are in memory.

    Raises UserError where the tokenizer fails on a text.
    """
    with ThreadPoolExecutor(AT_WORK) as threads:
        waiting: deque[Future[Encoded]] = deque()
        for texts in batches:
            waiting.append(threads.submit(_encode, tokenizer, texts))
            if len(waiting) > AT_WORK:
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
    # A list of ids at a time, dropped at once: half the cost of holding all of them.
    tokens = chain.from_iterable(encoding.ids for encoding in encodings)
    ids = np.fromiter(tokens, dtype=_dtype(tokenizer), count=int(lengths.sum()))
    return Encoded(ids, lengths, sum(bool(encoding.overflowing) for encoding in encodings))


def _dtype(tokenizer: Any) -> np.dtype[Any]:
    return np.dtype(np.uint16 if len(tokenizer) <= np.iinfo(np.uint16).max else np.int32)


def documents_key(document_ids: Sequence[str]) -> str:
    """SHA-256 of the document ids in their order: tells whether a cache belongs to a corpus."""
    return hashlib.sha256("\n".join(document_ids).encode()).hexdigest()


def write_cache(corpus: Path, encoder: Path, max_length: int, folder: Path, made_of: dict[str, Any]) -> dict[str, Any]:
    """Tokenise the column `text` of a corpus into the new folder `folder`, in bounded memory; return the facts.

    Raises UserError where the corpus cannot be read, or the tokenizer cannot be loaded or fails on a text.
    """
    tokenizer = load_tokenizer(encoder, max_length)
    folder.mkdir(parents=True)
    lengths: list[np.ndarray] = []
    truncated = 0
    checksum, document_ids = hashlib.sha256(), hashlib.sha256()
    with (
        _open(corpus) as table,
        (folder / "ids.bin").open("wb") as ids_file,
        Progress("tokens", table.metadata.num_rows, "documents") as progress,
    ):
        for encoded in encode(tokenizer, _texts(table, corpus, document_ids)):
            lengths.append(encoded.lengths)
            truncated += encoded.truncated
            content = encoded.ids.tobytes()
            checksum.update(content)
            ids_file.write(content)
            progress.advance(len(encoded.lengths))
    offsets = _offsets(lengths)
    np.save(folder / "offsets.npy", offsets, allow_pickle=False)
    documents = len(offsets) - 1
    facts = {
        "tokenizer_key": tokenizer_key(tokenizer, max_length),
        "documents_key": document_ids.hexdigest(),
        "ids_sha256": checksum.hexdigest(),
        "dtype": _dtype(tokenizer).name,
        "max_length": max_length,
        "pad_id": tokenizer.pad_token_id or 0,
        "documents": documents,
        "tokens": int(offsets[-1]),
        "truncated_documents": truncated,
        "mean_length": round(float(offsets[-1]) / max(documents, 1), 3),
    }
    write_json(folder / "tokens.json", facts, made_of)
    log.info(
        "%d documents, %d tokens, %.1f a document, %d cut off at %d",
        documents, offsets[-1], facts["mean_length"], truncated, max_length,
    )  # fmt: skip
    return facts


def _open(corpus: Path) -> pq.ParquetFile:
    with _reading(corpus):
        # Memory-mapped, since pyarrow would read all of a row group's column at once: texts of a million documents.
        return pq.ParquetFile(corpus, memory_map=True)


def _texts(table: pq.ParquetFile, corpus: Path, ids_hash: Any) -> Iterator[list[str]]:
    """The texts in batches; `ids_hash` gets the document ids, so that it ends up as their `documents_key`."""
    separator = ""
    with _reading(corpus):
        for batch in table.iter_batches(batch_size=BATCH, columns=["document_id", "text"]):
            document_ids, texts = batch.column("document_id"), batch.column("text")
            if document_ids.null_count or texts.null_count:
                raise UserError(f"{corpus} has a document without an id or a text; make it again")
            ids_hash.update((separator + "\n".join(document_ids.to_pylist())).encode())
            separator = "\n"
            yield texts.to_pylist()


@contextmanager
def _reading(corpus: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise UserError(f"{corpus} is not a readable corpus ({str(error).splitlines()[0]}); make it again") from None


def _offsets(lengths: Sequence[np.ndarray]) -> np.ndarray:
    """Where documents begin and end, from the lengths of all, in batches: int64 [documents + 1]."""
    return np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))


@dataclass(frozen=True)
class TokenCache:
    """A token cache as a reader sees it: `ids` and `offsets` are memory-mapped, nothing is copied."""

    ids: np.ndarray
    offsets: np.ndarray
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, document_ids: Sequence[str] | None = None) -> "TokenCache":
        """Open a folder that `write_cache` made.

        Raises UserError where a file is missing or of the wrong size, or, with `document_ids`, where the cache was
        made from other documents.
        """
        facts = read_json(folder / "tokens.json")
        try:
            offsets = np.load(folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
            ids = np.memmap(folder / "ids.bin", dtype=facts["dtype"], mode="r")
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} is not a readable token cache: {error}") from None
        if len(ids) != facts["tokens"] or len(offsets) != facts["documents"] + 1:
            raise UserError(f"{folder} is a broken token cache: ids.bin holds {len(ids)} tokens, not {facts['tokens']}")
        if document_ids is not None and documents_key(document_ids) != facts["documents_key"]:
            raise UserError(f"{folder} was made from other documents than this corpus; delete it and make it again")
        return cls(ids, offsets, facts)

    @classmethod
    def of_texts(cls, tokenizer: Any, texts: Sequence[str]) -> "TokenCache":
        """The same thing in memory, for texts that need no cache on disk."""
        encoded = list(encode(tokenizer, (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))))
        facts = {
            "pad_id": tokenizer.pad_token_id or 0,
            "max_length": tokenizer.backend_tokenizer.truncation["max_length"],
            "documents": len(texts),
            "truncated_documents": sum(batch.truncated for batch in encoded),
        }
        ids = np.concatenate([batch.ids for batch in encoded])
        return cls(ids, _offsets([batch.lengths for batch in encoded]), facts)

    def lengths_of(self, documents: np.ndarray) -> np.ndarray:
        """int64, the shape of `documents`: their tokens."""
        return self.offsets[documents + 1] - self.offsets[documents]

    @property
    def lengths(self) -> np.ndarray:
        """int64 [documents]: tokens a document."""
        return np.diff(self.offsets)
