"""Which documents form a step, how a step is split into passes through the model, and the arrays of a pass.

The order of an epoch is a pure function of (seed, epoch), so resuming needs no state beyond the step number.
Every step has exactly `batch_size` documents, one of each length class, so that all steps hold about the same number
of tokens. Passes are packed (documents end to end, no padding) or padded; which of them changes no result beyond
rounding. Shapes are few in both: kernels are compiled anew for each, for CUDA and for bf16 on a CPU.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .randomness import stream
from .tokens import TokenCache

Batching = Literal["packed", "padded"]
# Rows of packed passes and widths of padded ones are multiples of these.
ROUND_ROWS_TO = 64
ROUND_WIDTH_TO = 32
# Room for steps with more tokens than the mean, which few exceed by as much: one more pass holds the rest.
SLACK = 1.03
# A pass may hold so many times the documents that the mean length lets expect; more of them, all short, get a new pass.
SLOTS_OF_THE_MEAN = 2
# Packing documents of this many passes together leaves next to no gaps.
PASSES_TOGETHER = 64


def steps_an_epoch(documents: int, batch_size: int) -> int:
    """Optimizer steps of one epoch."""
    return -(-documents // batch_size)


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """The documents of each step of an epoch: int64 [steps, batch_size], positions in `lengths`.

    lengths: tokens a document, int [documents]. Sorted by length (ties at random), documents form `batch_size` classes
    of `steps` documents each; every step gets one of each class, drawn without replacement. Where documents do not
    fill all steps, some, drawn at random, come twice.
    """
    random = stream(seed, "batches", epoch)
    steps = steps_an_epoch(len(lengths), batch_size)
    order = np.resize(random.permutation(len(lengths)), steps * batch_size)
    classes = order[np.argsort(lengths[order], kind="stable")].reshape(batch_size, steps)
    return random.permuted(classes, axis=1).T.copy()


@dataclass(frozen=True)
class Pass:
    """What goes through the model at once; all arrays on the host.

    documents: int64 [n], positions in the cache. ids: int64, [rows] packed or [n, width] padded. mask: bool like ids,
    true at real tokens; padded passes only. positions: int64 [rows], each token's place in its document; starts:
    int32 [parts + 1], where documents start, then where pieces of the inert tail do, the last offset repeated;
    firsts: int64 [slots], each document's first token, 0 beyond the n-th: packed passes only.
    """

    documents: np.ndarray
    ids: np.ndarray
    mask: np.ndarray | None = None
    positions: np.ndarray | None = None
    starts: np.ndarray | None = None
    firsts: np.ndarray | None = None

    @property
    def computed_tokens(self) -> int:
        """Tokens that go through the model, inert ones and padding included."""
        return self.ids.size


@dataclass(frozen=True)
class Packing:
    """How documents are put into packed passes of a run.

    rows: most tokens a pass; slots: most documents; longest: tokens of the longest document. static: all passes have
    exactly these shapes, for a compiled model; otherwise a pass is no larger than its tokens, rounded up.
    """

    rows: int
    slots: int
    longest: int
    static: bool

    @classmethod
    def for_steps(cls, lengths: np.ndarray, batch_size: int, budget: int, static: bool) -> "Packing":
        """For steps of `batch_size` documents: a step's tokens, with some room, spread over as few passes as it takes.

        lengths: of all documents, int [documents]; budget: most tokens a pass, rounded up (but it holds the longest
        document).
        """
        tokens = float(lengths.mean()) * batch_size * SLACK
        return cls._of(lengths, tokens / math.ceil(tokens / budget), batch_size, static)

    @classmethod
    def for_scoring(cls, lengths: np.ndarray, budget: int, static: bool) -> "Packing":
        """For all documents in any order: passes of `budget` tokens, or fewer where there are not as many."""
        return cls._of(lengths, min(budget, float(lengths.sum())), len(lengths), static)

    @classmethod
    def _of(cls, lengths: np.ndarray, tokens: float, documents: int, static: bool) -> "Packing":
        rows = _round_up(max(tokens, lengths.max()), ROUND_ROWS_TO)
        usual = math.ceil(SLOTS_OF_THE_MEAN * rows / float(lengths.mean()))
        return cls(rows, min(documents, usual), int(lengths.max()), static)

    def split(self, lengths: np.ndarray) -> list[np.ndarray]:
        """Documents, given by their lengths, over few passes of about equal size: positions in `lengths`, a pass each.

        Longest first, each into the pass with the fewest tokens; into a new one where that has no room.
        """
        passes: list[list[int]] = [[] for _ in range(-(-int(lengths.sum()) // self.rows))]
        tokens = [(0, number) for number in range(len(passes))]  # a heap
        for document in np.argsort(-lengths, kind="stable").tolist():
            length = int(lengths[document])
            fewest, number = tokens[0]
            if fewest + length > self.rows or len(passes[number]) == self.slots:
                fewest, number = 0, len(passes)
                passes.append([])
                heapq.heappush(tokens, (length, number))
            else:
                heapq.heapreplace(tokens, (fewest + length, number))
            passes[number].append(document)
        return [np.array(chosen, dtype=np.int64) for chosen in passes if chosen]

    def collate(self, cache: TokenCache, documents: np.ndarray) -> Pass:
        """The arrays of one pass. Its inert tail is a document of padding tokens, or several, that nobody looks at."""
        lengths = cache.lengths_of(documents)
        tokens = int(lengths.sum())
        rows = self.rows if self.static else _round_up(tokens, ROUND_ROWS_TO)
        slots = self.slots if self.static else len(documents)
        tail = rows - tokens
        parts = np.concatenate([lengths, [self.longest] * (tail // self.longest) + [tail % self.longest]])
        # Static, it has room for all documents and for the pieces of the longest tail.
        starts = np.full((slots + rows // self.longest + 1 if self.static else len(parts)) + 1, rows, dtype=np.int32)
        starts[0] = 0
        starts[1 : len(parts) + 1] = np.cumsum(parts)
        ids = np.full(rows, cache.facts["pad_id"], dtype=np.int64)
        ids[:tokens] = cache.ids[_tokens_of(cache.offsets[documents], lengths)]
        positions = np.arange(rows) - np.repeat(starts[: len(parts)], parts)
        firsts = np.zeros(slots, dtype=np.int64)
        firsts[: len(documents)] = starts[: len(documents)]
        return Pass(documents, ids, positions=positions, starts=starts, firsts=firsts)


@dataclass(frozen=True)
class Padding:
    """How documents are put into padded passes. rows: most tokens a pass, padding included."""

    rows: int

    def split(self, lengths: np.ndarray) -> list[np.ndarray]:
        """Documents, given by their lengths, over passes of one rounded width each, longest first.

        Returns positions in `lengths`, a pass each; it has at least one document.
        """
        widths = _width(lengths)
        order = np.argsort(-lengths, kind="stable")
        passes = []
        for same in np.split(order, np.flatnonzero(np.diff(widths[order])) + 1):
            count = max(1, self.rows // int(widths[same[0]]))
            passes += [same[start : start + count] for start in range(0, len(same), count)]
        return passes

    def collate(self, cache: TokenCache, documents: np.ndarray) -> Pass:
        """The arrays of one pass."""
        lengths = cache.lengths_of(documents)
        width = min(int(_width(lengths).max()), cache.facts["max_length"])
        mask = np.arange(width) < lengths[:, None]
        ids = np.full(mask.shape, cache.facts["pad_id"], dtype=np.int64)
        ids[mask] = cache.ids[_tokens_of(cache.offsets[documents], lengths)]
        return Pass(documents, ids, mask)


def scoring_passes(
    cache: TokenCache, documents: np.ndarray, batching: Batching, budget: int, static: bool
) -> Iterator[tuple[np.ndarray, Pass]]:
    """Every document once, in any order: positions in `documents`, and the arrays of their pass."""
    if not len(documents):
        return
    lengths = cache.lengths_of(documents)
    layout = Packing.for_scoring(lengths, budget, static) if batching == "packed" else Padding(budget)
    together = max(1, round(PASSES_TOGETHER * layout.rows / float(lengths.mean())))
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
