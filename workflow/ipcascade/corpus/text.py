"""What a document's text is, and when two texts are copies of each other.

The two ways to compare texts are here, side by side: `normalise` for one text, `measure` for millions of them.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa


def compose(fields: Sequence[str]) -> pl.Expr:
    """The text of a document from columns of its fields, in their order: those that it has, a full stop after a title.

    Of a document without any it is empty.
    """
    parts = [pl.format("{}.", "title") if field == "title" else pl.col(field) for field in fields]
    return pl.concat_str(parts, separator=" ", ignore_nulls=True)


def cut_fairly(texts: pl.DataFrame, fields: Sequence[str], most_words: int) -> pl.DataFrame:
    """The table with its fields cut to so many words together, each at the end.

    A field that is shorter than an equal share stays whole, and the others share what it leaves.
    """
    words = texts.select(pl.col(field).str.count_matches(r"\S+").fill_null(0) for field in fields).to_numpy()
    limits = _fair_shares(words, most_words)
    columns = []
    for place, field in enumerate(fields):
        values = texts[field].to_list()
        for row in np.flatnonzero(limits[:, place] < words[:, place]).tolist():
            values[row] = _beginning(values[row], int(limits[row, place]))
        columns.append(pl.Series(field, values, dtype=pl.String))
    return texts.with_columns(columns)


def _fair_shares(words: np.ndarray, most: int) -> np.ndarray:
    """int64 [documents, fields]: how many words of each field stay, by filling the shortest first."""
    shares = np.zeros_like(words, dtype=np.int64)
    left = np.full(len(words), most, dtype=np.int64)
    order = np.argsort(words, axis=1, kind="stable")
    rows = np.arange(len(words))
    for number in range(words.shape[1]):
        place = order[:, number]
        share = np.minimum(words[rows, place], left // (words.shape[1] - number))
        shares[rows, place] = share
        left -= share
    return shares


def _beginning(text: str, words: int) -> str | None:
    """The first words of a text, with what is between them; None for no word."""
    found = re.match(rf"\s*(?:\S+\s+){{{words - 1}}}\S+", text) if words else None
    return found[0] if found else None


def normalise(text: str) -> str:
    """Letters and digits of a text after NFKC, case folded: what two copies of an abstract have in common."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def measure(texts: pl.Series) -> pl.DataFrame:
    """words (Int32, whitespace-separated) and text_hash (UInt64, of the normalised text) of each text.

    Normalised is: NFKC, without regard to case, letters and digits only. Of all 100 million abstracts of PATSTAT, two
    different ones have the same 64 bits by chance in one of 4,000 deliveries; two families are then kept in one split
    without need. Nine in ten English abstracts are ASCII, where both come from the bytes, several times as fast.
    """
    rows = pl.DataFrame({"text": texts}).with_row_index()
    is_ascii = pl.col("text").str.len_bytes() == pl.col("text").str.len_chars()
    measured = [
        part.select("index", *measure_part(part["text"]))
        for part, measure_part in ((rows.filter(is_ascii), measure_ascii), (rows.filter(~is_ascii), measure_unicode))
    ]
    return pl.concat(measured).sort("index").drop("index")


def measure_unicode(texts: pl.Series) -> list[pl.Series]:
    """words and text_hash of any texts."""
    # Upper case first: it makes equal what lower case leaves different (ß and ss, the two small sigmas).
    folded = texts.str.normalize("NFKC").str.to_uppercase().str.to_lowercase()
    return [
        texts.str.count_matches(r"\S+").cast(pl.Int32).alias("words"),
        folded.str.replace_all(r"[^\p{L}\p{N}]+", "").hash().alias("text_hash"),
    ]


def measure_ascii(texts: pl.Series) -> list[pl.Series]:
    """The same of texts that are ASCII throughout, from their bytes."""
    characters, bounds = _bytes_of(texts)
    words = _number_before(_starts_of_words(characters, bounds), bounds)
    kept = bounds - _number_before(_IS_DROPPED[characters], bounds)
    content = characters.tobytes().translate(_LOWER_CASE, _DROPPED)
    normalised = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(kept), pa.py_buffer(content))
    return [
        pl.Series("words", np.diff(words), dtype=pl.Int32),
        pl.Series("text_hash", normalised).hash(),
    ]


def _bytes_of(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """All texts end to end, uint8 [bytes]; where each begins and ends there, int64 [texts + 1]."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset :][: len(array) + 1]
    characters = np.frombuffer(content or b"", dtype=np.uint8)[bounds[0] : bounds[-1]]
    return characters, bounds - bounds[0]


def _starts_of_words(characters: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """bool [bytes]: whether a word starts there, after a blank or at the beginning of a text."""
    is_blank = (characters == ord(" ")) | ((characters >= ord("\t")) & (characters <= ord("\r")))
    starts = ~is_blank
    starts[1:] &= is_blank[:-1]
    first = bounds[:-1][np.diff(bounds) > 0]
    starts[first] = ~is_blank[first]
    return starts


def _number_before(flags: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """int64 [texts + 1]: how many flags (bool [bytes]) are set before each of the bounds."""
    return np.searchsorted(np.flatnonzero(flags), bounds)


# By byte: its lower case, and whether the normalised text is without it.
_LOWER_CASE = bytes(range(256)).lower()
_IS_DROPPED = np.array([not chr(code).isalnum() for code in range(128)])
_DROPPED = bytes(np.flatnonzero(_IS_DROPPED).astype(np.uint8))
