"""A made-up PATSTAT delivery: the whole workflow runs, and is measured, without a licence or a download.

Nothing in it is a real patent. Its layout is that of a PATSTAT Global delivery since 2025, oddities included, so that
it goes through the same reader, filters and family rules as a real one: dummy applications, utility models, blank
kinds, missing dates, symbols outside the scheme, abstracts in other languages, quotes and line breaks inside them,
family members with the same or nearly the same abstract, and duplicates that the family ids miss.

The text is English patent prose from sentence templates. Each class has a vocabulary: the words of its official title
and further technical words, most of which other classes use as well; each section has words of its own; every abstract
mixes those of its classes with general and misleading ones. A classifier therefore finds signal but no certainty: the
shares are set so that TF-IDF with a linear support-vector machine, its thresholds untuned, reaches a micro-F1 of about
.80 over sections and .60 over classes in a delivery of 2400 abstracts. English words, in place of invented ones, let a
pre-trained encoder use what it knows, and keep its tokens few. Scores on this text say that the machinery works,
nothing about patents.

Everything is drawn in chunks of `CHUNK` abstracts, each from its own random stream, and written into all archives at
once: memory stays the same for ten million abstracts, and the same call gives the same bytes.
"""

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from ..doors import written_whole
from ..errors import UserError
from ..progress import Progress
from ..randomness import stream
from ..taxonomy import Taxonomy

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

CHUNK = 8192  # abstracts drawn at a time
COMPRESSION = 1  # of deflate: the fastest, as large deliveries are written to be read once

# Families and applications.
FAMILY_SIZES = (0.80, 0.13, 0.05, 0.02)  # shares of families with 1, 2, 3, 4 abstracts
MEAN_FAMILY = sum(size * share for size, share in enumerate(FAMILY_SIZES, start=1))
WITHOUT_ABSTRACT = 0.07  # applications without an abstract, to each one with an abstract
COPIED_ACROSS_FAMILIES = 0.015  # families with another family's abstract
CHANGED_MEMBERS = 0.45  # later family members of whose words a few are changed
CHANGED_WORDS = 0.06  # share of the words that are changed then
DUMMIES = (0.003, 0.15)  # share of dummy applications among those with an abstract, and among those without
UTILITY_MODELS, DESIGNS = 0.065, 0.02  # shares at the offices that have them
BLANK_KINDS = 0.004
MISSING_DATES = (0.02, 0.01, 0.03)  # of filing, earliest filing and earliest publication
JOINED_BY_INPADOC = 0.1  # families that share their INPADOC family with the one before
STUBS, LINE_BREAKS, DOUBLE_SPACES = 0.004, 0.015, 0.01  # English abstracts that say nothing, or are badly set
FIRST_APPLICATION, FIRST_DUMMY = 1_000_000, 900_000_001
IDS_A_CHUNK = 4 * CHUNK  # room for some 200 million abstracts below the dummy applications
OFFICES = {"CN": 24, "US": 20, "EP": 13, "WO": 13, "JP": 12, "KR": 8, "DE": 3, "GB": 3, "CA": 2, "AU": 2}
UTILITY_MODEL_OFFICES = ("CN", "JP", "KR", "DE")
FIRST_DAY, LAST_FILING, LAST_DAY = (np.datetime64(day) for day in ("1990-01-01", "2023-12-31", "2026-12-31"))

# Labels.
CLASSES_A_FAMILY = (0.67, 0.262, 0.058, 0.01)  # shares of families with 1, 2, 3, 4 classes
MEMBERS_DISAGREE = 0.08  # later family members with a class more, and as many with a class less
MINIMUM_FAMILIES = 5  # a class for which fewer are to be expected is left out: no split could hold it
LARGEST_CLASSES = (
    "A61 G06 H04 G01 H01 B65 C07 B60 A01 F16 C12 B01 C08 A47 H02 B29 B23 E04 C09 G02 B32 A23 F24 G05 H10 C02 A63 B05 "
    "E21 F02 B62 C22 F25 G08 C01 C23 B25 G09 F04 D06 H05 E02 C10 B66"
)
AFFINITIES = (
    "A61-C07 A61-C12 C07-C12 A01-C12 A01-C07 A23-A61 A61-G16 G06-G16 G06-H04 G01-G06 G06-G09 G06-G08 G06-G07 G08-H04 "
    "B01-C10 B01-C02 B01-C01 B01-C07 C08-C09 C08-B32 C08-B29 B29-B32 B29-B33 B22-B33 C09-E21 E21-F16 B60-F16 F02-F16 "
    "F01-F02 F04-F16 C21-C22 C22-C23 C21-F27 B23-F16 H01-H02 B60-H02 H01-H10 C23-H10 H01-H05 F24-F25 F25-F28 G01-H01 "
    "G02-B60 G02-G03 G05-G06 A47-B65 B65-B31 D01-D06 D04-D06 D03-D06 D21-B31 E04-E06 E05-E06 E01-E02 E02-E03 C02-E03 "
    "B05-C09 F21-H05 F21-G02 C30-H10 C25-H01 B81-B82 B62-B60 A43-A41 C11-A61 C13-A23 A21-A23 F41-F42"
)
ELSEWHERE = ("A10", "B80", "C16", "D10", "E07", "F05", "G13", "H98")  # classes of no scheme in force
WITHOUT_SYMBOLS, ONLY_ELSEWHERE, ALSO_ELSEWHERE = 0.02, 0.004, 0.012  # shares of applications
GROUPS = tuple(f"{group:4d}/" for group in (*range(1, 95), 99, 101, 103))  # main groups as ST.8 sets them
SUBCLASSES = "BCDFGHJKLMNP"
SUBGROUPS = ("00", "02", "04", "06", "08", "10", "12", "14", "16", "20", "32", "705")

# Words: where the words of an abstract come from (the rest is general vocabulary), and how many each vocabulary has.
FROM_CLASS, FROM_SECTION, FROM_OTHER_CLASS = 0.63, 0.20, 0.12
STRENGTH = 5  # how alike abstracts are in the first two: some hardly say what they are about
MEAN_SENTENCES, SENTENCES_SPREAD, MOST_SENTENCES = 3.1, 0.6, 14  # after the first one; log-normal
KINDS = ("noun", "adjective", "verb")
LEXICON = {"noun": 10, "adjective": 5, "verb": 5}  # different words of a kind in one abstract
WORDS_A_CLASS = {"noun": 4, "adjective": 2, "verb": 2}  # beside those of its title
WORDS_A_SECTION = {"noun": 16, "adjective": 6, "verb": 6}
GENERAL_SHARE = 0.3  # of the word list
TEXT = Path(__file__).parents[1] / "data" / "demo_text.tsv"  # words by kind, and sentences with slots for them
TITLE_FILLERS = (
    "and or of in the to for by on than that not other otherwise provided thereof therefor therefrom their like such "
    "general without essentially covered classes using from with this section subject matter specially adapted based "
    "similar same out upon its also thereon human"
)
ADJECTIVE_ENDING = re.compile(r"(ic|ical|ous|able|ary|ural|ular|active|ative|ective|ulsive|atory|fugal|ed|borne|-\w+)$")
# How `{noun}`, `{a noun}`, `{A noun}` and `{q noun}` in a sentence are written.
PREFIXES = {"": "{}", "a": "{article} {}", "A": "{Article} {}", "q": '"{}"'}
MARKS = ("", ",", ".")
FORMS = tuple(prefix + mark for prefix in PREFIXES.values() for mark in MARKS)
STUB = "No abstract available."
LANGUAGES = {  # language of the abstract: offices, syllables of its made-up words
    "de": (("DE", "AT"), "ver ge schlu ung keit bräu ßel zwi mün rau tä fer brü sten"),
    "fr": (("FR", "BE"), "eau ré tion dé quoi gné lier ç aux per vê mon cha ble"),
    "es": (("ES", "MX"), "ción ña llo rue qui bar zón tad pe so gue mir ario"),
    "pt": (("BR", "PT"), "ção nho lha ões qua ver ben tis rum dão pi ca"),
    "ru": (("RU", "UA"), "при ство ние ель жу раз кой ван щий ло мя тор"),
}
NON_ENGLISH = 0.08
LANGUAGE_CODES = ("en", *LANGUAGES)
ALL_OFFICES = (*OFFICES, *(office for offices, _ in LANGUAGES.values() for office in offices if office not in OFFICES))
FOREIGN_WORDS = 300


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


def _write_tables(paths: Mapping[str, Path], world: "_World", documents: int, seed: int) -> dict[str, int]:
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


# ---------------------------------------------------------------------------------------------------------------------
# What all chunks share: the classes with their shares and affinities, the vocabularies, the sentences.


@dataclass(frozen=True)
class _Vocabulary:
    """The words of one kind, by who uses them.

    table: int [vocabularies, longest], word numbers; sizes: int [vocabularies]. The vocabularies are those of the
    classes in play, then those of the sections, then the general one.
    """

    table: np.ndarray
    sizes: np.ndarray

    @property
    def general(self) -> int:
        return len(self.sizes) - 1

    def draw(self, rng: np.random.Generator, vocabularies: np.ndarray) -> np.ndarray:
        """A word from each of `vocabularies`; the first of a vocabulary are the most frequent."""
        rank = (self.sizes[vocabularies] * rng.random(vocabularies.shape) ** 1.3).astype(np.int64)
        return self.table[vocabularies, rank]


@dataclass(frozen=True)
class _Templates:
    """Sentences as codes: 0 or more is a literal's number, below 0 is the slot ~(kind * len(FORMS) + form)."""

    codes: np.ndarray
    lengths: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths


@dataclass(frozen=True)
class _World:
    """What is the same in every chunk.

    classes: codes in play, then `ELSEWHERE`; sections: for each class in play its section's place among the sections;
    shares: of the classes in play as a family's first class; affinity: [in play, in play], the log of the odds of a
    further class (column) beside the first one (row); vocabularies: one a kind; kinds: of each word, its place in
    `KINDS`; tokens: text of the literals, then of every word in every form, then (from `foreign` on) the made-up words
    language by language; subclasses: how many letters of `SUBCLASSES` each class uses; dates: the days from
    `FIRST_DAY` on, then the missing one.
    """

    classes: tuple[str, ...]
    sections: np.ndarray
    shares: np.ndarray
    affinity: np.ndarray
    vocabularies: tuple[_Vocabulary, ...]
    openings: _Templates
    bodies: _Templates
    headings: _Templates
    literals: int
    kinds: np.ndarray
    tokens: np.ndarray
    foreign: int
    subclasses: np.ndarray
    dates: tuple[str, ...]

    @classmethod
    def build(cls, seed: int, documents: int, taxonomy: Taxonomy) -> "_World":
        for code, parent in zip(taxonomy.classes, taxonomy.parents, strict=True):
            if not re.fullmatch(r"[A-H]\d\d", code) or not code.startswith(parent):
                raise UserError(
                    f"the demo writes IPC symbols and cannot use the class {code!r} below {parent!r}: "
                    "give a taxonomy of IPC classes, or another source"
                )
        places, shares = _classes_in_play(seed, documents / MEAN_FAMILY, taxonomy)
        codes = [taxonomy.classes[place] for place in places]
        sections = taxonomy.parent_index[places]
        affinity = np.log(shares)[None, :] + np.where(sections[:, None] == sections, np.log(2.6), 0)
        place = {code: number for number, code in enumerate(codes)}
        for pair in AFFINITIES.split():
            one, other = (place.get(code) for code in pair.split("-"))
            if one is not None and other is not None:
                affinity[[one, other], [other, one]] += np.log(8)
        np.fill_diagonal(affinity, -np.inf)

        text = _read_text()
        words, vocabularies = _vocabularies(seed, text, codes, taxonomy)
        literals: dict[str, int] = {}
        openings, bodies, headings = (_parse(text[group], literals) for group in ("opening", "body", "heading"))
        tokens = [*literals, *_forms(words), *_foreign_words(seed)]
        rng = stream(seed, "demo", "subclasses")
        everywhere = (*codes, *(code for code in ELSEWHERE if code not in taxonomy.index))
        days = np.arange(FIRST_DAY, LAST_DAY + 1).astype(str).tolist()
        return cls(
            classes=everywhere, sections=sections, shares=shares, affinity=affinity, vocabularies=vocabularies,
            openings=openings, bodies=bodies, headings=headings, literals=len(literals),
            kinds=_kinds(vocabularies, len(words)), tokens=np.array(tokens, dtype=object),
            foreign=len(tokens) - FOREIGN_WORDS * len(LANGUAGES),
            subclasses=rng.integers(2, len(SUBCLASSES) + 1, len(everywhere)), dates=(*days, "9999-12-31"),
        )  # fmt: skip


def _classes_in_play(seed: int, families: float, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Places of the classes that the delivery uses, largest first, and their shares: a power law on a floor.

    The floor keeps the rarest class at a handful of families; where there are too few families for that, the classes
    at the tail are left out, but no section is.
    """
    titles = [taxonomy.titles[code] for code in taxonomy.classes]
    rank = {code: number for number, code in enumerate(LARGEST_CLASSES.split())}
    tie = stream(seed, "demo", "classes").permutation(len(taxonomy.classes))
    order = sorted(
        (place for place, title in enumerate(titles) if titles.count(title) == 1),
        key=lambda place: (rank.get(taxonomy.classes[place], len(rank)), tie[place]),
    )
    if not order:
        raise UserError("the demo needs classes with titles of their own, and the taxonomy has none")
    heads = {taxonomy.parent_index[place]: place for place in reversed(order)}
    size = len(order)
    while size > len(heads) and _shares(size)[-1] * families < MINIMUM_FAMILIES:
        size -= 1
    kept = set(heads.values())
    for place in order:
        if len(kept) >= size:
            break
        kept.add(place)
    return np.array([place for place in order if place in kept]), _shares(len(kept))


def _shares(classes: int) -> np.ndarray:
    """Shares of that many classes, falling: a part of all spread evenly, the rest by a power of the rank."""
    weights = (np.arange(classes) + 13.0) ** -2.5
    return 0.35 / classes + 0.65 * weights / weights.sum()


def _read_text() -> dict[str, list[str]]:
    """The words of each kind, and the sentences of each place."""
    text: dict[str, list[str]] = {}
    with TEXT.open(encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            entries = record["text"].split() if record["kind"] in KINDS else [record["text"]]
            text.setdefault(record["kind"], []).extend(entries)
    return text


def _vocabularies(
    seed: int, listed: Mapping[str, Sequence[str]], codes: Sequence[str], taxonomy: Taxonomy
) -> tuple[list[str], tuple[_Vocabulary, ...]]:
    """All words, and who uses which: the list is dealt out, and the words of the titles go to their owners."""
    numbers: dict[str, int] = {}
    rng = stream(seed, "demo", "vocabulary")
    vocabularies = []
    for kind in KINDS:
        pool = rng.permutation(listed[kind]).tolist()
        count = int(GENERAL_SHARE * len(pool))
        general, pool = pool[:count], pool[count:]
        count = WORDS_A_SECTION[kind]
        of_section = [pool[number * count : (number + 1) * count] for number in range(len(taxonomy.sections))]
        pool = pool[len(taxonomy.sections) * count :]
        owners = [(code, rng.choice(pool, WORDS_A_CLASS[kind], replace=False).tolist()) for code in codes]
        owners += zip(taxonomy.sections, of_section, strict=True)
        lists = []
        for code, words in owners:
            own = _title_words(taxonomy.titles[code], listed)[kind]
            lists.append(rng.permutation(list(dict.fromkeys(own + words))).tolist())
        lists.append(general)
        table = np.zeros((len(lists), max(map(len, lists))), dtype=np.int64)
        for row, words in enumerate(lists):
            table[row, : len(words)] = [numbers.setdefault(word, len(numbers)) for word in words]
        vocabularies.append(_Vocabulary(table, np.array([len(words) for words in lists])))
    return list(numbers), tuple(vocabularies)


def _kinds(vocabularies: Sequence[_Vocabulary], words: int) -> np.ndarray:
    """int [words]: the kind of each word, the first where it is of several."""
    kinds = np.zeros(words, dtype=np.int64)
    for kind, vocabulary in reversed(list(enumerate(vocabularies))):
        for row, size in enumerate(vocabulary.sizes):
            kinds[vocabulary.table[row, :size]] = kind
    return kinds


def _title_words(title: str, listed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The words of a title by kind, nouns in the singular as far as a rule can tell."""
    words: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for word in re.findall(r"[a-z]+(?:-[a-z]+)*", re.sub(r"\[.*?\]", "", title.lower())):
        if len(word) < 3 or word in TITLE_FILLERS.split():
            continue
        if word.endswith("ing") and len(word) > 5:
            words["verb"].append(word)
        elif word in listed["adjective"] or ADJECTIVE_ENDING.search(word):
            words["adjective"].append(word)
        else:
            word = re.sub(r"ies$", "y", word)
            word = re.sub(r"(?<=ss|sh|ch|as)es$|(?<=x)es$", "", word)
            words["noun"].append(word if re.search(r"(ss|us|is|ics|gas)$", word) else re.sub(r"s$", "", word))
    return words


def _parse(sentences: Iterable[str], literals: dict[str, int]) -> _Templates:
    """Sentences with slots as codes; adds their literals to `literals`."""
    codes: list[int] = []
    lengths: list[int] = []
    for sentence in sentences:
        before = len(codes)
        for literal, prefix, kind, mark in re.findall(r"([^{}]+)|\{(?:(\w) )?(\w+)\}([,.]?)", sentence):
            if kind:
                form = FORMS.index(PREFIXES[prefix] + mark)
                codes.append(~(KINDS.index(kind) * len(FORMS) + form))
            elif literal.strip():
                codes.append(literals.setdefault(literal.strip(), len(literals)))
        lengths.append(len(codes) - before)
    return _Templates(np.array(codes), np.array(lengths))


def _forms(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        article = "an" if re.match("[aeio]|u(?!ni)", word) else "a"
        for form in FORMS:
            yield form.format(word, article=article, Article=article.capitalize())


def _foreign_words(seed: int) -> Iterator[str]:
    rng = stream(seed, "demo", "languages")
    for _, syllables in LANGUAGES.values():
        for _ in range(FOREIGN_WORDS):
            yield "".join(rng.choice(syllables.split(), rng.integers(1, 4)))


# ---------------------------------------------------------------------------------------------------------------------
# One chunk: its families and applications, their text, and the rows of each table.


@dataclass(frozen=True)
class _Families:
    """The DOCDB families of a chunk.

    topics: int [families, at most 5], classes in falling order of weight; counts: int [families], how many of them the
    family has (those beyond are what a member that disagrees adds); text_of: int [families], whose abstract it carries.
    """

    topics: np.ndarray
    counts: np.ndarray
    text_of: np.ndarray


@dataclass(frozen=True)
class _Applications:
    """The applications of a chunk in order of `identifier`; each array has one entry an application.

    member: 0 for the first of its family; office: place in `ALL_OFFICES`; language: 0 for English, then as `LANGUAGES`.
    """

    identifier: np.ndarray
    family: np.ndarray
    member: np.ndarray
    has_abstract: np.ndarray
    is_dummy: np.ndarray
    office: np.ndarray
    language: np.ndarray


@dataclass(frozen=True)
class _Text:
    """Texts as token numbers, one text after the other: tokens int [all of them], lengths int [texts]."""

    tokens: np.ndarray
    lengths: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths

    def strings(self, world: _World) -> list[str]:
        """Each text as a string."""
        tokens = world.tokens[self.tokens].tolist()
        starts, ends = self.starts.tolist(), np.cumsum(self.lengths).tolist()
        return [" ".join(tokens[start:end]) for start, end in zip(starts, ends, strict=True)]


def _chunk(world: _World, rng: np.random.Generator, chunk: int, documents: int) -> dict[str, list[str]]:
    """The CSV lines of every table for one chunk with exactly `documents` abstracts."""
    families, applications = _draw_applications(world, rng, chunk, documents)
    abstracts, headings = _write_texts(world, rng, families, applications)
    return {
        "tls201_appln": _application_lines(world, rng, chunk, applications),
        "tls202_appln_title": _title_lines(world, rng, applications, headings),
        "tls203_appln_abstr": _abstract_lines(world, rng, applications, abstracts),
        "tls209_appln_ipc": _symbol_lines(world, rng, families, applications),
    }


def _draw_applications(
    world: _World, rng: np.random.Generator, chunk: int, documents: int
) -> tuple[_Families, _Applications]:
    sizes = rng.choice(len(FAMILY_SIZES), documents, p=FAMILY_SIZES) + 1
    with_text = int(np.searchsorted(np.cumsum(sizes), documents)) + 1
    family = np.repeat(np.arange(with_text), sizes[:with_text])[:documents]
    member = np.arange(documents) - np.searchsorted(family, family)
    # Applications without an abstract: families of their own, and further members of these families.
    alone = round(WITHOUT_ABSTRACT * documents / 2)
    families = with_text + alone
    family = np.concatenate([family, np.arange(with_text, families), rng.integers(0, with_text, alone)])
    member = np.concatenate([member, np.zeros(alone, dtype=np.int64), np.full(alone, len(FAMILY_SIZES))])

    order = rng.permutation(len(family))
    has_abstract = order < documents
    family, member = family[order], member[order]
    is_dummy = rng.random(len(order)) < np.where(has_abstract, *DUMMIES)
    identifier = chunk * IDS_A_CHUNK + np.sort(rng.choice(IDS_A_CHUNK, len(order), replace=False))
    identifier += np.where(is_dummy, FIRST_DUMMY, FIRST_APPLICATION)
    office, language = _offices(rng, family, member)
    return (
        _families(world, rng, with_text, families),
        _Applications(identifier, family, member, has_abstract, is_dummy, office, language),
    )


def _families(world: _World, rng: np.random.Generator, with_text: int, families: int) -> _Families:
    groups = [count for count in (with_text, families - with_text) if count]
    first = np.concatenate([_systematic(rng, world.shares, count) for count in groups])
    odds = world.affinity[first] + rng.gumbel(size=(families, len(world.shares)))
    others = min(len(CLASSES_A_FAMILY), len(world.shares) - 1)
    nearest = np.argpartition(-odds, others, axis=1)[:, :others]
    rank = np.argsort(-np.take_along_axis(odds, nearest, axis=1), axis=1)
    topics = np.column_stack([first, np.take_along_axis(nearest, rank, axis=1)])
    counts = np.concatenate([_systematic(rng, CLASSES_A_FAMILY, count) for count in groups]) + 1

    # Families that DOCDB should have joined: the abstract and the classes of another one, which is no copy itself.
    copies = min(with_text // 2, max(1, round(COPIED_ACROSS_FAMILIES * with_text)))
    drawn = rng.choice(with_text, 2 * copies, replace=False)
    text_of = np.arange(families)
    text_of[drawn[:copies]] = drawn[copies:]
    return _Families(topics[text_of], np.minimum(counts, topics.shape[1])[text_of], text_of)


def _systematic(rng: np.random.Generator, shares: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """int [count]: places in `shares`, each as often as its share says, to within one, in a random order.

    Independent draws would leave rare classes out of a small delivery.
    """
    points = (np.arange(count) + rng.random()) / count
    places = np.searchsorted(np.cumsum(shares), points, side="right")
    return rng.permutation(np.minimum(places, len(shares) - 1))  # the shares may sum to a rounding error below 1


def _offices(rng: np.random.Generator, family: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Office and language of each application: a family's members differ in office, but for those not in English."""
    weights = np.log(list(OFFICES.values()))
    preference = np.argsort(-(weights + rng.gumbel(size=(family.max() + 1, len(weights)))), axis=1)
    office = preference[family, member]
    language = np.where(rng.random(len(family)) < NON_ENGLISH, rng.integers(1, len(LANGUAGES) + 1, len(family)), 0)
    for number, (offices, _) in enumerate(LANGUAGES.values(), start=1):
        places = [ALL_OFFICES.index(name) for name in offices]
        office = np.where(language == number, rng.choice(places, len(family)), office)
    return office, language


def _write_texts(
    world: _World, rng: np.random.Generator, families: _Families, applications: _Applications
) -> tuple[_Text, _Text]:
    """The abstract and the title of every application; without an abstract it carries its family's all the same."""
    everyone = np.arange(len(families.topics))
    lexicon = _lexicon(world, rng, families)
    mean = MEAN_SENTENCES * np.exp(SENTENCES_SPREAD * (rng.standard_normal(len(everyone)) - SENTENCES_SPREAD / 2))
    sentences = np.clip(np.rint(mean).astype(np.int64), 0, MOST_SENTENCES)
    owner = np.repeat(everyone, sentences)
    # There are a prime number of sentences, so that a walk through them in steps of any length repeats none.
    count = len(world.bodies.lengths)
    start, step = rng.integers(count, size=len(everyone)), rng.integers(1, count, size=len(everyone))
    walk = (start[owner] + _within(sentences) * step[owner]) % count
    opening = _fill(world, rng, world.openings, everyone, _any_sentence(rng, world.openings, everyone), lexicon)
    body = _fill(world, rng, world.bodies, owner, walk, lexicon)
    heading = _fill(world, rng, world.headings, everyone, _any_sentence(rng, world.headings, everyone), lexicon)

    source = families.text_of[applications.family]
    abstracts = _side_by_side(opening, body, source)
    changed = (applications.member > 0) & (rng.random(len(source)) < CHANGED_MEMBERS)
    _change_words(world, rng, abstracts, np.repeat(changed, abstracts.lengths))
    headings = _side_by_side(heading, _Text(heading.tokens[:0], np.zeros_like(heading.lengths)), applications.family)
    for text in (abstracts, headings):
        language = np.repeat(applications.language, text.lengths)
        foreign = np.flatnonzero(language)
        word = rng.integers(0, FOREIGN_WORDS, len(foreign))
        text.tokens[foreign] = world.foreign + (language[foreign] - 1) * FOREIGN_WORDS + word
    return abstracts, headings


def _lexicon(world: _World, rng: np.random.Generator, families: _Families) -> tuple[np.ndarray, ...]:
    """The words that each family's abstract uses, for each kind int [families, words]."""
    in_play = len(world.sections)
    counts = families.counts[:, None]
    strength = 2 * rng.beta(STRENGTH, STRENGTH, size=counts.shape)
    shares = [FROM_CLASS * strength, FROM_SECTION * strength, np.full(counts.shape, FROM_OTHER_CLASS)]
    lexicon = []
    for kind, vocabulary in zip(KINDS, world.vocabularies, strict=True):
        shape = (len(counts), LEXICON[kind])
        own = np.take_along_axis(families.topics, (counts * rng.random(shape)).astype(np.int64), axis=1)
        other = np.minimum(np.searchsorted(np.cumsum(world.shares), rng.random(shape)), in_play - 1)
        draw = rng.random(shape)
        source = np.select(
            [draw < limit for limit in np.cumsum(shares, axis=0)],
            [own, in_play + world.sections[own], other],
            default=vocabulary.general,
        )
        words = vocabulary.draw(rng, source)
        repeated = np.tril(words[:, :, None] == words[:, None, :], k=-1).any(axis=2)
        words[repeated] = vocabulary.draw(rng, source[repeated])
        lexicon.append(words)
    return tuple(lexicon)


def _any_sentence(rng: np.random.Generator, templates: _Templates, owner: np.ndarray) -> np.ndarray:
    return rng.integers(len(templates.lengths), size=len(owner))


def _fill(
    world: _World,
    rng: np.random.Generator,
    templates: _Templates,
    owner: np.ndarray,
    template: np.ndarray,
    lexicon: Sequence[np.ndarray],
) -> _Text:
    """One text a family: the sentences `template` of the families `owner` (rising) with words of each one's lexicon."""
    lengths = templates.lengths[template]
    ordinal = _within(lengths)
    tokens = templates.codes[np.repeat(templates.starts[template], lengths) + ordinal]
    family = np.repeat(owner, lengths)
    # The slots of a sentence take neighbours in the lexicon, so that hardly a noun stands in it twice.
    neighbour = np.repeat(rng.integers(0, 1000, len(owner)), lengths) + ordinal
    slots = np.flatnonzero(tokens < 0)
    kind, form = np.divmod(~tokens[slots], len(FORMS))
    for number, words in enumerate(lexicon):
        here = slots[kind == number]
        word = words[family[here], neighbour[here] % words.shape[1]]
        tokens[here] = world.literals + word * len(FORMS) + form[kind == number]
    return _Text(tokens, np.bincount(family, minlength=len(lexicon[0])))


def _side_by_side(left: _Text, right: _Text, source: np.ndarray) -> _Text:
    """For each entry of `source` that text of `left`, followed by that text of `right`."""
    lengths = left.lengths[source] + right.lengths[source]
    text, within = np.repeat(source, lengths), _within(lengths)
    beyond = within - left.lengths[text]
    place = np.where(beyond < 0, left.starts[text] + within, len(left.tokens) + right.starts[text] + beyond)
    return _Text(np.concatenate([left.tokens, right.tokens])[place], lengths)


def _change_words(world: _World, rng: np.random.Generator, text: _Text, where: np.ndarray) -> None:
    """Put general words in place of a few of the words, where bool [tokens] allows it."""
    changed = np.flatnonzero(where & (text.tokens >= world.literals) & (rng.random(len(where)) < CHANGED_WORDS))
    word, form = np.divmod(text.tokens[changed] - world.literals, len(FORMS))
    for kind, vocabulary in enumerate(world.vocabularies):
        here = world.kinds[word] == kind
        replacement = vocabulary.draw(rng, np.full(int(here.sum()), vocabulary.general))
        text.tokens[changed[here]] = world.literals + replacement * len(FORMS) + form[here]


def _within(lengths: np.ndarray) -> np.ndarray:
    """0, 1, ... within each run of `lengths`, concatenated."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _application_lines(world: _World, rng: np.random.Generator, chunk: int, applications: _Applications) -> list[str]:
    """Rows of tls201_appln, led by the one that PATSTAT's references to no application point to."""
    identifier, family, member = applications.identifier, applications.family, applications.member
    count, families = len(family), family.max() + 1
    office = np.array(ALL_OFFICES)[applications.office]
    draw = rng.random(count)
    is_utility_model = np.isin(office, UTILITY_MODEL_OFFICES) & (draw < UTILITY_MODELS)
    is_design = ~np.isin(office, ("WO", "EP")) & (draw > 1 - DESIGNS)
    ipr_type = np.select([is_utility_model, is_design], ["UM", "DP"], default="PI")
    kind = np.select([is_utility_model, is_design, office == "WO"], ["U ", "S ", "W "], default="A ")
    kind[rng.random(count) < BLANK_KINDS] = "  "
    kind[applications.is_dummy] = rng.choice(["D ", "Q ", "D2"], int(applications.is_dummy.sum()))

    latest_wait = 400  # days from the first filing of a family to its last
    span = int((LAST_FILING - FIRST_DAY).astype(int)) - latest_wait
    earliest = (span * rng.random(families) ** 0.6).astype(np.int64)[family]
    filing = earliest + (member > 0) * rng.integers(30, latest_wait, count)
    publication = filing + rng.integers(540, 740, count)
    for days, share in zip((filing, earliest, publication), MISSING_DATES, strict=True):
        days[rng.random(count) < share] = -1  # the last of the dates is PATSTAT's missing one
    years = [date[:4] for date in world.dates]

    first_filing = np.zeros(families, dtype=np.int64)
    first_filing[family[member == 0]] = identifier[member == 0]
    docdb = FIRST_APPLICATION + chunk * IDS_A_CHUNK + np.arange(families)
    joins = rng.random(families) < JOINED_BY_INPADOC
    inpadoc = docdb[np.maximum.accumulate(np.where(joins, 0, np.arange(families)))]
    international = np.where(office == "WO", identifier, 0)
    publication_id = np.where(publication < 0, 0, identifier + 1)
    regional, national, granted = np.where(rng.random((3, count)) < 0.5, "Y", "N").tolist()
    has_original = rng.random(count) < 0.7
    citing, applicants, inventors = rng.integers(0, [[60], [5], [7]], (3, count)).tolist()
    columns = (
        identifier, office, kind, filing, has_original, ipr_type, international, earliest, first_filing[family],
        publication, publication_id, docdb[family], inpadoc[family], np.bincount(family)[family],
    )  # fmt: skip
    lines = []
    if chunk == 0:
        missing = '0,"  ","","D2",9999-12-31,9999,"","","PI","  ",0,"N","N","N",9999-12-31,9999,0,9999-12-31,9999,0,"N"'
        lines.append(f"{missing},0,0,0,0,0,0\r\n")
    for row, (
        own,
        auth,
        form,
        filed,
        named,
        right,
        pct,
        prior,
        first,
        issued,
        document,
        narrow,
        broad,
        size,
    ) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        original = f"{auth} {own}" if named else ""
        phase = "Y" if pct else "N"
        lines.append(
            f'{own},"{auth}","{own}","{form}",{world.dates[filed]},{years[filed]},"{auth}{own}","{original}","{right}",'
            f'"  ",{pct},"{phase}","{regional[row]}","{national[row]}",{world.dates[prior]},{years[prior]},{first},'
            f'{world.dates[issued]},{years[issued]},{document},"{granted[row]}",{narrow},{broad},{size},'
            f"{citing[row]},{applicants[row]},{inventors[row]}\r\n"
        )
    return lines


def _title_lines(world: _World, rng: np.random.Generator, applications: _Applications, headings: _Text) -> list[str]:
    """Rows of tls202_appln_title; some titles are in capitals, and some applications without an abstract have none."""
    has_title = applications.has_abstract | (rng.random(len(applications.family)) < 0.8)
    in_capitals = rng.random(len(has_title)) < 0.2
    lines = []
    for identifier, language, title, present, capitals in zip(
        applications.identifier.tolist(), applications.language.tolist(), headings.strings(world), has_title.tolist(),
        in_capitals.tolist(), strict=True,
    ):  # fmt: skip
        if present:
            title = title.upper() if capitals else title.capitalize() if language else title
            lines.append(f'{identifier},"{LANGUAGE_CODES[language]}",{_quoted(title)}\r\n')
    return lines


def _abstract_lines(
    world: _World, rng: np.random.Generator, applications: _Applications, abstracts: _Text
) -> list[str]:
    """Rows of tls203_appln_abstr, with line breaks, double spaces and empty phrases here and there."""
    lines = []
    for identifier, language, abstract, present, oddity in zip(
        applications.identifier.tolist(), applications.language.tolist(), abstracts.strings(world),
        applications.has_abstract.tolist(), rng.random(len(abstracts.lengths)).tolist(), strict=True,
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
        lines.append(f'{identifier},"{LANGUAGE_CODES[language]}",{_quoted(abstract)}\r\n')
    return lines


def _symbol_lines(
    world: _World, rng: np.random.Generator, families: _Families, applications: _Applications
) -> list[str]:
    """Rows of tls209_appln_ipc: one to four symbols of each class of an application, alike within a family."""
    family = applications.family
    count, most, in_play = len(family), families.topics.shape[1], len(world.sections)
    draw = rng.random(count)
    step = (draw < MEMBERS_DISAGREE).astype(np.int64) - (draw > 1 - MEMBERS_DISAGREE)
    classes = np.clip(families.counts[family] + step * (applications.member > 0), 1, most)
    symbols = np.minimum(rng.geometric(0.5, (count, most)), 4) * (np.arange(most) < classes[:, None])
    fate = rng.random(count)
    symbols[fate < WITHOUT_SYMBOLS + ONLY_ELSEWHERE] = 0
    elsewhere = (fate >= WITHOUT_SYMBOLS) & (fate < WITHOUT_SYMBOLS + ONLY_ELSEWHERE + ALSO_ELSEWHERE)

    # A cell is an application's class, the last of its cells the one outside the scheme; a cell has so many symbols.
    cell_symbols = np.column_stack([symbols, elsewhere]).ravel()
    cell_class = np.column_stack([families.topics[family], rng.integers(in_play, len(world.classes), count)]).ravel()
    cell_start = rng.integers(0, 1_000_000, (len(families.topics), most + 1))[family].ravel()
    cell = np.repeat(np.arange(len(cell_symbols)), cell_symbols)
    within = _within(cell_symbols)
    row, place, start = cell // (most + 1), cell_class[cell], cell_start[cell]
    subclass = place * len(SUBCLASSES) + (start + within) % world.subclasses[place]
    group = (start + 7 * within) % len(GROUPS)  # 7 apart: no two of a class share it
    subgroup = (start // len(GROUPS) + within) % len(SUBGROUPS)
    draws = rng.random((4, len(cell)))
    level = np.select([(draws[0] < 0.01) & (within == 0), draws[0] < 0.03], ["S", "C"], default="A")
    version = np.select([draws[1] < 0.8, draws[1] < 0.9], ["2006-01-01", "2013-01-01"], default="2018-01-01")
    value = np.select([draws[2] < 0.97, draws[2] < 0.995], ["I", "N"], default=" ")
    position = np.select([draws[3] < 0.01, np.diff(row, prepend=-1) != 0], [" ", "F"], default="L")

    columns = (
        applications.identifier[row], subclass, group, subgroup, level, version, value, position,
        np.array(ALL_OFFICES)[applications.office[row]],
    )  # fmt: skip
    subclasses = [f"{code}{letter}" for code in world.classes for letter in SUBCLASSES]
    lines = []
    for identifier, letters, main, sub, depth, issue, worth, rank, authority in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        symbol = subclasses[letters]
        if depth != "S":
            symbol += GROUPS[main] + (SUBGROUPS[sub] if depth == "A" else "00")
        lines.append(f'{identifier},"{symbol}","{depth}",{issue},"{worth}","{rank}","{authority}"\r\n')
    return lines
