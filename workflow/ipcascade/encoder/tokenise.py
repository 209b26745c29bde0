"""Write the token cache of a corpus, whose layout `tokens` describes.

Apart from its readers, so that a change here makes the cache again and retrains nothing where the cache stays the same.
"""

import hashlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ipcascade.core.errors import UserError
from ipcascade.core.files import write_json
from ipcascade.core.names import TOKEN_FACTS, TOKEN_IDS, TOKEN_OFFSETS
from ipcascade.core.progress import Progress
from ipcascade.encoder.tokenizer import encode, ids_dtype, load_tokenizer, tokenizer_key
from ipcascade.encoder.tokens import TEXTS_PER_BATCH, offsets_of

log = logging.getLogger(__name__)


def write_cache(
    corpus: Path, encoder: Path, max_length: int, folder: Path, texts_per_batch: int = TEXTS_PER_BATCH
) -> dict[str, Any]:
    """Tokenise the column `text` of a corpus into the empty folder `folder`; return the facts of tokens.json.

    Texts and ids pass through in batches; only each document's length stays in memory.
    Facts: `tokenizer_key`, `documents_key` and `ids_sha256`, which are compared where the cache is used; `dtype` of the
    ids; `max_length` and `pad_id`; and counts: `documents`, `tokens`, `truncated_documents`, `mean_length`.
    Raises UserError where the corpus cannot be read, or the tokenizer cannot be loaded or fails on a text.
    """
    tokenizer = load_tokenizer(encoder, max_length)
    lengths: list[np.ndarray] = []
    truncated = 0
    checksum, document_ids = hashlib.sha256(), hashlib.sha256()
    with (
        _open(corpus) as table,
        (folder / TOKEN_IDS).open("wb") as ids_file,
        Progress("tokens", table.metadata.num_rows, "documents") as progress,
    ):
        for encoded in encode(tokenizer, _texts(table, corpus, document_ids, texts_per_batch)):
            lengths.append(encoded.lengths)
            truncated += encoded.truncated
            content = encoded.ids.tobytes()
            checksum.update(content)
            ids_file.write(content)
            progress.advance(len(encoded.lengths))
    offsets = offsets_of(lengths)
    # Not straight to the file: of a full disk NumPy says only how much was written.
    stored = io.BytesIO()
    np.save(stored, offsets, allow_pickle=False)
    (folder / TOKEN_OFFSETS).write_bytes(stored.getvalue())
    documents = len(offsets) - 1
    facts = {
        "tokenizer_key": tokenizer_key(tokenizer, max_length),
        "documents_key": document_ids.hexdigest(),
        "ids_sha256": checksum.hexdigest(),
        "dtype": ids_dtype(tokenizer).name,
        "max_length": max_length,
        "pad_id": tokenizer.pad_token_id or 0,
        "documents": documents,
        "tokens": int(offsets[-1]),
        "truncated_documents": truncated,
        "mean_length": round(float(offsets[-1]) / max(documents, 1), 3),
    }
    write_json(folder / TOKEN_FACTS, facts)
    log.info(
        "%d documents, %d tokens, %.1f tokens per document, %d documents cut off at %d tokens",
        documents, offsets[-1], facts["mean_length"], truncated, max_length,
    )  # fmt: skip
    return facts


def _open(corpus: Path) -> pq.ParquetFile:
    with _reading(corpus):
        # Memory-mapped, since pyarrow would read all of a row group's column at once: texts of a million documents.
        return pq.ParquetFile(corpus, memory_map=True)


def _texts(table: pq.ParquetFile, corpus: Path, ids_hash: Any, texts_per_batch: int) -> Iterator[list[str]]:
    """The texts in batches; `ids_hash` gets the document ids, so that it ends up as their `documents_key`."""
    separator = ""
    with _reading(corpus):
        for batch in table.iter_batches(batch_size=texts_per_batch, columns=["document_id", "text"]):
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
