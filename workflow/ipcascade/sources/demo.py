"""A made-up PATSTAT delivery: the whole workflow runs, and is measured, without a licence or a download.

Nothing in it is a real patent. Its layout is that of a PATSTAT Global delivery since 2025, oddities included, so that
it goes through the same reader, filters and family rules as a real one: dummy applications, utility models, blank
kinds, missing dates, symbols outside the scheme, abstracts in other languages, quotes and line breaks inside them,
family members with the same or nearly the same abstract, and duplicates that the family ids miss. Scores on it say
that the machinery works, nothing about patents.

`demo_families` draws the families and their applications, `demo_text` writes the prose, and this module makes of both
the rows of each table and the files. Everything is drawn in chunks of `CHUNK` abstracts, each from its own random
stream, and written into all archives at once: memory stays the same for ten million abstracts, and the same call gives
the same bytes.
"""

import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ..doors import written_whole
from ..errors import UserError
from ..progress import Progress
from ..randomness import stream
from ..taxonomy import Taxonomy
from .demo_families import ALL_OFFICES, LANGUAGES, Applications, Classes, Families, draw_applications
from .demo_text import Prose

ROW_COUNTS = "RowCount.txt"
PARTS = {"tls201_appln": 1, "tls202_appln_title": 1, "tls203_appln_abstr": 2, "tls209_appln_ipc": 2}
DELIVERY_FILES: tuple[str, ...] = (
    *(f"{table}_part{part:02d}.zip" for table, parts in PARTS.items() for part in range(1, parts + 1)),
    ROW_COUNTS,
)
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
IDS_A_CHUNK = 4 * CHUNK  # room for some 200 million abstracts below the dummy applications
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

# Symbols.
MEMBERS_DISAGREE = 0.08  # later family members with a class more, and as many with a class less
WITHOUT_SYMBOLS, ONLY_ELSEWHERE, ALSO_ELSEWHERE = 0.02, 0.004, 0.012  # shares of applications
ELSEWHERE = ("A10", "B80", "C16", "D10", "E07", "F05", "G13", "H98")  # classes of no scheme in force
SUBCLASSES = "BCDFGHJKLMNP"
GROUPS = tuple(f"{group:4d}/" for group in (*range(1, 95), 99, 101, 103))  # main groups as ST.8 sets them
SUBGROUPS = ("00", "02", "04", "06", "08", "10", "12", "14", "16", "20", "32", "705")


def write_delivery(folder: Path, documents: int, seed: int, taxonomy: Taxonomy) -> dict[str, int]:
    """Write the files `DELIVERY_FILES` into `folder` and return the number of rows of each table.

    documents: applications with an abstract, exactly; family members and abstracts in other languages count.
    taxonomy: tree whose classes are IPC classes (a letter and two digits); classes without a title of their own stay
    unused, and so do the rarest ones where `documents` is too small for a handful of families of each.

    The row counts come last: where `RowCount.txt` stands, the delivery is whole.
    Raises UserError for a taxonomy of other codes and where the folder cannot be written.
    """
    world = _World.build(seed, documents, taxonomy)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            # What is entered first is moved into place last.
            temporary = {name: files.enter_context(written_whole(folder / name)) for name in reversed(DELIVERY_FILES)}
            rows = _write_tables(temporary, world, documents, seed)
            counts = "".join(f"{table} count: {count}\r\n" for table, count in rows.items())
            temporary[ROW_COUNTS].write_bytes(counts.encode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{folder}: the demo delivery could not be written: {error.strerror or error}") from error
    return rows


@dataclass(frozen=True)
class _World:
    """What is the same in every chunk.

    codes: of the classes in play, then of those `ELSEWHERE`; subclasses: int, how many letters of `SUBCLASSES` each of
    them uses.
    """

    classes: Classes
    prose: Prose
    codes: tuple[str, ...]
    subclasses: np.ndarray

    @classmethod
    def build(cls, seed: int, documents: int, taxonomy: Taxonomy) -> "_World":
        classes = Classes.choose(seed, documents, taxonomy)
        codes = (*classes.codes, *(code for code in ELSEWHERE if code not in taxonomy.index))
        subclasses = stream(seed, "demo", "subclasses").integers(2, len(SUBCLASSES) + 1, len(codes))
        return cls(classes, Prose.build(seed, classes, taxonomy), codes, subclasses)


def _write_tables(paths: Mapping[str, Path], world: _World, documents: int, seed: int) -> dict[str, int]:
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
        for chunk, start in enumerate(range(0, documents, CHUNK)):
            size = min(CHUNK, documents - start)
            for table, lines in _chunk(world, stream(seed, "demo", "chunk", chunk), chunk, size).items():
                rows[table] += len(lines)
                share = -(-len(lines) // PARTS[table])
                for part, member in enumerate(members[table]):
                    member.write("".join(lines[part * share : (part + 1) * share]).encode())
            progress.advance(size)
    return rows


def _chunk(world: _World, rng: np.random.Generator, chunk: int, documents: int) -> dict[str, list[str]]:
    """The CSV lines of every table for one chunk with exactly `documents` abstracts."""
    numbers = range(chunk * IDS_A_CHUNK, (chunk + 1) * IDS_A_CHUNK)
    families, applications = draw_applications(world.classes, rng, numbers, documents)
    abstracts, titles = world.prose.write(rng, families, applications)
    first = [NO_APPLICATION] if chunk == 0 else []
    return {
        "tls201_appln": first + _application_lines(rng, families, applications),
        "tls202_appln_title": _title_lines(rng, applications, titles),
        "tls203_appln_abstr": _abstract_lines(rng, applications, abstracts),
        "tls209_appln_ipc": _symbol_lines(world, rng, families, applications),
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

    # Dates are counted in days from the first one until some of them are struck out.
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
    """Rows of a table: character columns are quoted (there are no quotes inside), numbers and dates stand bare."""
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


def _symbol_lines(world: _World, rng: np.random.Generator, families: Families, applications: Applications) -> list[str]:
    """Rows of tls209_appln_ipc: one to four symbols of each class of an application, alike within a family."""
    family = applications.family
    count, most, in_play = len(family), families.topics.shape[1], len(world.classes.codes)
    draw = rng.random(count)
    step = (draw < MEMBERS_DISAGREE).astype(np.int64) - (draw > 1 - MEMBERS_DISAGREE)
    classes = np.clip(families.counts[family] + step * (applications.member > 0), 1, most)
    symbols = np.minimum(rng.geometric(0.5, (count, most)), 4) * (np.arange(most) < classes[:, None])
    fate = rng.random(count)
    symbols[fate < WITHOUT_SYMBOLS + ONLY_ELSEWHERE] = 0
    elsewhere = (fate >= WITHOUT_SYMBOLS) & (fate < WITHOUT_SYMBOLS + ONLY_ELSEWHERE + ALSO_ELSEWHERE)

    # A cell is an application's class, the last of its cells the one outside the scheme; a cell has so many symbols.
    cell_symbols = np.column_stack([symbols, elsewhere]).ravel()
    cell_class = np.column_stack([families.topics[family], rng.integers(in_play, len(world.codes), count)]).ravel()
    cell_start = rng.integers(0, 1_000_000, (len(families.topics), most + 1))[family].ravel()
    cell = np.repeat(np.arange(len(cell_symbols)), cell_symbols)
    within = np.arange(len(cell)) - np.searchsorted(cell, cell)
    row, place, start = cell // (most + 1), cell_class[cell], cell_start[cell]
    letter = np.array(list(SUBCLASSES))[(start + within) % world.subclasses[place]]
    group = np.array(GROUPS)[(start + 7 * within) % len(GROUPS)]  # 7 apart: no two of a class share it
    subgroup = np.array(SUBGROUPS)[(start // len(GROUPS) + within) % len(SUBGROUPS)]
    draws = rng.random((4, len(cell)))
    level = np.select([(draws[0] < 0.01) & (within == 0), draws[0] < 0.03], ["S", "C"], default="A")
    year = np.select([draws[1] < 0.8, draws[1] < 0.9], [2006, 2013], default=2018)
    value = np.select([draws[2] < 0.97, draws[2] < 0.995], ["I", "N"], default=" ")
    position = np.select([draws[3] < 0.01, np.diff(row, prepend=-1) != 0], [" ", "F"], default="L")

    subclass = np.strings.add(np.array(world.codes)[place], letter)
    below = np.strings.add(group, np.where(level == "A", subgroup, "00"))
    return _lines(
        applications.identifier[row], np.strings.add(subclass, np.where(level == "S", "", below)), level,
        (year - 1970).astype("datetime64[Y]").astype("datetime64[D]"), value, position,
        np.array(ALL_OFFICES)[applications.office[row]],
    )  # fmt: skip
