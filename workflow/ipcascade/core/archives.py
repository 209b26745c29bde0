"""Zips read in place: their members, zips inside zips, and what reading damaged ones raises, as one sentence.

Only the standard library is used: Snakemake asks for the files of a delivery while it builds its graph.
"""

import io
import lzma
import struct
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from ipcascade.core.errors import UserError

# What zipfile and the decompressors raise where a zip is damaged, encrypted or packed in a way they do not know.
READ_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, KeyError, OverflowError,
    RuntimeError, ValueError,
)  # fmt: skip
# Bytes at the end of a deflated member that are kept, for the directory of the zip in it; bytes read at a time.
_TAIL = 1 << 20
_CHUNK = 1 << 20
_LOCAL_HEADER = b"PK\x03\x04"
_LOCAL_HEADER_BYTES = 30
# Bytes that a zip may have before its first member: a program that unpacks it, say.
_LONGEST_PREFIX = 1 << 20
_UTF8_NAME = 0x800


def damage(where: str, error: Exception) -> UserError:
    """The sentence for one of `READ_ERRORS` at `where`: a file, with the line where it is known."""
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"{where}: cannot be read ({error.strerror})")
    if isinstance(error, NotImplementedError) or (isinstance(error, RuntimeError) and "encrypted" in str(error)):
        return UserError(
            f"{where}: the zip is encrypted or packed in a way that cannot be read in place ({error}); "
            "extract its files into the folder and move the zip out of it"
        )
    reason = "it ends too early" if isinstance(error, EOFError) or not str(error) else str(error).splitlines()[0]
    return UserError(f"{where}: the zip is cut off or damaged ({reason}); fetch it again")


@contextmanager
def errors_as_sentences(file: object) -> Iterator[None]:
    """Turn `READ_ERRORS` into one sentence about `file`."""
    try:
        yield
    except READ_ERRORS as error:
        raise damage(str(file), error) from None


def is_clutter(name: str) -> bool:
    """Whether a file or member is one that macOS adds beside the real ones."""
    return "__MACOSX" in Path(name).parts or Path(name).name.startswith("._")


def open_archive(file: Path | BinaryIO) -> zipfile.ZipFile:
    """A zip with a directory of its own: where a zip of zips is cut off, zipfile may read that of an inner zip."""
    archive = zipfile.ZipFile(file)
    try:
        before = min((member.header_offset for member in archive.infolist()), default=0)
        if before:
            stream = archive.fp
            assert stream is not None
            stream.seek(0)
            if before > _LONGEST_PREFIX or _LOCAL_HEADER in stream.read(before):
                raise zipfile.BadZipFile("its directory is missing")
    except BaseException:
        archive.close()
        raise
    return archive


def member_names(disk: Path, wanted: Callable[[str], bool]) -> list[str]:
    """The names of a zip's members. Raises BadZipFile where the name of a wanted one is damaged.

    A name is in the zip twice, in its directory and before the member.
    """
    names = []
    with open_archive(disk) as archive, disk.open("rb") as content:
        for member in archive.infolist():
            local = _local_name(content, member)
            if local != member.orig_filename and any(wanted(name) for name in (local, member.orig_filename)):
                raise zipfile.BadZipFile(
                    f"a member is called {member.orig_filename!r} in its directory and {local!r} before it"
                )
            if not is_clutter(member.filename):
                names.append(member.filename)
    return names


def _local_name(content: BinaryIO, member: zipfile.ZipInfo) -> str:
    """The name before a member, "" where there is none."""
    header, _ = _local_header(content, member)
    if header[: len(_LOCAL_HEADER)] != _LOCAL_HEADER:
        return ""
    name_length = int.from_bytes(header[26:28], "little")
    content.seek(member.header_offset + _LOCAL_HEADER_BYTES)
    encoding = "utf-8" if member.flag_bits & _UTF8_NAME else "cp437"
    return content.read(name_length).decode(encoding, errors="replace")


def _local_header(content: BinaryIO, member: zipfile.ZipInfo) -> tuple[bytes, int]:
    """What is before a member, and where the member itself starts."""
    content.seek(member.header_offset)
    header = content.read(_LOCAL_HEADER_BYTES)
    name_length, extra_length = (int.from_bytes(header[place : place + 2], "little") for place in (26, 28))
    return header, member.header_offset + _LOCAL_HEADER_BYTES + name_length + extra_length


def read_member(disk: Path, name: str, most: int) -> bytes:
    """The first bytes of a zip's member, at most so many."""
    with open_archive(disk) as archive, archive.open(name) as content:
        return content.read(most)


@contextmanager
def opened(
    disk: Path, inside: Sequence[str], choose: Callable[[zipfile.ZipFile], zipfile.ZipInfo]
) -> Iterator[tuple[BinaryIO, tuple[int, int] | None]]:
    """A file on disk as a stream, or what is in it where it is a zip, and then its length and CRC-32.

    inside: the members that lead to it; `choose` takes one where they do not say. Raises one of `READ_ERRORS`, also
    while the stream is read; nothing is unpacked.
    """
    stack, fingerprint = _open(disk, list(inside), choose)
    try:
        yield stack[-1], fingerprint
    finally:
        for stream in reversed(stack):
            stream.close()


def _open(
    disk: Path, inside: list[str], choose: Callable[[zipfile.ZipFile], zipfile.ZipInfo]
) -> tuple[list[BinaryIO], tuple[int, int] | None]:
    """The stream last, before it the streams that must be closed after it; its length and CRC-32 if it is a member."""
    stack: list[BinaryIO] = [disk.open("rb")]
    packed = disk.suffix.lower() == ".zip"
    fingerprint = None
    try:
        while packed:
            archive = open_archive(stack[-1])
            member = archive.getinfo(inside.pop(0)) if inside else choose(archive)
            packed = member.filename.lower().endswith(".zip")
            stack.append(_seekable(archive, member, stack[-1]) if packed else cast(BinaryIO, archive.open(member)))
            fingerprint = (member.file_size, member.CRC)
    except BaseException:
        for stream in reversed(stack):
            stream.close()
        raise
    return stack, fingerprint


def _seekable(archive: zipfile.ZipFile, member: zipfile.ZipInfo, disk: BinaryIO) -> BinaryIO:
    """A zip inside a zip as a file that can be read from any position, which reading a zip's directory needs."""
    with archive.open(member):  # lets zipfile check the local header and refuse what it cannot read
        pass
    if member.compress_type != zipfile.ZIP_STORED:
        return cast(BinaryIO, io.BufferedReader(_Inflated(archive, member), _CHUNK))
    _, start = _local_header(disk, member)
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
