"""CSV files are read as Python's csv module reads them in strict mode, or refused with the line of the file."""

import csv
import io
import random
from contextlib import contextmanager

import pytest

from ipcascade.core.errors import UserError
from ipcascade.core.strict_csv import CsvFile, line_of_record


class Short(io.BytesIO):
    """A stream that gives fewer bytes than it is asked for, as those of zips may."""

    def read(self, size=-1):
        return super().read(min(size, 7) if size > 0 else size)


def file_of(content, stream=io.BytesIO, **options):
    @contextmanager
    def opened():
        yield stream(content)

    return CsvFile("there.csv", opened, "mend it", **options)


def read(content, columns=("a", "b"), block_bytes=1 << 20, **options):
    """The rows as tuples of text."""
    blocks = list(file_of(content, **options).blocks(columns, block_bytes))
    return [row for block in blocks for row in zip(*(block.text(name).to_pylist() for name in columns), strict=True)]


def csv_of(rows, end="\n", quoting=csv.QUOTE_MINIMAL):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end, quoting=quoting).writerows(rows)
    return stream.getvalue().encode()


def random_rows(rng, rows):
    pieces = ['"', '""', ",", "\n", "\r\n", "\r", "x", " ", "水", "\\", "'", ";"]
    return [["".join(rng.choices(pieces, k=rng.randint(0, 6))) + "." for _ in "ab"] for _ in range(rows)]


@pytest.mark.parametrize("stream", [io.BytesIO, Short])
@pytest.mark.parametrize("block_bytes", [64, 65, 66, 67, 128, 1 << 20])
def test_what_csv_writes_is_read_whatever_is_at_the_edges_of_blocks(block_bytes, stream):
    for seed in range(40):
        rng = random.Random(seed)
        rows = random_rows(rng, 30)
        end, quoting = rng.choice(["\n", "\r\n"]), rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        if end == "\n":  # csv does not put a carriage return alone into quotes then
            quoting = csv.QUOTE_ALL
        content = csv_of([["a", "b"], *rows], end, quoting)
        assert read(content, block_bytes=block_bytes, stream=stream) == [tuple(row) for row in rows], seed


@pytest.mark.parametrize(
    ("line", "names", "problem"),
    [
        (b'1,"x"y', 4, "'y' follows a closing quote"),
        (b'1,"x "y" z"', 4, "follows a closing quote"),
        (b'1,"x "y"', 4, "follows a closing quote"),
        (b'1,"x" ', 4, "' ' follows a closing quote"),
        (b'1, "x"', 4, "a quote inside a value that does not begin with one"),
        (b'1,x"y', 4, "a quote inside a value that does not begin with one"),
        (b'1,x""y', 4, "a quote inside a value that does not begin with one"),
        (b'1,"x\ny "z" "', 5, "follows a closing quote (the value starts on line 4)"),
        (b'1,"x', 5, "follows a closing quote (the value starts on line 4)"),
        (b"1,x\0y", 4, "a NUL byte"),
        (b'1,"x\0"', 4, "a NUL byte"),
        (b"1,x\r2,y", 4, "a carriage return without a line feed"),
        (b"1,x\r\r", 4, "a carriage return without a line feed"),
        (b"1", 4, "1 columns where the header has 2"),
        (b"1,2,3", 4, "3 columns where the header has 2"),
        (b'1,"2",""', 4, "3 columns where the header has 2"),
        (b"\xe9", 4, "1 columns where the header has 2"),
        (b"1,x\xe9", 4, "b is not valid UTF-8"),
    ],
)
@pytest.mark.parametrize("stream", [io.BytesIO, Short])
@pytest.mark.parametrize("block_bytes", [*range(32, 42), 1 << 20])
def test_malformed_rows_are_refused_with_their_line(line, names, problem, block_bytes, stream):
    content = b'a,b\n\n0,"a ""good"" one"\n' + line + b'\n9,"z"\n9,"z"\n'
    with pytest.raises(UserError) as error:
        read(content, block_bytes=block_bytes, stream=stream)
    assert str(error.value).startswith(f"there.csv, line {names}: ")
    assert problem in str(error.value)
    assert str(error.value).endswith("; mend it") and "\n" not in str(error.value)


@pytest.mark.parametrize("rows", [1, 100, 3000, 60_000])
@pytest.mark.parametrize("end", [b'9,"z', b'9,"z""', b'9,"', b'9,"z\nand\n', b'9,"a ""'])
def test_a_quote_that_is_open_at_the_end_names_the_line_where_it_opens(rows, end):
    with pytest.raises(UserError, match=rf"line {rows + 2}: a value starts with a quote that is never closed"):
        read(b"a,b\n" + b'1,"x ""y"""\n' * rows + end, block_bytes=1 << 13 if rows < 5000 else 1 << 20)


@pytest.mark.parametrize("rows", [20_000, 60_000, 130_000])
@pytest.mark.parametrize(("line", "problem"), [(b'1,"x"y', "follows"), (b'1,x"', "a quote inside"), (b"1,\0", "a NUL")])
def test_lines_far_down_in_a_large_block(rows, line, problem):
    with pytest.raises(UserError, match=rf"line {2 * rows + 2}: .*{problem}"):
        read(b"a,b\n" + b'1,"x\n""y"""\n' * rows + line + b"\n" + b"1,2\n" * 9)


@pytest.mark.parametrize(
    "content",
    [b"a,b\r1,x\r2,y\r", "a,b\n1,x\n".encode("utf-16"), "a,b\n1,x\n".encode("utf-16-le"), b"a,b\n\xef\xbb\xbf1,x\n"],
)
def test_files_in_another_encoding_or_with_other_line_ends_are_refused(content):
    with pytest.raises(UserError, match=r"line [12]: .*(carriage return|NUL byte|byte-order mark)"):
        read(content)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b", []),
        (b"a,b\n", []),
        (b"a,b\r\n\r\n\n", []),
        (b"\xef\xbb\xbfa,b\n1,2", [("1", "2")]),
        (b'\xef\xbb\xbf"a","b"\n1,2\n', [("1", "2")]),
        (b'"a", b \r\n\r\n1,""\r\n\r\n,\r\n', [("1", ""), ("", "")]),
        (b"b,c,a\n1,2,3\n", [("3", "1")]),
        (b"b,,a,\n1,2,3,4\n", [("3", "1")]),
        (b"a,b\n1,x\r", [("1", "x")]),
        (b'a,b\n1,"x\r"\n', [("1", "x\r")]),
    ],
)
def test_headers_blank_lines_and_ends_of_files(content, rows):
    assert read(content) == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty or has no header row"),
        (b"\n1,2\n", "is empty or has no header row"),
        (b"\xef\xbb\xbf", "is empty or has no header row"),
        (b"a,a,b\n", "line 1: the header has the column 'a' 2 times"),
        (b"A,b\n", "has no column 'a'; its header has 'A, b'"),
        (b"a;b\n1;2\n", "has no column 'a'; its header has 'a;b'; commas must separate the columns"),
        (b'"a\nb",b\n', "line 1: the header cannot be read"),
        (b"a\xe9,b\n", "line 1: the header cannot be read"),
    ],
)
def test_headers_that_are_refused(content, sentence):
    with pytest.raises(UserError) as error:
        read(content)
    assert sentence in str(error.value)


def test_columns_are_found_in_any_case_where_that_is_asked_for():
    assert read(b"A,B\n1,2\n", any_case=True) == [("1", "2")]


def test_a_row_that_is_longer_than_a_block_is_refused_with_its_line():
    with pytest.raises(UserError, match="line 12: the row is longer than 64 bytes"):
        read(b"a,b\n" + b"1,x\n" * 10 + b"1," + b"y" * 200 + b"\n", block_bytes=64)


@pytest.mark.parametrize("stream", [io.BytesIO, Short])
def test_the_line_of_a_row_is_that_of_the_csv_module(stream):
    for seed in range(30):
        rng = random.Random(seed)
        rows = [["a", "b"], *random_rows(rng, 20)]
        content = "".join(csv_of([row], "\r\n").decode() + rng.choice(["", "", "\n", "\r\n"]) for row in rows)
        reader = csv.reader(io.StringIO(content, newline="\n"), strict=True)
        record, before = 0, 0
        for row in reader:
            if row:
                assert line_of_record(stream(content.encode()), record) == before + 1, (seed, record)
                record += 1
            before = reader.line_num


def test_what_a_stream_raises_becomes_a_sentence_with_the_lines_that_were_read():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 40:
                raise OSError(5, "Input/output error")
            return super().read(min(size, 10))

    with pytest.raises(UserError, match=r"there.csv, after line \d: cannot be read \(Input/output error\)"):
        read(b"a,b\n" + b"1,2345\n" * 30, stream=Broken, block_bytes=16)
