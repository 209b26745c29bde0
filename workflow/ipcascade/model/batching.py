"""How documents become micro-batches, the arrays of one pass through the model: packed or padded.

Packed, documents are end to end in one row without padding; padded, each has a row. Which of them changes no result
beyond rounding. Shapes are few in both: kernels are prepared anew for each, on CUDA and for bf16 on a CPU.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ipcascade.core.options import Batching
from ipcascade.encoder.tokens import TokenCache

# Rows of packed micro-batches and widths of padded ones are multiples of these.
ROUND_ROWS_TO = 64
ROUND_WIDTH_TO = 32
# Room for steps with more tokens than the mean, which few exceed by as much: one more micro-batch holds the rest.
SLACK = 1.03
# A micro-batch may hold so many times the documents that the mean length lets expect; more of them, all short, get a
# new one.
DOCUMENTS_OF_THE_MEAN = 2
# Packing documents of this many micro-batches together leaves next to no gaps.
PACKED_TOGETHER = 64


@dataclass(frozen=True)
class MicroBatch:
    """What goes through the model at once; all arrays on the host.

    documents: int64 [n], positions in the cache.
    ids: int64, [rows] packed or [n, width] padded.
    Padded only: mask: bool like ids, true at real tokens.
    Packed only: position_ids: int64 [rows], each token's place in its document; cu_seqlens: int32 [parts + 1], where
    documents start, then where pieces of the unused tail do, the last offset repeated; cls_positions: int64
    [max_documents], each document's first token, 0 beyond the n-th.
    """

    documents: np.ndarray
    ids: np.ndarray
    mask: np.ndarray | None = None
    position_ids: np.ndarray | None = None
    cu_seqlens: np.ndarray | None = None
    cls_positions: np.ndarray | None = None

    @property
    def computed_tokens(self) -> int:
        """Tokens that go through the model, unused ones and padding included."""
        return self.ids.size


@dataclass(frozen=True)
class Packing:
    """How documents are put into packed micro-batches.

    max_tokens, max_documents: per micro-batch; longest: tokens of the longest document. static: all micro-batches have
    exactly these shapes, for a compiled model; otherwise one is no larger than its tokens, rounded up.
    """

    max_tokens: int
    max_documents: int
    longest: int
    static: bool

    @classmethod
    def for_steps(
        cls, lengths: np.ndarray, batch_size: int, max_tokens: int, static: bool, kept: float = 1.0
    ) -> "Packing":
        """For steps of `batch_size` documents: a step's tokens, with some room, over as few micro-batches as needed.

        lengths: of all documents, int [documents]; max_tokens: per micro-batch, rounded up (but it holds the longest
        document); kept: share of the documents' tokens that are in a step.
        """
        tokens = float(lengths.mean()) * kept * batch_size * SLACK
        return cls._of(lengths, tokens / math.ceil(tokens / max_tokens), batch_size, static)

    @classmethod
    def for_scoring(cls, lengths: np.ndarray, max_tokens: int, static: bool) -> "Packing":
        """For all documents in any order: `max_tokens` per micro-batch, or fewer where there are not as many."""
        return cls._of(lengths, min(max_tokens, float(lengths.sum())), len(lengths), static)

    @classmethod
    def _of(cls, lengths: np.ndarray, tokens: float, documents: int, static: bool) -> "Packing":
        rows = _round_up(max(tokens, lengths.max()), ROUND_ROWS_TO)
        usual = math.ceil(DOCUMENTS_OF_THE_MEAN * rows / float(lengths.mean()))
        return cls(rows, min(documents, usual), int(lengths.max()), static)

    def split(self, lengths: np.ndarray) -> list[np.ndarray]:
        """Documents, given by their lengths, over few micro-batches of about equal size: positions in `lengths`.

        Longest first, each into the micro-batch with the fewest tokens; into a new one where that has no room.
        """
        batches: list[list[int]] = [[] for _ in range(-(-int(lengths.sum()) // self.max_tokens))]
        tokens = [(0, number) for number in range(len(batches))]  # a heap
        for document in np.argsort(-lengths, kind="stable").tolist():
            length = int(lengths[document])
            fewest, number = tokens[0]
            if fewest + length > self.max_tokens or len(batches[number]) == self.max_documents:
                fewest, number = 0, len(batches)
                batches.append([])
                heapq.heappush(tokens, (length, number))
            else:
                heapq.heapreplace(tokens, (fewest + length, number))
            batches[number].append(document)
        return [np.array(chosen, dtype=np.int64) for chosen in batches if chosen]

    def collate(self, cache: TokenCache, documents: np.ndarray) -> MicroBatch:
        """The arrays of one micro-batch."""
        lengths = cache.lengths_of(documents)
        tokens = int(lengths.sum())
        rows = self.max_tokens if self.static else _round_up(tokens, ROUND_ROWS_TO)
        parts = np.concatenate([lengths, self._tail(rows - tokens)])
        ends = np.cumsum(parts)
        starts = ends - parts
        ids = np.full(rows, cache.facts["pad_id"], dtype=np.int64)
        ids[:tokens] = cache.ids[_tokens_of(cache.offsets[documents], lengths)]
        return MicroBatch(
            documents,
            ids,
            position_ids=np.arange(rows) - np.repeat(starts, parts),
            cu_seqlens=self._filled_up(np.concatenate([[0], ends]), rows).astype(np.int32),
            cls_positions=self._one_per_document(starts[: len(documents)]),
        )

    def _tail(self, tokens: int) -> np.ndarray:
        """Lengths of the pieces of the tail, none longer than a document: padding tokens whose result nobody reads."""
        whole, rest = divmod(tokens, self.longest)
        return np.array([self.longest] * whole + [rest], dtype=np.int64)

    def _filled_up(self, cu_seqlens: np.ndarray, rows: int) -> np.ndarray:
        """Static: with room for the most documents and the longest tail, filled up with the last offset."""
        if not self.static:
            return cu_seqlens
        room = self.max_documents + rows // self.longest + 2
        return np.concatenate([cu_seqlens, np.full(room - len(cu_seqlens), rows)])

    def _one_per_document(self, starts: np.ndarray) -> np.ndarray:
        """int64: the documents' starts; static, filled up to `max_documents` with zeros."""
        cls_positions = np.zeros(self.max_documents if self.static else len(starts), dtype=np.int64)
        cls_positions[: len(starts)] = starts
        return cls_positions


@dataclass(frozen=True)
class Padding:
    """How documents are put into padded micro-batches. max_tokens: per micro-batch, padding included."""

    max_tokens: int

    def split(self, lengths: np.ndarray) -> list[np.ndarray]:
        """Documents, given by their lengths, over micro-batches of one rounded width each, longest first.

        Returns positions in `lengths` per micro-batch; each has at least one document.
        """
        widths = _width(lengths)
        order = np.argsort(-lengths, kind="stable")
        batches = []
        for same in np.split(order, np.flatnonzero(np.diff(widths[order])) + 1):
            count = max(1, self.max_tokens // int(widths[same[0]]))
            batches += [same[start : start + count] for start in range(0, len(same), count)]
        return batches

    def collate(self, cache: TokenCache, documents: np.ndarray) -> MicroBatch:
        """The arrays of one micro-batch."""
        lengths = cache.lengths_of(documents)
        width = min(int(_width(lengths).max()), cache.facts["max_length"])
        mask = np.arange(width) < lengths[:, None]
        ids = np.full(mask.shape, cache.facts["pad_id"], dtype=np.int64)
        ids[mask] = cache.ids[_tokens_of(cache.offsets[documents], lengths)]
        return MicroBatch(documents, ids, mask)


def scoring_batches(
    cache: TokenCache, documents: np.ndarray, batching: Batching, max_tokens: int, static: bool
) -> Iterator[tuple[np.ndarray, MicroBatch]]:
    """Every document once, in any order: positions in `documents`, and the arrays of their micro-batch."""
    if not len(documents):
        return
    lengths = cache.lengths_of(documents)
    layout = Packing.for_scoring(lengths, max_tokens, static) if batching == "packed" else Padding(max_tokens)
    together = max(1, round(PACKED_TOGETHER * layout.max_tokens / float(lengths.mean())))
    for start in range(0, len(documents), together):
        for chosen in layout.split(lengths[start : start + together]):
            yield start + chosen, layout.collate(cache, documents[start + chosen])


def _width(lengths: np.ndarray) -> np.ndarray:
    return -(-lengths // ROUND_WIDTH_TO) * ROUND_WIDTH_TO


def _round_up(number: float, multiple: int) -> int:
    return math.ceil(number / multiple) * multiple


def _tokens_of(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The places in the cache of documents' tokens, end to end: int64 [sum of lengths]."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1])
