"""The files of a PATSTAT Global delivery, and how their bytes are read without unpacking it.

The EPO has shipped the same tables in two shapes: until about 2024 large zips that hold one zip per table part, since
then one zip per table part. Extracted CSV files are a third. All three become `Part`s here, each of which opens as one
stream of bytes. Only the standard library is used: Snakemake asks for the files while it builds its graph.
"""

import hashlib
import io
import itertools
import re
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from ipcascade.core.errors import UserError

TABLES = {
    "tls201": "applications",
    "tls202": "titles",
    "tls203": "abstracts",
    "tls209": "IPC symbols",
}
_PART = re.compile(r"(tls\d{3})(?:_\w+?)?_part(\d+)\.(zip|csv|txt)", re.IGNORECASE)
_ROW_COUNT_FILE = re.compile(r"[^.]*row[ _-]*count[^.]*(\.txt)?", re.IGNORECASE)
_ROW_COUNT = re.compile(r"(tls\d{3})[^\n]*?count[^\d\n]*(\d[\d.,]*)", re.IGNORECASE)
# Bytes at the end of a deflated member that are kept, for the directory of the zip in it; bytes read at a time.
_TAIL = 1 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Part:
    """One part of a table.

    table: "tls203"; number: from 1; disk: the file in the delivery folder; inside: the members that lead from a zip
    to the part, () where the file on disk is the part itself.
    """

    table: str
    number: int
    disk: Path
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join((str(self.disk), *self.inside))


@dataclass(frozen=True)
class Contents:
    """A delivery's parts by table, in the order of their numbers, and the row counts that came with it.

    row_counts: rows by table; empty where the delivery has no RowCount file; row_count_disk: the file with it.
    """

    parts: Mapping[str, tuple[Part, ...]]
    row_counts: Mapping[str, int]
    row_count_disk: Path | None

    @property
    def files(self) -> list[Path]:
        """The files on disk, sorted."""
        disks = {part.disk for parts in self.parts.values() for part in parts}
        return sorted(disks | ({self.row_count_disk} if self.row_count_disk else set()))


def needed_tables(titles: bool) -> tuple[str, ...]:
    """The tables that a corpus is made of; titles only where they are part of the text."""
    return tuple(table for table in TABLES if titles or table != "tls202")


def delivery_files(folder: Path, titles: bool = False) -> list[Path]:
    """The files on disk, sorted, that hold the tables a corpus needs and the row counts.

    Looks at names only, and at the directory of zips that are not table parts themselves.
    Raises UserError where the folder is absent, holds no delivery, lacks a table or a part of one, holds a part twice,
    or has a zip that is cut off.
    """
    return find(folder, needed_tables(titles)).files


def find(folder: Path, tables: Sequence[str]) -> Contents:
    """Find the parts of `tables`. Raises UserError as `delivery_files` does."""
    if not folder.is_dir():
        raise UserError(
            f"source.path {str(folder)!r} is not a folder; give the folder that holds the PATSTAT Global delivery"
        )
    found: list[Part] = []
    row_count_files: list[Part] = []
    for disk in sorted(path for path in folder.iterdir() if path.is_file()):
        for inside in _names(disk):
            name = Path(inside[-1] if inside else disk.name).name
            if match := _PART.fullmatch(name):
                found.append(Part(match[1].lower(), int(match[2]), disk, inside))
            elif _ROW_COUNT_FILE.fullmatch(name):
                row_count_files.append(Part("", 0, disk, inside))
    if not found:
        raise UserError(
            f"{folder} holds no PATSTAT delivery: no file there, and no member of a zip, is named like "
            "tls201_appln_part01.zip or tls201_part01.csv"
        )
    parts = {table: _in_order(folder, table, [part for part in found if part.table == table]) for table in tables}
    counts: dict[str, int] = {}
    for file in row_count_files:
        for table, rows in _read_row_counts(file).items():
            if counts.setdefault(table, rows) != rows:
                raise UserError(
                    f"{folder}: the RowCount files disagree about {table} ({counts[table]:,} and {rows:,} rows); "
                    "keep the one of this edition"
                )
    return Contents(parts, counts, row_count_files[0].disk if row_count_files else None)


def _names(disk: Path) -> Iterator[tuple[str, ...]]:
    """The paths of members that may be tables in a file of the folder: the file itself, or all members of a zip."""
    if disk.suffix.lower() != ".zip" or _PART.fullmatch(disk.name):
        yield ()
        return
    with _errors_as_sentences(str(disk)), _archive(disk) as archive:
        yield from ((name,) for name in archive.namelist())


def _in_order(folder: Path, table: str, parts: list[Part]) -> tuple[Part, ...]:
    if not parts:
        raise UserError(
            f"{folder} lacks the table {table} ({TABLES[table]}): no file there is named like {table}_part01; "
            "copy the missing files of the delivery there"
        )
    parts.sort(key=lambda part: part.number)
    for before, part in itertools.pairwise(parts):
        if before.number == part.number:
            raise UserError(f"{table} part {part.number} is there twice, as {before} and as {part}; keep one of them")
    numbers = {part.number for part in parts}
    missing = min(set(range(1, max(numbers) + 1)) - numbers, default=None)
    if missing is not None:
        raise UserError(
            f"{folder} lacks part {missing} of {table}, though part {max(numbers)} is there; "
            "copy the missing file of the delivery there"
        )
    return tuple(parts)


@contextmanager
def open_part(part: Part) -> Iterator[BinaryIO]:
    """The bytes of a part's CSV as a stream to be read once from its beginning; the delivery is not unpacked.

    Zips are checked against their CRC-32 as they are read. Raises UserError naming the part where a zip is cut off or
    packed in a way that Python cannot read; reading the stream raises one of `READ_ERRORS` where data is damaged.
    """
    try:
        with _errors_as_sentences(str(part)):
            stack = _open(part)
    except RuntimeError as error:  # zipfile raises it for encryption and for methods that it does not know
        raise UserError(
            f"{part} is packed in a way that cannot be read in place ({error}); "
            "extract its CSV file into the folder and move the zip out of it"
        ) from None
    try:
        yield stack[-1]
    finally:
        for stream in reversed(stack):
            stream.close()


def _open(part: Part) -> list[BinaryIO]:
    """The stream of the part last, before it the streams that must be closed after it."""
    stack: list[BinaryIO] = [part.disk.open("rb")]
    packed = part.disk.suffix.lower() == ".zip"
    inside = list(part.inside)
    try:
        while packed:
            archive = _archive(stack[-1])
            member = archive.getinfo(inside.pop(0)) if inside else _only_table(part, archive)
            packed = member.filename.lower().endswith(".zip")
            stack.append(_seekable(archive, member, stack[-1]) if packed else cast(BinaryIO, archive.open(member)))
    except BaseException:
        for stream in reversed(stack):
            stream.close()
        raise
    return stack


def _archive(file: Path | BinaryIO) -> zipfile.ZipFile:
    """A zip with a directory of its own: where a zip of zips is cut off, zipfile may read that of an inner zip."""
    archive = zipfile.ZipFile(file)
    if min((member.header_offset for member in archive.infolist()), default=0) > 0:
        archive.close()
        raise zipfile.BadZipFile("its directory is missing")
    return archive


def _only_table(part: Part, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if Path(info.filename).suffix.lower() in (".csv", ".txt")]
    if len(members) != 1:
        raise UserError(f"{part} holds {len(members)} CSV files, not one; fetch it again or extract the right one")
    return members[0]


def _seekable(archive: zipfile.ZipFile, member: zipfile.ZipInfo, disk: BinaryIO) -> BinaryIO:
    """A zip inside a zip as a file that can be read from any position, which reading a zip's directory needs."""
    with archive.open(member):  # lets zipfile check the local header and refuse what it cannot read
        pass
    if member.compress_type != zipfile.ZIP_STORED:
        return cast(BinaryIO, io.BufferedReader(_Inflated(archive, member), _CHUNK))
    disk.seek(member.header_offset)
    header = disk.read(30)
    name_length, extra_length = (int.from_bytes(header[place : place + 2], "little") for place in (26, 28))
    start = member.header_offset + 30 + name_length + extra_length
    return cast(BinaryIO, io.BufferedReader(_Window(disk, start, member.file_size), _CHUNK))


class _Positioned(io.RawIOBase):
    """A read-only file of known size with a current position; subclasses read at a position."""

    def __init__(self, size: int) -> None:
        self._size, self._position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise OSError("seek before the beginning of a file")
        self._position = position
        return position

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self._read_at(self._position, max(0, min(len(view), self._size - self._position)))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    @abstractmethod
    def _read_at(self, position: int, length: int) -> bytes:
        """The bytes at a position, at most `length`."""


class _Window(_Positioned):
    """A stored member: `size` bytes of the file around it, from `start` on."""

    def __init__(self, disk: BinaryIO, start: int, size: int) -> None:
        super().__init__(size)
        self._disk, self._start = disk, start

    def _read_at(self, position: int, length: int) -> bytes:
        self._disk.seek(self._start + position)
        return self._disk.read(length)


class _Inflated(_Positioned):
    """A deflated member. Its end, where a zip has its directory, is kept from one first reading.

    zipfile's own stream starts again from the first byte whenever it is to go back, several times for every directory;
    this one does so once.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        super().__init__(member.file_size)
        self._archive, self._member = archive, member
        self._tail = b""
        with archive.open(member) as stream:
            while chunk := stream.read(_CHUNK):
                self._tail = (self._tail + chunk)[-_TAIL:]
        self._stream: IO[bytes] = archive.open(member)

    def _read_at(self, position: int, length: int) -> bytes:
        tail_start = self._size - len(self._tail)
        if position >= tail_start:
            return self._tail[position - tail_start :][:length]
        self._stream.seek(position)
        return self._stream.read(length)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def _errors_as_sentences(file: str) -> Iterator[None]:
    """Turn what zipfile, zlib and the operating system raise into one sentence about `file`."""
    try:
        yield
    except READ_ERRORS as error:
        raise damage(file, error) from None


# What reading a damaged zip raises.
READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


def damage(where: str, error: Exception) -> UserError:
    """The sentence for one of `READ_ERRORS` at `where` (a file, with the row where it is known)."""
    if isinstance(error, OSError):
        return UserError(f"{where}: cannot be read ({error.strerror or error})")
    return UserError(f"{where}: the zip is cut off or damaged ({str(error) or 'it ends too early'}); fetch it again")


def _read_row_counts(file: Part) -> dict[str, int]:
    """Rows by table from a RowCount file, whose layout varies: dashes, a byte-order mark, UTF-16."""
    with _errors_as_sentences(str(file)):
        if file.inside:
            with _archive(file.disk) as archive:
                content = archive.read(file.inside[0])
        else:
            content = file.disk.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = content.decode(encoding, errors="replace")
    return {table.lower(): int(re.sub(r"\D", "", rows)) for table, rows in _ROW_COUNT.findall(text)}


def checksum(contents: Contents) -> str:
    """SHA-256, as hexadecimal text, over names, sizes and CRC-32s of all members of the delivery's zips.

    Reads zip directories only; files that are not zips are read whole.
    """
    digest = hashlib.sha256()
    for disk in contents.files:
        digest.update(f"{disk.name}\n".encode())
        if disk.suffix.lower() == ".zip":
            with _errors_as_sentences(str(disk)), _archive(disk) as archive:
                for member in sorted(archive.infolist(), key=lambda info: info.filename):
                    digest.update(f"{member.filename}\t{member.file_size}\t{member.CRC:08x}\n".encode())
        else:
            with _errors_as_sentences(str(disk)), disk.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
