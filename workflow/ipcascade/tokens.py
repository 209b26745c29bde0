"""The token cache: written once, memory-mapped everywhere.

Layout of the folder: `ids.bin` (token ids of all documents end to end, in corpus order, special tokens included, as
uint16 or int32), `offsets.npy` (int64 [documents + 1]; document i is ids[offsets[i]:offsets[i+1]]) and `tokens.json`.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from .doors import read_json, write_json
from .errors import UserError
from .progress import Progress

log = logging.getLogger(__name__)
BATCH = 4096
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


def encode(tokenizer: Any, texts: Sequence[str]) -> tuple[list[list[int]], int]:
    """Token ids a text, and how many texts were cut off."""
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(list(texts))
    return [encoding.ids for encoding in encodings], sum(bool(encoding.overflowing) for encoding in encodings)


def documents_key(document_ids: Sequence[str]) -> str:
    """SHA-256 of the document ids in their order: tells whether a cache belongs to a corpus."""
    return hashlib.sha256("\n".join(document_ids).encode()).hexdigest()


def write_cache(corpus: Path, encoder: Path, max_length: int, folder: Path, made_of: dict[str, Any]) -> dict[str, Any]:
    """Tokenise the column `text` of a corpus into the new folder `folder`, in bounded memory; return the facts."""
    tokenizer = load_tokenizer(encoder, max_length)
    dtype = np.dtype(np.uint16 if len(tokenizer) <= np.iinfo(np.uint16).max else np.int32)
    folder.mkdir(parents=True)
    document_ids: list[str] = []
    lengths: list[int] = []
    truncated = 0
    checksum = hashlib.sha256()
    with (
        pq.ParquetFile(corpus) as table,
        (folder / "ids.bin").open("wb") as ids_file,
        Progress("tokens", table.metadata.num_rows, "documents") as progress,
    ):
        for ids, texts in _text_batches(table):
            encoded, cut = encode(tokenizer, texts)
            truncated += cut
            document_ids += ids
            lengths += [len(document) for document in encoded]
            flat = np.fromiter((token for document in encoded for token in document), dtype=dtype)
            content = flat.tobytes()
            checksum.update(content)
            ids_file.write(content)
            progress.advance(len(texts))
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    np.save(folder / "offsets.npy", offsets, allow_pickle=False)
    facts = {
        "tokenizer_key": tokenizer_key(tokenizer, max_length),
        "documents_key": documents_key(document_ids),
        "ids_sha256": checksum.hexdigest(),
        "dtype": dtype.name,
        "max_length": max_length,
        "pad_id": tokenizer.pad_token_id or 0,
        "documents": len(lengths),
        "tokens": int(offsets[-1]),
        "truncated_documents": truncated,
        "mean_length": round(float(offsets[-1]) / max(len(lengths), 1), 3),
    }
    write_json(folder / "tokens.json", facts, made_of)
    log.info(
        "%d documents, %d tokens, %.1f a document, %d cut off at %d",
        len(lengths), offsets[-1], facts["mean_length"], truncated, max_length,
    )  # fmt: skip
    return facts


def _text_batches(table: pq.ParquetFile) -> Iterator[tuple[list[str], list[str]]]:
    for batch in table.iter_batches(batch_size=BATCH, columns=["document_id", "text"]):
        yield batch.column("document_id").to_pylist(), batch.column("text").to_pylist()


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
        documents: list[np.ndarray] = []
        truncated = 0
        for start in range(0, len(texts), BATCH):
            encoded, cut = encode(tokenizer, texts[start : start + BATCH])
            documents += [np.asarray(ids, dtype=np.int32) for ids in encoded]
            truncated += cut
        offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
        ids = np.concatenate(documents)
        facts = {
            "pad_id": tokenizer.pad_token_id or 0,
            "max_length": tokenizer.backend_tokenizer.truncation["max_length"],
            "documents": len(texts),
            "truncated_documents": truncated,
        }
        return cls(ids, offsets, facts)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [documents]: tokens a document."""
        return np.diff(self.offsets)
