"""The files of a PATSTAT Global delivery, and how their bytes are read without unpacking it.

The EPO has shipped the same tables in two shapes: until about 2024 large zips that hold one zip per table part, since
then one zip per table part. Extracted CSV files are a third, in the folder or in folders in it. All become `Part`s
here, each of which opens as one stream of bytes. Files that are not part of the delivery do not matter, unless a part
is missing that they may hold. Only the standard library is used: Snakemake asks for the files while it builds its
graph.
"""

import contextlib
import hashlib
import itertools
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ipcascade.core.archives import (
    errors_as_sentences,
    is_clutter,
    member_names,
    open_archive,
    opened,
    read_member,
)
from ipcascade.core.classifications import Classification
from ipcascade.core.errors import UserError
from ipcascade.sources.kinds import PATSTAT_SYMBOLS
from ipcascade.sources.patstat.row_counts import LARGEST_BYTES, is_row_count_file, parse_row_counts

TABLES = {
    "tls201": "applications",
    "tls202": "titles",
    "tls203": "abstracts",
    "tls209": "IPC symbols",
    "tls224": "CPC symbols",
    "tls229": "industries",
    "tls230": "fields of technology",
    "tls902": "IPC and NACE",
}
_PART = re.compile(r"(tls[0-9]{3})(?:_\w+?)?_part([0-9]{1,9})\.(zip|csv|txt)", re.IGNORECASE)
# What tells that a zip or folder is of the delivery: its name, or a name of a part at its beginning.
_OF_DELIVERY = re.compile(r"patstat|tls[0-9]", re.IGNORECASE)
_PART_INSIDE = re.compile(rb"tls[0-9]{3}\w*_part[0-9]+\.(zip|csv|txt)", re.IGNORECASE)
_BEGINNING = 1 << 20


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

    row_counts: rows by table, of those that RowCount files give; row_count_files: these on disk; notes: sentences
    about what could not be checked.
    """

    parts: Mapping[str, tuple[Part, ...]]
    row_counts: Mapping[str, int]
    row_count_files: tuple[Path, ...]
    notes: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """The files on disk, sorted."""
        disks = {part.disk for parts in self.parts.values() for part in parts}
        return sorted(disks.union(self.row_count_files))


def needed_tables(titles: bool, classification: Classification) -> tuple[str, ...]:
    """The tables that a corpus is made of; titles only where they are part of the text."""
    symbols, _ = PATSTAT_SYMBOLS[classification]
    return ("tls201", *(["tls202"] if titles else []), "tls203", symbols)


def delivery_files(folder: Path, titles: bool = False, classification: Classification = "ipc") -> list[Path]:
    """The files on disk, sorted, that hold the tables a corpus needs and the row counts.

    Looks at names only, and at the directory of zips that are not table parts themselves.
    Raises UserError where the folder is absent, holds no delivery, lacks a table or a part of one, holds a part twice,
    or has a zip that is cut off.
    """
    return find(folder, needed_tables(titles, classification)).files


def find(folder: Path, tables: Sequence[str]) -> Contents:
    """Find the parts of `tables`. Raises UserError as `delivery_files` does."""
    found, row_count_files, unread = _listed(folder)
    hint = f" (it may be in what cannot be read: {', '.join(path.name for path in unread)})" if unread else ""
    if not found:
        raise UserError(
            f"{folder} holds no PATSTAT delivery: no file there, and no member of a zip, is named like "
            f"tls201_appln_part01.zip or tls201_part01.csv{hint}"
        )
    parts = {table: _in_order(folder, table, [part for part in found if part.table == table], hint) for table in tables}
    counts = _row_counts(folder, row_count_files)
    files = tuple(sorted({file.disk for file in row_count_files}))
    return Contents(parts, counts, files, tuple([*_unchecked(tables, counts, files), *_ignored(unread)]))


def size_of(part: Part) -> int:
    """Bytes of a part on disk."""
    with errors_as_sentences(part.disk):
        if not part.inside:
            return part.disk.stat().st_size
        with open_archive(part.disk) as archive:
            return archive.getinfo(part.inside[0]).compress_size


def tables_in(folder: Path) -> list[str]:
    """The tables ("tls201") that have a part in the folder, sorted; none where it holds no delivery."""
    return sorted({part.table for part in _listed(folder)[0]})


def _listed(folder: Path) -> tuple[list[Part], list[Part], list[Path]]:
    """The parts of tables in a folder, the RowCount files, and what cannot be read and may be of the delivery."""
    if not folder.is_dir():
        raise UserError(
            f"source.path {str(folder)!r} is not a folder; give the folder that holds the PATSTAT Global delivery"
        )
    found: list[Part] = []
    row_count_files: list[Part] = []
    unread: list[Path] = []
    for disk in _files(folder, unread):
        for inside in _names(disk, unread):
            name = _last(inside[-1] if inside else disk.name)
            if match := _PART.fullmatch(name):
                found.append(Part(match[1].lower(), int(match[2]), disk, inside))
            elif is_row_count_file(name):
                row_count_files.append(Part("", 0, disk, inside))
    return found, row_count_files, unread


def _files(folder: Path, unread: list[Path]) -> list[Path]:
    """The files of a folder and of the folders in it, sorted; a folder that cannot be listed is added to `unread`."""
    with errors_as_sentences(folder):
        found = sorted(folder.iterdir())
        inner = [entry for entry in found if entry.is_dir() and not is_clutter(entry.name)]
    for entry in inner:
        with _unless_of_delivery(entry, unread):
            found += sorted(entry.iterdir())
    with errors_as_sentences(folder):
        for path in found:
            if path.is_symlink() and not path.exists() and _PART.fullmatch(path.name):
                raise UserError(f"{path} is a link to a file that does not exist")
        return [path for path in found if path.is_file() and not is_clutter(path.name)]


def _names(disk: Path, unread: list[Path]) -> list[tuple[str, ...]]:
    """The paths of members that may be tables in a file of the folder: the file itself, or all members of a zip."""
    if disk.suffix.lower() != ".zip" or _PART.fullmatch(disk.name):
        return [()]
    with _unless_of_delivery(disk, unread):
        return [(name,) for name in member_names(disk, lambda name: _PART.fullmatch(_last(name)) is not None)]
    return []


def _last(name: str) -> str:
    """The last part of a member's name; zips made on Windows may have backslashes."""
    return re.split(r"[/\\]", name)[-1]


@contextmanager
def _unless_of_delivery(path: Path, unread: list[Path]) -> Iterator[None]:
    """Add a file or folder that cannot be read to `unread`; raise the sentence about one that is of the delivery."""
    try:
        with errors_as_sentences(path):
            yield
    except UserError:
        if _OF_DELIVERY.search(path.name) or _holds_part(path):
            raise
        unread.append(path)


def _holds_part(disk: Path) -> bool:
    """Whether a broken zip begins with parts of tables: names of members are not packed."""
    try:
        with disk.open("rb") as content:
            return _PART_INSIDE.search(content.read(_BEGINNING)) is not None
    except OSError:
        return False


def _in_order(folder: Path, table: str, parts: list[Part], hint: str) -> tuple[Part, ...]:
    if not parts:
        raise UserError(
            f"{folder} lacks the table {table} ({TABLES[table]}): no file there is named like "
            f"{table}_part01; copy the missing files of the delivery there{hint}"
        )
    parts.sort(key=lambda part: part.number)
    for before, part in itertools.pairwise(parts):
        if before.number == part.number:
            raise UserError(f"{table} part {part.number} is there twice, as {before} and as {part}; keep one of them")
    for number, part in enumerate(parts, start=min(1, parts[0].number)):
        if part.number != number:
            raise UserError(
                f"{folder} lacks part {number} of {table}, though part {parts[-1].number} is there; "
                f"copy the missing file of the delivery there{hint}"
            )
    return tuple(parts)


def _row_counts(folder: Path, files: list[Part]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for file in files:
        for table, rows in parse_row_counts(_beginning(file)).items():
            if counts.setdefault(table, rows) != rows:
                raise UserError(
                    f"{folder}: the RowCount files disagree about {table} ({counts[table]:,} and {rows:,} rows); "
                    "keep the one of this edition"
                )
    return counts


def _beginning(file: Part) -> bytes:
    """The content of a RowCount file; of one that is too long to be one, a byte more than it may have."""
    with errors_as_sentences(file):
        if file.inside:
            return read_member(file.disk, file.inside[0], LARGEST_BYTES + 1)
        with file.disk.open("rb") as content:
            return content.read(LARGEST_BYTES + 1)


def _unchecked(tables: Sequence[str], counts: Mapping[str, int], files: Sequence[Path]) -> Iterator[str]:
    missing = [table for table in tables if table not in counts]
    if missing:
        names = ", ".join(file.name for file in files)
        reason = f"no row count was understood in {names}" if files else "the delivery has no RowCount file"
        yield (
            f"{reason}, so the row counts of {', '.join(missing)} could not be checked: applications and parts that "
            "are there twice and gaps between parts are found without it, a missing last part is not"
        )


def _ignored(unread: Sequence[Path]) -> Iterator[str]:
    yield from (f"{path.name} cannot be read and was not taken for a part of the delivery" for path in unread)


@contextmanager
def open_part(part: Part) -> Iterator[tuple[BinaryIO, tuple[int, int] | None]]:
    """The bytes of a part's CSV as a stream to be read once from its beginning; the delivery is not unpacked.

    With it come the number of bytes and their CRC-32, as a zip has them in its directory; None for a CSV.

    Zips are checked against their CRC-32 as they are read. Raises UserError naming the part where a zip is cut off or
    packed in a way that Python cannot read; reading the stream raises one of `READ_ERRORS` where data is damaged.
    """
    with contextlib.ExitStack() as stack:
        with errors_as_sentences(part):
            found = stack.enter_context(opened(part.disk, part.inside, lambda archive: _only_table(part, archive)))
        yield found


def _only_table(part: Part, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    texts = [
        info
        for info in archive.infolist()
        if Path(info.filename).suffix.lower() in (".csv", ".txt") and not is_clutter(info.filename)
    ]
    members = [info for info in texts if _PART.fullmatch(_last(info.filename))] or texts
    if len(members) != 1:
        raise UserError(f"{part} holds {len(members)} CSV files, not one; fetch it again or extract the right one")
    return members[0]


def checksum(contents: Contents) -> str:
    """SHA-256, as hexadecimal text, over names, sizes and CRC-32s of all members of the delivery's zips.

    Reads zip directories only; files that are not zips are read whole.
    """
    digest = hashlib.sha256()
    for disk in contents.files:
        digest.update(f"{disk.name}\n".encode())
        if disk.suffix.lower() == ".zip":
            with errors_as_sentences(disk), open_archive(disk) as archive:
                for member in sorted(archive.infolist(), key=lambda info: info.filename):
                    digest.update(f"{member.filename}\t{member.file_size}\t{member.CRC:08x}\n".encode())
        else:
            with errors_as_sentences(disk), disk.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
