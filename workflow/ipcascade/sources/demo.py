"""A made-up PATSTAT delivery: the whole workflow runs, and is measured, without a licence or a download.

Nothing in it is a real patent. Its layout is that of a PATSTAT Global delivery since 2025, oddities included, so that
it goes through the same reader, filters and family rules as a real one: dummy applications, utility models, blank
kinds, missing dates, symbols outside the scheme, abstracts in other languages, quotes and line breaks inside them,
family members with the same or nearly the same abstract, and duplicates that the family ids miss.

The text is English patent prose from sentence templates. Each class has a vocabulary: the words of its official title
and further technical words, most of which other classes use as well; each section has words of its own; every abstract
mixes those of its classes with general and misleading ones. A classifier therefore finds signal but no certainty: the
shares are set so that TF-IDF with a linear support-vector machine reaches a micro-F1 of about .80 over sections and
.60 over classes in a delivery of 2400 abstracts. English words, in place of invented ones, let a pre-trained encoder
use what it knows, and keep its tokens few. Scores on this text say that the machinery works, nothing about patents.

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
STUBS, LINE_BREAKS, DOUBLE_SPACES = 0.004, 0.015, 0.01  # English abstracts that say nothing, or are badly set
FIRST_APPLICATION, FIRST_DUMMY = 1_000_000, 900_000_001
IDS_A_CHUNK = 4 * CHUNK  # room for some 200 million abstracts below the dummy applications
OFFICES = {"CN": 24, "US": 20, "EP": 13, "WO": 13, "JP": 12, "KR": 8, "DE": 3, "GB": 3, "CA": 2, "AU": 2}
UTILITY_MODEL_OFFICES = ("CN", "JP", "KR", "DE")
FIRST_DAY, LAST_FILING, LAST_DAY = (np.datetime64(day) for day in ("1990-01-01", "2023-12-31", "2026-12-31"))

# Labels.
CLASSES_A_FAMILY = (0.67, 0.262, 0.058, 0.01)  # shares of families with 1, 2, 3, 4 classes
MEMBERS_DISAGREE = 0.08  # later family members with a class more, and as many with a class less
MINIMUM_FAMILIES = 4  # a class for which fewer are to be expected is left out: no split could hold it
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
FROM_CLASS, FROM_SECTION, FROM_OTHER_CLASS = 0.72, 0.20, 0.06
STRENGTH = 8  # how alike abstracts are in the first two: below infinity, some hardly say what they are about
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
    rows = dict.fromkeys(PARTS, 0)
    with ExitStack() as files:
        temporary = {name: files.enter_context(written_whole(folder / name)) for name in reversed(DELIVERY_FILES)}
        try:
            with ExitStack() as archives, Progress("demo delivery", documents, "documents") as progress:
                members = {}
                for table, parts in PARTS.items():
                    for part in range(1, parts + 1):
                        name = f"{table}_part{part:02d}"
                        archive = zipfile.ZipFile(
                            temporary[f"{name}.zip"], "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION
                        )
                        archives.enter_context(archive)
                        # A member opened by its name is dated 1980-01-01, whatever the clock says.
                        member = archives.enter_context(archive.open(f"{name}.csv", "w", force_zip64=True))
                        member.write(f"{HEADERS[table]}\r\n".encode())
                        members[table, part] = member
                for chunk, start in enumerate(range(0, documents, CHUNK)):
                    size = min(CHUNK, documents - start)
                    for table, lines in _chunk(world, stream(seed, "demo", "chunk", chunk), chunk, size).items():
                        rows[table] += len(lines)
                        half = -(-len(lines) // PARTS[table])
                        for part in range(1, PARTS[table] + 1):
                            text = "".join(lines[(part - 1) * half : part * half])
                            members[table, part].write(text.encode())
                    progress.advance(size)
            counts = "".join(f"{table} count: {count}\r\n" for table, count in rows.items())
            temporary[ROW_COUNTS].write_bytes(counts.encode("utf-8-sig"))
        except OSError as error:
            raise UserError(f"{folder}: the demo delivery could not be written: {error.strerror or error}") from error
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# What all chunks share: the classes with their shares and affinities, the vocabularies, the sentences.


@dataclass(frozen=True)
class _Vocabulary:
    """The words of one kind, by who uses them.

    table: int [vocabularies, longest], word numbers; sizes: int [vocabularies]. Vocabularies are those of the classes in
    play, then those of the sections, then the general one.
    """

    table: np.ndarray
    sizes: np.ndarray

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
    further class (column) beside the first one (row); vocabularies: one a kind; kinds: of each word, its place in `KINDS`; tokens: text of the literals, then of
    every word in every form, then the made-up words a language.
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
            kinds=_kinds(vocabularies, len(words)), tokens=np.array(tokens, dtype=object), foreign=len(tokens) - FOREIGN_WORDS * len(LANGUAGES),
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
    weights = (np.arange(classes) + 14.0) ** -2.5
    return 0.3 / classes + 0.7 * weights / weights.sum()


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
        article = "an" if word[0] in "aeiou" else "a"
        for form in FORMS:
            yield form.format(word, article=article, Article=article.capitalize())


def _foreign_words(seed: int) -> Iterator[str]:
    rng = stream(seed, "demo", "languages")
    for _, syllables in LANGUAGES.values():
        for _ in range(FOREIGN_WORDS):
            yield "".join(rng.choice(syllables.split(), rng.integers(1, 4)))


# ---------------------------------------------------------------------------------------------------------------------
# One chunk: families, then their text, then the applications and their rows.


def _chunk(world: _World, rng: np.random.Generator, chunk: int, documents: int) -> dict[str, list[str]]:
    """The CSV lines of every table for one chunk with exactly `documents` abstracts."""
    sizes = rng.choice(len(FAMILY_SIZES), documents, p=FAMILY_SIZES) + 1
    with_text = int(np.searchsorted(np.cumsum(sizes), documents)) + 1
    family = np.repeat(np.arange(with_text), sizes[:with_text])[:documents]
    # Applications without an abstract: half of them members of these families, half families of their own.
    further = round(WITHOUT_ABSTRACT * documents)
    families = with_text + further // 2
    family = np.concatenate(
        [family, np.arange(with_text, families), rng.integers(0, with_text, further - further // 2)]
    )
    member = np.concatenate([np.arange(documents) - np.searchsorted(family[:documents], family[:documents]),
                             np.zeros(further // 2, dtype=np.int64),
                             np.full(further - further // 2, len(FAMILY_SIZES))])  # fmt: skip
    topics, topic_counts = _topics(world, rng, with_text, families)
    copies = _copies(rng, with_text)
    text_of = np.arange(families)
    text_of[copies[0]] = copies[1]
    topics, topic_counts = topics[text_of], topic_counts[text_of]

    order = rng.permutation(len(family))
    has_abstract = order < documents
    family, member = family[order], member[order]
    dummy = rng.random(len(family)) < np.where(has_abstract, 0.003, 0.15)
    identifier = chunk * IDS_A_CHUNK + np.sort(rng.choice(IDS_A_CHUNK, len(family), replace=False))
    identifier += np.where(dummy, FIRST_DUMMY, FIRST_APPLICATION)

    office, language = _offices(rng, family, member, families, has_abstract)
    text, headings = _texts(world, rng, topics, topic_counts, text_of, family, member)
    ids = identifier.tolist()
    names = np.array(["en", *LANGUAGES])[language].tolist()
    abstracts = _abstracts(world, rng, text, np.flatnonzero(has_abstract), language)
    titles = _titles(world, rng, headings, family, language)
    titled = (has_abstract | (rng.random(len(family)) < 0.8)).tolist()
    applications = _application_lines(world, rng, chunk, identifier, family, member, office, dummy, families)
    if chunk == 0:
        applications.insert(0, _missing_application())
    return {
        "tls201_appln": applications,
        "tls202_appln_title": [
            f'{ids[row]},"{names[row]}",{_quoted(titles[row])}\r\n' for row in range(len(ids)) if titled[row]
        ],
        "tls203_appln_abstr": [f'{ids[row]},"{names[row]}",{_quoted(text)}\r\n' for row, text in abstracts],
        "tls209_appln_ipc": _symbol_lines(world, rng, ids, family, member, topics, topic_counts, office),
    }


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _within(lengths: np.ndarray) -> np.ndarray:
    """0, 1, ... within each run of `lengths`, concatenated."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _topics(world: _World, rng: np.random.Generator, with_text: int, families: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes of each family in falling order of weight, int [families, <= 5], and how many of them it has.

    The one beyond is what a member that disagrees adds.
    """
    groups = [count for count in (with_text, families - with_text) if count]
    first = np.concatenate([_systematic(rng, world.shares, count) for count in groups])
    odds = world.affinity[first] + rng.gumbel(size=(families, len(world.shares)))
    others = min(len(CLASSES_A_FAMILY), len(world.shares) - 1)
    nearest = np.argpartition(-odds, min(others, odds.shape[1] - 1), axis=1)[:, :others]
    rank = np.argsort(-np.take_along_axis(odds, nearest, axis=1), axis=1)
    topics = np.column_stack([first, np.take_along_axis(nearest, rank, axis=1)])
    counts = np.concatenate([_systematic(rng, CLASSES_A_FAMILY, count) for count in groups]) + 1
    return topics, np.minimum(counts, topics.shape[1])


def _systematic(rng: np.random.Generator, shares: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """int [count]: places in `shares`, each as often as its share says, to within one, in a random order."""
    points = (np.arange(count) + rng.random()) / count
    places = np.searchsorted(np.cumsum(shares), points, side="right")
    return rng.permutation(np.minimum(places, len(shares) - 1))  # the shares may sum to a rounding error below 1


def _copies(rng: np.random.Generator, families: int) -> tuple[np.ndarray, np.ndarray]:
    """Families whose abstract is another one's, and those others, of which none is a copy."""
    count = min(families // 2, max(1, round(COPIED_ACROSS_FAMILIES * families)))
    drawn = rng.choice(families, 2 * count, replace=False)
    return drawn[:count], drawn[count:]


def _offices(
    rng: np.random.Generator, family: np.ndarray, member: np.ndarray, families: int, has_abstract: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Place of each application's office in `ALL_OFFICES`, and its language: 0 for English, then as in `LANGUAGES`.

    The members of a family are filed at different offices, but for those in another language.
    """
    weights = np.log(list(OFFICES.values()))
    preference = np.argsort(-(weights + rng.gumbel(size=(families, len(weights)))), axis=1)
    office = preference[family, member]
    language = np.where(rng.random(len(family)) < NON_ENGLISH, rng.integers(1, len(LANGUAGES) + 1, len(family)), 0)
    for number, (offices, _) in enumerate(LANGUAGES.values(), start=1):
        places = np.array([ALL_OFFICES.index(name) for name in offices])
        office = np.where(language == number, rng.choice(places, len(family)), office)
    return office, language


@dataclass(frozen=True)
class _Text:
    """Texts as token numbers, one text after the other: tokens int [all of them], lengths int [texts]."""

    tokens: np.ndarray
    lengths: np.ndarray


def _texts(
    world: _World,
    rng: np.random.Generator,
    topics: np.ndarray,
    topic_counts: np.ndarray,
    text_of: np.ndarray,
    family: np.ndarray,
    member: np.ndarray,
) -> tuple[_Text, _Text]:
    """The abstract of every application, and the title of every family."""
    families = len(topics)
    lexicon = _lexicon(world, rng, topics, topic_counts)
    spread = MEAN_SENTENCES * np.exp(SENTENCES_SPREAD * (rng.standard_normal(families) - SENTENCES_SPREAD / 2))
    bodies = np.clip(np.rint(spread).astype(np.int64), 0, MOST_SENTENCES)
    # There are a prime number of sentences, so that a walk through them in steps of any length repeats none.
    count = len(world.bodies.lengths)
    walk = rng.integers(count, size=families), rng.integers(1, count, size=families)
    owner = np.repeat(np.arange(families), bodies)
    opening = _fill(
        world,
        rng,
        world.openings,
        np.arange(families),
        rng.integers(len(world.openings.lengths), size=families),
        lexicon,
    )
    body = _fill(world, rng, world.bodies, owner, (walk[0][owner] + _within(bodies) * walk[1][owner]) % count, lexicon)
    heading = _fill(
        world,
        rng,
        world.headings,
        np.arange(families),
        rng.integers(len(world.headings.lengths), size=families),
        lexicon,
    )

    # Each application takes its family's opening and body sentences.
    source = text_of[family]
    lengths = opening.lengths[source] + body.lengths[source]
    within = _within(lengths)
    of = np.repeat(source, lengths)
    first = opening.lengths[of]
    starts = [np.cumsum(part.lengths) - part.lengths for part in (opening, body)]
    everything = np.concatenate([opening.tokens, body.tokens])
    place = np.where(within < first, starts[0][of] + within, len(opening.tokens) + starts[1][of] + within - first)
    tokens = everything[place]

    changed = (member > 0) & (rng.random(len(family)) < CHANGED_MEMBERS)
    return _Text(_change_words(world, rng, tokens, np.repeat(changed, lengths)), lengths), heading


def _lexicon(
    world: _World, rng: np.random.Generator, topics: np.ndarray, topic_counts: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The words that each family's abstract uses, for each kind int [families, different words]."""
    families, in_play = len(topics), len(world.sections)
    strength = 2 * rng.beta(STRENGTH, STRENGTH, size=(families, 1))
    words = []
    for kind, vocabulary in zip(KINDS, world.vocabularies, strict=True):
        shape = (families, LEXICON[kind])
        topic = (topic_counts[:, None] * rng.random(shape)).astype(np.int64)
        own = np.take_along_axis(topics, topic, axis=1)
        other = np.minimum(np.searchsorted(np.cumsum(world.shares), rng.random(shape)), in_play - 1)
        limits = np.cumsum(
            [FROM_CLASS * strength, FROM_SECTION * strength, np.full((families, 1), FROM_OTHER_CLASS)], axis=0
        )
        draw = rng.random(shape)
        conditions = [draw < limit for limit in limits]
        source = np.select(conditions, [own, in_play + world.sections[own], other], default=len(vocabulary.sizes) - 1)
        drawn = vocabulary.draw(rng, source)
        repeated = np.tril(drawn[:, :, None] == drawn[:, None, :], k=-1).any(axis=2)
        drawn[repeated] = vocabulary.draw(rng, source[repeated])
        words.append(drawn)
    return tuple(words)


def _fill(
    world: _World,
    rng: np.random.Generator,
    templates: _Templates,
    owner: np.ndarray,
    template: np.ndarray,
    lexicon: Sequence[np.ndarray],
) -> _Text:
    """The sentences `template` of the families `owner` (rising) with words from each family's lexicon."""
    lengths = templates.lengths[template]
    ordinal = _within(lengths)
    tokens = templates.codes[np.repeat(templates.starts[template], lengths) + ordinal]
    family = np.repeat(owner, lengths)
    # The slots of a sentence take neighbours in the lexicon, so that no noun stands in it twice.
    neighbour = np.repeat(rng.integers(0, 1000, len(owner)), lengths) + ordinal
    slots = np.flatnonzero(tokens < 0)
    kind, form = np.divmod(~tokens[slots], len(FORMS))
    for number, words in enumerate(lexicon):
        here = slots[kind == number]
        word = words[family[here], neighbour[here] % words.shape[1]]
        tokens[here] = world.literals + word * len(FORMS) + form[kind == number]
    return _Text(tokens, np.bincount(owner, weights=lengths, minlength=len(lexicon[0])).astype(np.int64))


def _change_words(world: _World, rng: np.random.Generator, tokens: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The tokens with a few words in place of others of their kind, where bool [tokens] allows it."""
    changed = np.flatnonzero(where & (tokens >= world.literals) & (rng.random(len(tokens)) < CHANGED_WORDS))
    word, form = np.divmod(tokens[changed] - world.literals, len(FORMS))
    for kind, vocabulary in enumerate(world.vocabularies):
        here = world.kinds[word] == kind
        general = np.full(int(here.sum()), len(vocabulary.sizes) - 1)
        tokens[changed[here]] = world.literals + vocabulary.draw(rng, general) * len(FORMS) + form[here]
    return tokens


def _foreign(world: _World, rng: np.random.Generator, language: np.ndarray) -> np.ndarray:
    """A token of each of these languages."""
    return world.foreign + (language - 1) * FOREIGN_WORDS + rng.integers(0, FOREIGN_WORDS, len(language))


def _abstracts(
    world: _World, rng: np.random.Generator, text: _Text, rows: np.ndarray, language: np.ndarray
) -> list[tuple[int, str]]:
    """Row and abstract of each of the applications `rows`."""
    languages = np.repeat(language, text.lengths)
    elsewhere = languages > 0
    text.tokens[elsewhere] = _foreign(world, rng, languages[elsewhere])
    tokens = world.tokens[text.tokens].tolist()
    ends = np.cumsum(text.lengths)
    abstracts = []
    for row, start, end, foreign, oddity in zip(
        rows.tolist(), (ends - text.lengths)[rows].tolist(), ends[rows].tolist(), (language[rows] > 0).tolist(),
        rng.random(len(rows)).tolist(), strict=True,
    ):  # fmt: skip
        abstract = " ".join(tokens[start:end])
        if foreign:
            abstract = f"{abstract.capitalize()}."
        elif oddity < STUBS:
            abstract = STUB
        elif oddity < STUBS + LINE_BREAKS:
            abstract = abstract.replace(". ", ".\n")
        elif oddity < STUBS + LINE_BREAKS + DOUBLE_SPACES:
            abstract = abstract.replace(", ", ",  ")
        abstracts.append((row, abstract))
    return abstracts


def _titles(
    world: _World, rng: np.random.Generator, headings: _Text, family: np.ndarray, language: np.ndarray
) -> list[str]:
    """The title of every application: its family's, some in capitals, or one in its own language."""
    tokens = world.tokens[headings.tokens].tolist()
    ends = np.cumsum(headings.lengths)
    english = [" ".join(tokens[s:e]) for s, e in zip((ends - headings.lengths).tolist(), ends.tolist(), strict=True)]
    titles = [english[number] for number in family.tolist()]
    for row in np.flatnonzero(rng.random(len(family)) < 0.2).tolist():
        titles[row] = titles[row].upper()
    others = np.flatnonzero(language > 0)
    words = world.tokens[_foreign(world, rng, np.repeat(language[others], 5))].reshape(-1, 5).tolist()
    for row, title in zip(others.tolist(), words, strict=True):
        titles[row] = " ".join(title).capitalize()
    return titles


def _application_lines(
    world: _World,
    rng: np.random.Generator,
    chunk: int,
    identifier: np.ndarray,
    family: np.ndarray,
    member: np.ndarray,
    office: np.ndarray,
    dummy: np.ndarray,
    families: int,
) -> list[str]:
    """Rows of tls201_appln."""
    count = len(family)
    offices = np.array(ALL_OFFICES)[office]
    right = rng.random(count)
    utility = np.isin(offices, UTILITY_MODEL_OFFICES) & (right < 0.065)
    design = ~utility & ~np.isin(offices, ("WO", "EP")) & (right > 0.98)
    ipr_type = np.select([utility, design], ["UM", "DP"], default="PI")
    kind = np.select([utility, design, offices == "WO"], ["U ", "S ", "W "], default="A ")
    kind[rng.random(count) < 0.004] = "  "
    kind[dummy] = rng.choice(["D ", "Q ", "D2"], int(dummy.sum()))

    latest_wait = 400
    span = int((LAST_FILING - FIRST_DAY).astype(int)) - latest_wait
    priority = (span * rng.random(families) ** 0.6).astype(np.int64)[family]
    filing = priority + (member > 0) * rng.integers(30, latest_wait, count)
    publication = filing + rng.integers(540, 740, count)
    years = [date[:4] for date in world.dates]
    for days, share in ((filing, 0.02), (publication, 0.03), (priority, 0.01)):
        days[rng.random(count) < share] = -1  # the last of the dates: PATSTAT's missing one

    first_application = np.zeros(families, dtype=np.int64)
    first_application[family[member == 0]] = identifier[member == 0]
    docdb = FIRST_APPLICATION + chunk * IDS_A_CHUNK + np.arange(families)
    joins = rng.random(families) < 0.1
    joins[0] = False
    inpadoc = docdb[np.maximum.accumulate(np.where(joins, 0, np.arange(families)))]
    publication_id = np.where(publication < 0, 0, identifier + 1)
    international = np.where(offices == "WO", identifier, 0)
    flags = np.where(rng.random((4, count)) < 0.5, "Y", "N")
    numbers = rng.integers(0, [[60], [5], [7]], (3, count))
    has_original = rng.random(count) < 0.7
    return [
        f'{i},"{auth}","{i % 10_000_000}","{kind_}",{world.dates[filed]},{years[filed]},"{auth}{i}",'
        f'"{f"{auth} {i}" if original else ""}","{ipr}","  ",{pct},"{"Y" if pct else "N"}","{reg}","{nat}",'
        f'{world.dates[prior]},{years[prior]},{first},{world.dates[publn]},{years[publn]},{publn_id},"{granted}",'
        f'{docdb_},{inpadoc_},{size},{citing},{applicants},{inventors}\r\n'
        for i, auth, kind_, filed, original, ipr, pct, reg, nat, prior, first, publn, publn_id, granted, docdb_, inpadoc_,
        size, citing, applicants, inventors in zip(
            *(column.tolist() for column in (
                identifier, offices, kind, filing, has_original, ipr_type, international, flags[0], flags[1], priority,
                first_application[family], publication, publication_id, flags[2], docdb[family], inpadoc[family],
                np.bincount(family)[family], *numbers,
            )), strict=True,
        )
    ]  # fmt: skip


def _missing_application() -> str:
    """The row that PATSTAT's references to no application point to."""
    return (
        '0,"  ","","D2",9999-12-31,9999,"","","PI","  ",0,"N","N","N",9999-12-31,9999,0,9999-12-31,9999,0,"N",0,0,0,0,0,0'
        "\r\n"
    )


def _symbol_lines(
    world: _World,
    rng: np.random.Generator,
    ids: list[int],
    family: np.ndarray,
    member: np.ndarray,
    topics: np.ndarray,
    topic_counts: np.ndarray,
    office: np.ndarray,
) -> list[str]:
    """Rows of tls209_appln_ipc: one to four symbols of each class of an application, the same ones within a family."""
    count, most = len(family), topics.shape[1]
    disagrees = rng.random(count)
    step = (disagrees < MEMBERS_DISAGREE).astype(np.int64) - (disagrees > 1 - MEMBERS_DISAGREE)
    classes_here = np.clip(topic_counts[family] + step * (member > 0), 1, most)
    symbols = np.minimum(rng.geometric(0.5, (count, most)), 4) * (np.arange(most) < classes_here[:, None])
    fate = rng.random((count, 1))
    symbols[fate[:, 0] < WITHOUT_SYMBOLS + ONLY_ELSEWHERE] = 0
    elsewhere = (fate >= WITHOUT_SYMBOLS) & (fate < WITHOUT_SYMBOLS + ONLY_ELSEWHERE + ALSO_ELSEWHERE)
    in_play = len(world.sections)
    classes = np.column_stack([topics[family], rng.integers(in_play, len(world.classes), count)])
    cells = np.column_stack([symbols, elsewhere]).ravel()
    seeds = rng.integers(0, 1_000_000, (len(topics), most + 1))[family].ravel()

    cell = np.repeat(np.arange(len(cells)), cells)
    within = _within(cells)
    row = cell // (most + 1)
    place = classes.ravel()[cell]
    letter = (seeds[cell] + within) % world.subclasses[place]
    group = (seeds[cell] + 7 * within) % len(GROUPS)  # 7 steps apart: no two symbols of an application are the same
    subgroup = (seeds[cell] // 97 + within) % len(SUBGROUPS)
    draw = rng.random((4, len(cell)))
    level = np.select([(draw[0] < 0.01) & (within == 0), draw[0] < 0.03], [2, 1], default=0)
    value = np.select([draw[1] < 0.97, draw[1] < 0.995], ["I", "N"], default=" ")
    is_first = np.diff(row, prepend=-1) != 0
    position = np.select([draw[2] < 0.01, is_first], [" ", "F"], default="L")
    version = np.select([draw[3] < 0.8, draw[3] < 0.9], ["2006-01-01", "2013-01-01"], default="2018-01-01")
    subclasses = [f"{code}{letter}" for code in world.classes for letter in SUBCLASSES]
    lines = []
    for i, subclass, main, sub, depth, issue, worth, rank, auth in zip(
        np.array(ids)[row].tolist(), (place * len(SUBCLASSES) + letter).tolist(), group.tolist(), subgroup.tolist(),
        level.tolist(), version.tolist(), value.tolist(), position.tolist(), np.array(ALL_OFFICES)[office[row]].tolist(),
        strict=True,
    ):  # fmt: skip
        if depth == 0:
            symbol = f"{subclasses[subclass]}{GROUPS[main]}{SUBGROUPS[sub]}"
        else:
            symbol = f"{subclasses[subclass]}{GROUPS[main]}00" if depth == 1 else subclasses[subclass]
        lines.append(f'{i},"{symbol}","{"ACS"[depth]}",{issue},"{worth}","{rank}","{auth}"\r\n')
    return lines
