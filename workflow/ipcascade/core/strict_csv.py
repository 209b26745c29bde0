"""CSV files read strictly: what is read equals what Python's `csv` module reads in strict mode, or it is refused.

pyarrow parses the rows, which is fast, but what it makes of malformed quotes is undefined. So the bytes are checked
on their way to it, with numpy and in one pass: quotes, NUL bytes, line ends. Given a file that passes, its rows are
those of every other reader. Errors name the line of the file, the header being on line 1.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ipcascade.core.errors import UserError

# Bytes parsed at a time; no row can be longer.
BLOCK_BYTES = 8 << 20
_CHUNK = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTE, _LINE_FEED, _CARRIAGE_RETURN = b'"\n\r'
NOT_UTF8 = "{} is not valid UTF-8"
_DELIMITERS = {",": "comma", "\t": "tab"}
# What may come before a quote that opens, and after one that closes; a quote, where two stand for one.
_IS_BEFORE, _IS_AFTER = (
    {delimiter: np.isin(np.arange(256), list(allowed + delimiter.encode())) for delimiter in _DELIMITERS}
    for allowed in (b'\n"', b'\n\r"')
)
# Bytes checked at a time.
_PIECE = 1 << 18


def unreadable(where: str, error: Exception) -> UserError:
    """The sentence for what the operating system refuses."""
    return UserError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or error})")


@dataclass(frozen=True)
class CsvFile:
    """A CSV file of a user: UTF-8, a header, commas (or tabs), quotes doubled inside quotes.

    name: in messages; open: gives its bytes from the beginning, as often as it is called; remedy: what a user can do
    where a row is wrong; any_case: whether columns are found by name in any case; damage: the sentence for one of
    `read_errors`, which reading the bytes may raise, and for the place in the file; delimiter: "," or a tab.
    """

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]
    remedy: str
    any_case: bool = False
    read_errors: tuple[type[Exception], ...] = (OSError,)
    damage: Callable[[str, Exception], UserError] = unreadable
    delimiter: str = ","

    def blocks(self, columns: Sequence[str], block_bytes: int = BLOCK_BYTES) -> Iterator["CsvBlock"]:
        """The wanted columns, at least one block of them. Raises UserError for all that is wrong with the file."""
        with self.open() as content:
            stream = _CheckedStream(self, content)
            header = self._header(stream, block_bytes)
            places = [self._place(column, header) for column in columns]
            record = 1
            for values in self._parsed(stream, len(header), places, block_bytes):
                yield CsvBlock(self, record, dict(zip(columns, values.columns, strict=True)), values.num_rows)
                record += values.num_rows
            if record == 1:  # no row at all, but the columns are known
                yield CsvBlock(self, 1, {column: pa.array([], pa.binary()) for column in columns}, 0)

    def refuse(self, line: int, problem: str) -> NoReturn:
        """Raise UserError about a line of the file."""
        raise UserError(f"{self.name}, line {line}: {problem}; {self.remedy}")

    def refuse_record(self, record: int, problem: str) -> NoReturn:
        """Raise UserError about a row, counted from 1 after the header, without blank lines."""
        with self.open() as content:
            line = line_of_record(content, record)
        self.refuse(line, problem)

    def lines_of(self, records: Sequence[int]) -> list[int]:
        """The lines of rows, counted as in `refuse_record`, in ascending order."""
        with self.open() as content:
            return lines_of_records(content, records)

    def _header(self, stream: "_CheckedStream", block_bytes: int) -> list[str]:
        first = stream.first_line(block_bytes)
        try:
            header = next(csv.reader([first.decode("utf-8")], delimiter=self.delimiter, strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            self.refuse(1, f"the header cannot be read ({error}); it must be one line of names, in UTF-8")
        header = [name.strip() for name in header]
        if not any(header):
            raise UserError(f"{self.name} is empty or has no header row; {self.remedy}")
        if stream.peek(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK:
            self.refuse(2, "a byte-order mark is inside the file")
        return header

    def _place(self, column: str, header: list[str]) -> int:
        found = [place for place, name in enumerate(header) if (name.casefold() if self.any_case else name) == column]
        if len(found) > 1:
            self.refuse(1, f"the header has the column {column!r} {len(found)} times")
        if not found:
            names = shown(", ".join(header), 400)
            is_other = len(header) == 1 and re.search(r"[,;|]|\\t", names)
            hint = f"; {_DELIMITERS[self.delimiter]}s must separate the columns" if is_other else ""
            raise UserError(f"{self.name} has no column {column!r}; its header has {names}{hint}")
        return found[0]

    def _parsed(
        self, stream: "_CheckedStream", columns: int, wanted: Sequence[int], block_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """The wanted columns as bytes, unconverted: whatever is wrong inside a value is then found with its line."""
        if not stream.peek(1):
            return
        include = [str(place) for place in wanted]
        records = 0
        try:
            for block in pyarrow.csv.open_csv(
                stream,
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False,  # with threads, rows have no numbers
                    block_size=block_bytes,
                    column_names=[str(place) for place in range(columns)],
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char='"',
                    double_quote=True,
                    escape_char=False,
                    newlines_in_values=True,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    include_columns=include,
                    column_types=dict.fromkeys(include, pa.binary()),
                    strings_can_be_null=False,
                ),
            ):
                records += block.num_rows
                yield block
        except pa.ArrowInvalid as error:
            self._refuse_parsed(str(error), records, block_bytes)

    def _refuse_parsed(self, error: str, records: int, block_bytes: int) -> NoReturn:
        if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)(?:: (.*))?", error, re.DOTALL):
            row = f", at {shown(found[4])}" if found[4] else ""
            self.refuse_record(int(found[1]), f"{found[3]} columns where the header has {found[2]}{row}")
        if "straddling" in error:
            size = f"{block_bytes >> 20} MB" if block_bytes >> 20 else f"{block_bytes} bytes"
            self.refuse_record(records + 1, f"the row is longer than {size}, or a closing quote is missing")
        raise UserError(f"{self.name}: {error.splitlines()[0]}; {self.remedy}")


@dataclass(frozen=True)
class CsvBlock:
    """Rows of a file: first, the number of the first one (from 1); values: their bytes by column; rows: how many."""

    file: CsvFile
    first: int
    values: dict[str, pa.Array]
    rows: int

    def text(self, column: str) -> pa.Array:
        """A column as text. Raises UserError where it is not UTF-8."""
        texts, wrong = self.text_or_none(column)
        if wrong:
            self.refuse(wrong[0], NOT_UTF8.format(column))
        return texts

    def text_or_none(self, column: str) -> tuple[pa.Array, list[int]]:
        """A column as text, null where it is not UTF-8; and the rows, from 0, where it is not."""
        try:
            return self.values[column].cast(pa.string()), []
        except pa.ArrowInvalid:
            values = self.values[column].to_pylist()
            texts = [value.decode() if _is_utf8(value) else None for value in values]
            return pa.array(texts, pa.string()), [row for row, text in enumerate(texts) if text is None]

    def has_any(self, column: str, characters: bytes) -> bool:
        """Whether a value of a column may have one of the characters; if not, none has. Fast."""
        content = bytes(self.values[column].buffers()[2] or b"")
        return any(character in content for character in characters)

    def refuse(self, row: int, problem: str) -> NoReturn:
        """Raise UserError about a row of the block, counted from 0."""
        self.file.refuse_record(self.first + row, problem)


class _CheckedStream:
    """The bytes of a file without byte-order mark, for pyarrow to read; refuses what strict readers refuse.

    Quotes are numbered from 0. One with an even number opens a value, or is the second of a pair that stands for one
    quote; it must come after a comma, a line feed, the beginning of the file, or a closing quote. One with an odd
    number closes, and a comma, a line end, the end of the file or a quote must follow. Both hold throughout, and the
    number of quotes is even, exactly where no value is malformed.
    """

    closed = False

    def __init__(self, file: CsvFile, content: BinaryIO) -> None:
        self._file, self._content = file, content
        self._is_before, self._is_after = _IS_BEFORE[file.delimiter], _IS_AFTER[file.delimiter]
        self._bytes = self._lines = 0  # bytes and line feeds in what was checked
        self._last = _LINE_FEED  # byte before what comes next
        self._inside = 0  # 1 inside a quoted value
        start = self._read(len(_BYTE_ORDER_MARK))
        self._marked = start == _BYTE_ORDER_MARK
        self._ahead = b"" if self._marked else start
        self._check(self._ahead)

    def readable(self) -> bool:
        """Whether it can be read, which pyarrow asks."""
        return True

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay to be read."""
        if len(self._ahead) < size:
            self._ahead += self._next(size - len(self._ahead))
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """The next bytes, `size` of them but at the end, or one less.

        A carriage return at the end is kept for the next time. pyarrow drops a line feed that it reads first after
        one, inside quotes, too.
        """
        chunk, self._ahead = self._ahead[:size], self._ahead[size:]
        if len(chunk) < size:
            chunk += self._next(size - len(chunk))
        if len(chunk) > 1 and chunk.endswith(b"\r"):
            chunk, self._ahead = chunk[:-1], b"\r" + self._ahead
        return chunk

    def first_line(self, limit: int) -> bytes:
        """The bytes up to the first line feed, at most about `limit`, which are read."""
        while (end := self._ahead.find(b"\n")) < 0 and len(self._ahead) < limit:
            if not (more := self._next(min(limit, 1 << 12))):
                break
            self._ahead += more
        end = end + 1 if end >= 0 else len(self._ahead)
        line, self._ahead = self._ahead[:end], self._ahead[end:]
        return line

    def _next(self, size: int) -> bytes:
        chunk = self._read(size)
        self._check(chunk)
        if len(chunk) < size:
            self._check_end()
        return chunk

    def _read(self, size: int) -> bytes:
        """So many bytes, but at the end; unchecked."""
        try:
            chunk = self._content.read(size)
            while len(chunk) < size and (more := self._content.read(size - len(chunk))):
                chunk += more
        except self._file.read_errors as error:
            raise self._file.damage(f"{self._file.name}, after line {self._lines}", error) from None
        return chunk

    def _check(self, chunk: bytes) -> None:
        if 0 in chunk:
            place = chunk.index(0)
            line = self._lines + 1 + chunk.count(b"\n", 0, place)
            self._file.refuse(line, "a NUL byte; the file is damaged or not in UTF-8")
        data = np.frombuffer(chunk, dtype=np.uint8)
        for start in range(0, len(data), _PIECE):
            self._check_piece(data[start : start + _PIECE])

    def _check_piece(self, data: np.ndarray) -> None:
        """Check and count what fits into the cache of a processor."""
        feed, back = data == _LINE_FEED, data == _CARRIAGE_RETURN
        quotes = np.flatnonzero(data == _QUOTE)
        opening, closing = quotes[self._inside :: 2], quotes[1 - self._inside :: 2]
        before = data.take(opening - 1)
        if len(opening) and opening[0] == 0:
            before[0] = self._last
        # After a quote at the end, the quote itself stands for what is seen with the next piece.
        after = data.take(closing + 1, mode="clip")
        if (
            not self._is_before.take(before).all()
            or not self._is_after.take(after).all()
            or (back[:-1] > feed[1:]).any()
            or (self._last == _CARRIAGE_RETURN and not feed[0])
            or (self._last == _QUOTE and not self._inside and not self._is_after[data[0]])
        ):
            self._refuse_malformed(data, quotes)
        self._inside = (self._inside + len(quotes)) % 2
        self._last = int(data[-1])
        self._bytes += len(data)
        self._lines += int(np.count_nonzero(feed))

    def _refuse_malformed(self, data: np.ndarray, quotes: np.ndarray) -> None:
        """Raise UserError for the first of what is malformed; carriage returns may be alone inside quotes."""
        around = np.concatenate([np.array([self._last], np.uint8), data, np.array([_LINE_FEED], np.uint8)])
        opening, closing = quotes[self._inside :: 2], quotes[1 - self._inside :: 2]
        strays = opening[~self._is_before[around[opening]]]
        # What follows a closing quote: the first byte, too, where the last one before was such a quote.
        followers = closing + 1
        if self._last == _QUOTE and not self._inside:
            followers = np.concatenate([[0], followers])
        followers = followers[~self._is_after[around[followers + 1]]]
        returns = np.flatnonzero((around[:-1] == _CARRIAGE_RETURN) & (around[1:] != _LINE_FEED))
        returns = returns[(np.searchsorted(quotes, returns - 1) + self._inside) % 2 == 0]
        problems = ((strays, self._stray), (followers, self._follower), (returns, self._return))
        place, problem = min(
            ((int(places[0]), problem) for places, problem in problems if len(places)),
            key=lambda found: found[0],
            default=(0, None),
        )
        if problem:
            line = self._lines + 1 + int(np.count_nonzero(data[:place] == _LINE_FEED))
            text = data[place : place + 40].tobytes().decode("utf-8", errors="ignore").splitlines()
            self._file.refuse(line, problem(shown(text[0] if text else "", 30), self._bytes + place, line))

    def _stray(self, text: str, place: int, line: int) -> str:
        return (
            f"a quote inside a value that does not begin with one, at {text}; the whole value must be in quotes, and "
            "quotes inside it doubled"
        )

    def _follower(self, text: str, place: int, line: int) -> str:
        start = self._line_of_value(place)
        value = f" (the value starts on line {start})" if start != line else ""
        return (
            f"{text} follows a closing quote{value}, where only a {_DELIMITERS[self._file.delimiter]} or the end of "
            "the line can; a quote inside a value must be doubled"
        )

    def _return(self, text: str, place: int, line: int) -> str:
        return (
            "a carriage return without a line feed outside quotes; save the file with line feeds (LF or CRLF) at the "
            "ends of lines"
        )

    def _check_end(self) -> None:
        if self._inside:
            self._file.refuse(
                self._line_of_value(self._bytes),
                "a value starts with a quote that is never closed; the file is cut off, or a quote is missing",
            )

    def _line_of_value(self, place: int) -> int:
        """The line on which the last value in quotes starts before a place."""
        with self._file.open() as content:
            return line_of_quoted_value(content, place + self._marked * len(_BYTE_ORDER_MARK))


def header_of(file: CsvFile) -> list[str]:
    """The names of a file's columns. Raises UserError where the header cannot be read."""
    with file.open() as content:
        return file._header(_CheckedStream(file, content), BLOCK_BYTES)


def line_of_quoted_value(content: BinaryIO, place: int) -> int:
    """The line, from 1, on which the last value in quotes starts in the first `place` bytes."""
    inside, last, lines, found = 0, _LINE_FEED, 0, 1
    while place > 0 and (chunk := content.read(min(_CHUNK, place))):
        data = np.frombuffer(chunk, dtype=np.uint8)
        quotes = np.flatnonzero(data == _QUOTE)
        opening = quotes[inside::2]
        before = data[opening - 1]
        before[opening == 0] = last
        starts = opening[before != _QUOTE]
        if len(starts):
            found = lines + 1 + int(np.count_nonzero(data[: starts[-1]] == _LINE_FEED))
        inside, last, place = (inside + len(quotes)) % 2, data[-1], place - len(data)
        lines += int(np.count_nonzero(data == _LINE_FEED))
    return found


def line_of_record(content: BinaryIO, record: int) -> int:
    """The line, from 1, on which a row starts; rows are counted from 1 after the header, without blank lines."""
    return lines_of_records(content, [record])[0]


def lines_of_records(content: BinaryIO, records: Sequence[int]) -> list[int]:
    """The line of each of some rows, in ascending order; the content is read once."""
    found: list[int] = []
    inside = lines = seen = 0
    at_start = True
    while len(found) < len(records) and (chunk := content.read(_CHUNK)):
        data = np.frombuffer(chunk, dtype=np.uint8)
        quotes, feeds = np.flatnonzero(data == _QUOTE), np.flatnonzero(data == _LINE_FEED)
        ends = feeds[(np.searchsorted(quotes, feeds) + inside) % 2 == 0]
        starts = np.concatenate([np.zeros(int(at_start), dtype=np.int64), ends + 1])
        at_start = bool(starts.size) and int(starts[-1]) == len(data)
        starts = starts[: len(starts) - at_start]
        starts = starts[(data[starts] != _LINE_FEED) & (data[starts] != _CARRIAGE_RETURN)]
        while len(found) < len(records) and seen + len(starts) > records[len(found)]:
            start = starts[records[len(found)] - seen]
            found.append(lines + 1 + int(np.searchsorted(feeds, start)))
        seen, lines, inside = seen + len(starts), lines + len(feeds), (inside + len(quotes)) % 2
    return found + [lines + 1] * (len(records) - len(found))


def shown(text: str, longest: int = 60) -> str:
    """A value of a user, for a message."""
    return repr(text if len(text) <= longest else text[: longest - 3] + "...")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
