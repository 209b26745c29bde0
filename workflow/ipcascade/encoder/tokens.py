"""The token cache as its readers see it: memory-mapped, and checked against what it is used with.

Layout of the folder: `ids.bin` (token ids of all documents end to end, in corpus order, special tokens included, as
uint16 or int32), `offsets.npy` (int64 [documents + 1]; document i is ids[offsets[i]:offsets[i+1]]) and `tokens.json`
(the facts that `tokenise.write_cache` lists).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum, read_json
from ipcascade.core.names import TOKEN_FACTS, TOKEN_IDS, TOKEN_OFFSETS
from ipcascade.core.schemas import TokenFacts
from ipcascade.encoder.tokenizer import encode, load_tokenizer, tokenizer_key

TEXTS_PER_BATCH = 1024


def documents_key(document_ids: Sequence[str]) -> str:
    """SHA-256 of the document ids in their order: shows whether a cache belongs to a corpus."""
    return hashlib.sha256("\n".join(document_ids).encode()).hexdigest()


def offsets_of(lengths: Sequence[np.ndarray]) -> np.ndarray:
    """Where documents begin and end, from the lengths of all, in batches: int64 [documents + 1]."""
    return np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))


@dataclass(frozen=True)
class TokenCache:
    """Token ids of documents: `ids` and `offsets` are memory-mapped, nothing is copied."""

    ids: np.ndarray
    offsets: np.ndarray
    facts: dict[str, Any]

    @classmethod
    def open(
        cls, folder: Path, document_ids: Sequence[str] | None = None, tokenizer_folder: Path | None = None
    ) -> "TokenCache":
        """Open a folder that `tokenise.write_cache` made.

        Raises UserError where a file is missing, of the wrong size, or changed since it was written; with
        `document_ids`, where the cache was made from other documents; with `tokenizer_folder` (the encoder in training,
        the exported model in scoring), where it was made with another tokenizer.
        """
        facts = read_json(folder / TOKEN_FACTS, TokenFacts)
        try:
            # Reads .npy files alone; np.load would also take an archive, or a pickle were it allowed.
            offsets = np.lib.format.open_memmap(folder / TOKEN_OFFSETS, mode="r")
            ids = np.memmap(folder / TOKEN_IDS, dtype=facts["dtype"], mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise UserError(
                f"{folder} is not a readable token cache: {error}; delete the folder and make it again"
            ) from None
        cache = cls(ids, offsets, facts)
        cache._check_content(folder)
        if document_ids is not None and documents_key(document_ids) != facts["documents_key"]:
            raise UserError(f"{folder} was made from other documents than this corpus; delete it and make it again")
        if tokenizer_folder is not None:
            cache._check_tokenizer(folder, tokenizer_folder)
        return cache

    def _check_content(self, folder: Path) -> None:
        tokens, documents, max_length = (self.facts[name] for name in ("tokens", "documents", "max_length"))
        if len(self.ids) != tokens:
            raise UserError(
                f"{folder} is a broken token cache: {TOKEN_IDS} holds {len(self.ids)} tokens, not {tokens}; delete it "
                "and make it again"
            )
        offsets = self.offsets
        is_whole = offsets.dtype == np.int64 and offsets.shape == (documents + 1,) and offsets[0] == 0
        if not is_whole or offsets[-1] != tokens or not ((self.lengths > 0) & (self.lengths <= max_length)).all():
            raise UserError(
                f"{folder} is a broken token cache: {TOKEN_OFFSETS} does not say where {documents} documents of 1 to "
                f"{max_length} tokens begin in {TOKEN_IDS}; delete it and make it again"
            )
        if file_checksum(folder / TOKEN_IDS) != self.facts["ids_sha256"]:
            raise UserError(
                f"{folder} is a broken token cache: {TOKEN_IDS} does not have the checksum in {TOKEN_FACTS}; delete it "
                "and make it again"
            )

    def _check_tokenizer(self, folder: Path, tokenizer_folder: Path) -> None:
        max_length = self.facts["max_length"]
        if tokenizer_key(load_tokenizer(tokenizer_folder, max_length), max_length) != self.facts["tokenizer_key"]:
            raise UserError(
                f"{folder} was made with another tokenizer than the one in {tokenizer_folder}; delete it and make it "
                "again with that one"
            )

    @classmethod
    def of_texts(cls, tokenizer: Any, texts: Sequence[str]) -> "TokenCache":
        """The same thing in memory, for texts that need no cache on disk."""
        starts = range(0, len(texts), TEXTS_PER_BATCH)
        encoded = list(encode(tokenizer, (texts[start : start + TEXTS_PER_BATCH] for start in starts)))
        facts = {
            "pad_id": tokenizer.pad_token_id or 0,
            "max_length": tokenizer.backend_tokenizer.truncation["max_length"],
            "documents": len(texts),
            "truncated_documents": sum(batch.truncated for batch in encoded),
        }
        ids = np.concatenate([batch.ids for batch in encoded])
        return cls(ids, offsets_of([batch.lengths for batch in encoded]), facts)

    def followed_by(self, other: "TokenCache") -> "TokenCache":
        """The documents of both, in memory, with the facts of this one."""
        ids = np.concatenate([self.ids, other.ids.astype(self.ids.dtype)])
        return TokenCache(ids, np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]), self.facts)

    def lengths_of(self, documents: np.ndarray) -> np.ndarray:
        """int64, the shape of `documents`: their tokens."""
        return self.offsets[documents + 1] - self.offsets[documents]

    @property
    def lengths(self) -> np.ndarray:
        """int64 [documents]: tokens per document."""
        return np.diff(self.offsets)
