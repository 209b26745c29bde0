"""A made-up PATSTAT delivery: the whole workflow runs, and is measured, without a licence or a download.

Nothing in it is a real patent. Its layout is that of a PATSTAT Global delivery since 2025, oddities included, so that
it goes through the same reader, filters and family rules as a real one: dummy applications, utility models, blank
kinds, missing dates, symbols outside the label tree, abstracts in other languages, quotes and line breaks inside them,
family members with the same or nearly the same abstract, and duplicates that the family ids miss. Scores on it show
that the workflow works, nothing about patents.

`families` draws the families and their applications, `text` writes the prose, `symbols` draws the IPC symbols, and this
module makes of them the rows of each table and the files. Everything is drawn in chunks of abstracts, each from its own
random stream, and written into all archives at once: memory stays the same for ten million abstracts, and the same call
gives the same bytes.
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.files import written_whole
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import Progress
from ipcascade.core.random_streams import stream
from ipcascade.sources.demo.families import ALL_OFFICES, LANGUAGES, Applications, Classes, Families, draw_applications
from ipcascade.sources.demo.files import DELIVERY_FILES, PARTS, ROW_COUNTS
from ipcascade.sources.demo.symbols import Subclasses, Symbols, draw_symbols
from ipcascade.sources.demo.text import Prose

HEADERS = {
    "tls201_appln": "appln_id,appln_auth,appln_nr,appln_kind,appln_filing_date,appln_filing_year,appln_nr_epodoc,"
    "appln_nr_original,ipr_type,receiving_office,internat_appln_id,int_phase,reg_phase,nat_phase,"
    "earliest_filing_date,earliest_filing_year,earliest_filing_id,earliest_publn_date,earliest_publn_year,"
    "earliest_pat_publn_id,granted,docdb_family_id,inpadoc_family_id,docdb_family_size,nb_citing_docdb_fam,"
    "nb_applicants,nb_inventors",
    "tls202_appln_title": "appln_id,appln_title_lg,appln_title",
    "tls203_appln_abstr": "appln_id,appln_abstract_lg,appln_abstract",
    "tls209_appln_ipc": "appln_id,ipc_class_symbol,ipc_class_level,ipc_version,ipc_value,ipc_position,ipc_gener_auth",
}
# The application that PATSTAT's references to no application point to.
NO_APPLICATION = (
    '0,"  ","","D2",9999-12-31,9999,"","","PI","  ",0,"N","N","N",9999-12-31,9999,0,9999-12-31,9999,0,"N",0,0,0,0,0,0'
    "\r\n"
)

CHUNK = 8192  # abstracts drawn at a time
IDS_PER_CHUNK = 4 * CHUNK  # enough for some 200 million abstracts below the dummy applications
COMPRESSION = 1  # of deflate: the fastest, as large deliveries are written to be read once

# Applications.
UTILITY_MODELS, DESIGNS = 0.065, 0.02  # shares at the offices that have them
UTILITY_MODEL_OFFICES = ("CN", "JP", "KR", "DE")
BLANK_KINDS = 0.004
FIRST_DAY, LAST_FILING, NO_DAY = (np.datetime64(day) for day in ("1990-01-01", "2023-12-31", "9999-12-31"))
LATEST_WAIT = 400  # days from the first filing of a family to its last
MISSING_DATES = (0.02, 0.01, 0.03)  # of filing, earliest filing and earliest publication
JOINED_BY_INPADOC = 0.1  # families that share their INPADOC family with the one before

# Abstracts in English that say nothing, or are badly set.
STUBS, LINE_BREAKS, DOUBLE_SPACES = 0.004, 0.015, 0.01
STUB = "No abstract available."

# What codes must look like below the first level of the label tree.
CODES = (r"[A-H]\d\d", r"[A-H]\d\d[A-Z]")


def write_delivery(folder: Path, documents: int, seed: int, tree: LabelTree, chunk_size: int = CHUNK) -> dict[str, int]:
    """Write the files `DELIVERY_FILES` into `folder` and return the number of rows of each table.

    documents: applications with an abstract, exactly; family members and abstracts in other languages count.
    tree: its first two levels are IPC sections and classes (a letter and two digits), its third, if any, subclasses;
    classes without a title of their own stay unused, and so do the rarest ones where `documents` is too small for a
    handful of families of each.
    chunk_size: abstracts drawn at a time, at most `CHUNK`; another number gives another delivery.

    The row counts come last: where `RowCount.txt` exists, the delivery is whole.
    Raises UserError for a tree of other codes and where the folder cannot be written.
    """
    world = World.build(seed, documents, tree)
    with ExitStack() as files:
        # What is entered first is moved into place last.
        temporary = {name: files.enter_context(written_whole(folder / name)) for name in reversed(DELIVERY_FILES)}
        try:
            rows = _write_tables(temporary, world, documents, seed, chunk_size)
            counts = "".join(f"{table} count: {count}\r\n" for table, count in rows.items())
            temporary[ROW_COUNTS].write_bytes(counts.encode("utf-8-sig"))
        except OSError as error:  # of any of the files, which it need not name
            raise UserError(f"{folder}: the demo delivery could not be written: {error.strerror or error}") from error
    return rows


@dataclass(frozen=True)
class World:
    """What is the same in every chunk."""

    classes: Classes
    prose: Prose
    subclasses: Subclasses

    @classmethod
    def build(cls, seed: int, documents: int, tree: LabelTree) -> "World":
        """That of a delivery of so many documents. Raises UserError for a tree whose codes make no IPC symbols."""
        _check(tree)
        upper = tree.select(tree.levels[:2])
        classes = Classes.choose(seed, documents, upper)
        prose = Prose.build(seed, classes, upper)
        return cls(classes, prose, Subclasses.choose(seed, documents, classes, tree))


def _check(tree: LabelTree) -> None:
    """Raise UserError for a tree whose codes do not make IPC symbols."""
    if len(tree.levels) < 2:
        raise UserError(f"the demo needs a label tree of sections and classes, not of {tree.levels[0]!r} alone")
    for level, pattern in zip(tree.levels[1:], CODES, strict=False):
        for code in tree.codes(level):
            parent = tree.labels[tree.parents[tree.index[code]]]
            if not re.fullmatch(pattern, code) or not code.startswith(parent):
                raise UserError(
                    f"the demo writes IPC symbols and cannot use the {level} {code!r} below {parent!r}: "
                    "give a label tree of IPC codes, or another source"
                )


def _write_tables(
    paths: Mapping[str, Path], world: World, documents: int, seed: int, chunk_size: int
) -> dict[str, int]:
    """Draw chunk after chunk into all archives at once; the first half of a chunk's rows goes into a table's part 1."""
    rows = dict.fromkeys(PARTS, 0)
    with ExitStack() as archives, Progress("demo delivery", documents, "documents") as progress:
        members: dict[str, list[IO[bytes]]] = {table: [] for table in PARTS}
        for table, parts in PARTS.items():
            for part in range(1, parts + 1):
                name = f"{table}_part{part:02d}"
                archive = zipfile.ZipFile(paths[f"{name}.zip"], "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)
                archives.enter_context(archive)
                # A member opened by its name is dated 1980-01-01, whatever the clock says.
                member = archives.enter_context(archive.open(f"{name}.csv", "w", force_zip64=True))
                member.write(f"{HEADERS[table]}\r\n".encode())
                members[table].append(member)
        for chunk, start in enumerate(range(0, documents, chunk_size)):
            size = min(chunk_size, documents - start)
            for table, lines in _chunk(world, stream(seed, "demo", "chunk", chunk), chunk, size).items():
                rows[table] += len(lines)
                share = -(-len(lines) // PARTS[table])
                for part, member in enumerate(members[table]):
                    member.write("".join(lines[part * share : (part + 1) * share]).encode())
            progress.advance(size)
    return rows


def _chunk(world: World, rng: np.random.Generator, chunk: int, documents: int) -> dict[str, list[str]]:
    """The CSV lines of every table for one chunk with exactly `documents` abstracts."""
    numbers = range(chunk * IDS_PER_CHUNK, (chunk + 1) * IDS_PER_CHUNK)
    families, applications = draw_applications(world.classes, rng, numbers, documents)
    abstracts, titles = world.prose.write(rng, families, applications)
    first = [NO_APPLICATION] if chunk == 0 else []
    return {  # each draws from the same stream, so their order is part of the result
        "tls201_appln": first + _application_lines(rng, families, applications),
        "tls202_appln_title": _title_lines(rng, applications, titles),
        "tls203_appln_abstr": _abstract_lines(rng, applications, abstracts),
        "tls209_appln_ipc": _symbol_lines(applications, draw_symbols(world.subclasses, rng, families, applications)),
    }


def _application_lines(rng: np.random.Generator, families: Families, applications: Applications) -> list[str]:
    """Rows of tls201_appln."""
    identifier, family, member = applications.identifier, applications.family, applications.member
    count = len(family)
    office = np.array(ALL_OFFICES)[applications.office]
    draw = rng.random(count)
    is_utility_model = np.isin(office, UTILITY_MODEL_OFFICES) & (draw < UTILITY_MODELS)
    is_design = ~np.isin(office, ("WO", "EP")) & (draw > 1 - DESIGNS)
    ipr_type = np.select([is_utility_model, is_design], ["UM", "DP"], default="PI")
    kind = np.select([is_utility_model, is_design, office == "WO"], ["U ", "S ", "W "], default="A ")
    kind[rng.random(count) < BLANK_KINDS] = "  "
    kind[applications.is_dummy] = rng.choice(["D ", "Q ", "D2"], int(applications.is_dummy.sum()))

    # Dates are counted in days from the first one until some of them are replaced.
    span = int((LAST_FILING - FIRST_DAY).astype(int)) - LATEST_WAIT
    earliest = (span * rng.random(len(families.identifier)) ** 0.6).astype(np.int64)[family]
    filing = earliest + (member > 0) * rng.integers(30, LATEST_WAIT, count)
    publication = filing + rng.integers(540, 740, count)
    filed, earliest_filed, published = (
        np.where(rng.random(count) < share, NO_DAY, FIRST_DAY + days)
        for days, share in zip((filing, earliest, publication), MISSING_DATES, strict=True)
    )

    first_filing = np.zeros_like(families.identifier)
    first_filing[family[member == 0]] = identifier[member == 0]
    joins = rng.random(len(families.identifier)) < JOINED_BY_INPADOC
    inpadoc = families.identifier[np.maximum.accumulate(np.where(joins, 0, np.arange(len(joins))))]
    is_international = office == "WO"
    regional, national, granted = np.where(rng.random((3, count)) < 0.5, "Y", "N")
    has_original = rng.random(count) < 0.7
    citing, applicants, inventors = rng.integers(0, [[60], [5], [7]], (3, count))
    number = identifier.astype(str)
    return _lines(
        identifier, office, number, kind, filed, _year(filed), np.strings.add(office, number),
        np.where(has_original, np.strings.add(np.strings.add(office, " "), number), ""),
        ipr_type, np.full(count, "  "), np.where(is_international, identifier, 0), np.where(is_international, "Y", "N"),
        regional, national, earliest_filed, _year(earliest_filed), first_filing[family], published, _year(published),
        np.where(published == NO_DAY, 0, identifier + 1), granted, families.identifier[family], inpadoc[family],
        np.bincount(family)[family], citing, applicants, inventors,
    )  # fmt: skip


def _year(dates: np.ndarray) -> np.ndarray:
    return dates.astype("datetime64[Y]").astype(np.int64) + 1970


def _lines(*columns: np.ndarray) -> list[str]:
    """Rows of a table: character columns are quoted (there are no quotes inside), numbers and dates are not."""
    row = ",".join('"%s"' if column.dtype.kind == "U" else "%s" for column in columns) + "\r\n"
    return [row % values for values in zip(*(column.tolist() for column in columns), strict=True)]


def _title_lines(rng: np.random.Generator, applications: Applications, titles: Sequence[str]) -> list[str]:
    """Rows of tls202_appln_title; some titles are in capitals, and some applications without an abstract have none."""
    has_title = applications.has_abstract | (rng.random(len(titles)) < 0.8)
    in_capitals = rng.random(len(titles)) < 0.2
    lines = []
    for identifier, language, title, present, capitals in zip(
        applications.identifier.tolist(), applications.language.tolist(), titles, has_title.tolist(),
        in_capitals.tolist(), strict=True,
    ):  # fmt: skip
        if present:
            title = title.upper() if capitals else title.capitalize() if language else title
            lines.append(f'{identifier},"{LANGUAGES[language]}",{_quoted(title)}\r\n')
    return lines


def _abstract_lines(rng: np.random.Generator, applications: Applications, abstracts: Sequence[str]) -> list[str]:
    """Rows of tls203_appln_abstr, with line breaks, double spaces and empty phrases here and there."""
    lines = []
    for identifier, language, abstract, present, oddity in zip(
        applications.identifier.tolist(), applications.language.tolist(), abstracts,
        applications.has_abstract.tolist(), rng.random(len(abstracts)).tolist(), strict=True,
    ):  # fmt: skip
        if not present:
            continue
        if language:
            abstract = f"{abstract.capitalize()}."
        elif oddity < STUBS:
            abstract = STUB
        elif oddity < STUBS + LINE_BREAKS:
            abstract = abstract.replace(". ", ".\n")
        elif oddity < STUBS + LINE_BREAKS + DOUBLE_SPACES:
            abstract = abstract.replace(" the ", "  the ")
        lines.append(f'{identifier},"{LANGUAGES[language]}",{_quoted(abstract)}\r\n')
    return lines


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _symbol_lines(applications: Applications, symbols: Symbols) -> list[str]:
    """Rows of tls209_appln_ipc."""
    row = symbols.application
    version = (symbols.year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    office = np.array(ALL_OFFICES)[applications.office[row]]
    return _lines(
        applications.identifier[row], symbols.symbol, symbols.level, version, symbols.value, symbols.position, office,
    )  # fmt: skip
