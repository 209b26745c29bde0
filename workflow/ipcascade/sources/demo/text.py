"""Abstracts and titles of the demo delivery: English patent prose from sentence templates.

Each class has a vocabulary: the words of its official title and further technical words, most of which other classes
use as well; each section has words of its own; every abstract mixes those of its classes with general and misleading
ones. A classifier therefore finds signal but no certainty: the shares are set so that TF-IDF with a linear
support-vector machine, its thresholds untuned, reaches a micro-F1 of about .80 over sections and .60 over classes in a
delivery of 2400 abstracts. English words, in place of invented ones, let a pre-trained encoder use what it knows, and
are few tokens each. Abstracts in other languages are of invented words, as the workflow leaves them out.

Every piece of text is a token number, and a chunk of texts is one array of them, so that sentences are filled, joined
and changed for thousands of abstracts at once. A token is a literal of a template, such as "is coupled to", a word in
one of its forms, such as "an anvil,", or an invented word. The array becomes strings at the very end.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.sources.demo.families import LANGUAGES, Applications, Classes, Families
from ipcascade.sources.demo.files import TEXT

KINDS = ("noun", "adjective", "verb")

# Words: where the words of an abstract come from (the rest is general vocabulary), and how many each vocabulary has.
FROM_CLASS, FROM_SECTION, FROM_OTHER_CLASS = 0.63, 0.20, 0.12
STRENGTH = 5  # how alike abstracts are in the first two: some hardly show what they are about
LEXICON = {"noun": 10, "adjective": 5, "verb": 5}  # words of a kind in one abstract, hardly one of them twice
WORDS_PER_CLASS = {"noun": 4, "adjective": 2, "verb": 2}  # beside those of its title
WORDS_PER_SECTION = {"noun": 16, "adjective": 6, "verb": 6}
GENERAL_SHARE = 0.3  # of the word list
TITLE_FILLERS = frozenset(  # of three letters or more; shorter words never count
    "and the for than that not other otherwise provided thereof therefor therefrom their like such general without "
    "essentially covered classes using from with this section subject matter specially adapted based similar same out "
    "upon its also thereon human".split()
)
ADJECTIVE_ENDING = re.compile(r"(ic|ical|ous|able|ary|ural|ular|active|ative|ective|ulsive|atory|fugal|ed|borne|-\w+)$")

# Sentences.
MEAN_SENTENCES, SENTENCES_SPREAD, MOST_SENTENCES = 3.1, 0.6, 14  # after the first one; log-normal
CHANGED_MEMBERS = 0.45  # later family members of whose words a few are changed
CHANGED_WORDS = 0.06  # share of the words that are changed then
# How `{noun}`, `{a noun}`, `{A noun}` and `{q noun}` in a sentence are written.
PREFIXES = {"": "{}", "a": "{article} {}", "A": "{Article} {}", "q": '"{}"'}
MARKS = ("", ",", ".")
FORMS = tuple(prefix + mark for prefix in PREFIXES.values() for mark in MARKS)

# Other languages.
FOREIGN_WORDS = 300  # of each language
SYLLABLES = {
    "de": "ver ge schlu ung keit bräu ßel zwi mün rau tä fer brü sten",
    "fr": "eau ré tion dé quoi gné lier ç aux per vê mon cha ble",
    "es": "ción ña llo rue qui bar zón tad pe so gue mir ario",
    "pt": "ção nho lha ões qua ver ben tis rum dão pi ca",
    "ru": "при ство ние ель жу раз кой ван щий ло мя тор",
}


@dataclass(frozen=True)
class _Vocabulary:
    """The words of one kind, by who uses them.

    table: int [vocabularies, longest], word numbers; sizes: int [vocabularies]. The vocabularies are those of the
    classes in use, then those of the sections, then the general one.
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
class _Texts:
    """Texts, one after the other: tokens int [all of them], lengths int [texts].

    Templates have slots among their tokens: the numbers ~(kind * len(FORMS) + form), which are below 0.
    """

    tokens: np.ndarray
    lengths: np.ndarray

    def take(self, places: np.ndarray) -> "_Texts":
        """The texts at `places`, in that order, as a copy."""
        starts, lengths = np.cumsum(self.lengths) - self.lengths, self.lengths[places]
        return _Texts(self.tokens[np.repeat(starts[places], lengths) + _within(lengths)], lengths)

    def followed_by(self, other: "_Texts") -> "_Texts":
        """Each text with the text at the same place of `other` behind it."""
        both = _Texts(np.concatenate([self.tokens, other.tokens]), np.concatenate([self.lengths, other.lengths]))
        pairs = both.take(np.arange(len(both.lengths)).reshape(2, -1).T.ravel())
        return _Texts(pairs.tokens, self.lengths + other.lengths)


def _within(lengths: np.ndarray) -> np.ndarray:
    """0, 1, ... within each run of `lengths`, concatenated."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


@dataclass(frozen=True)
class Prose:
    """What writing needs; the same in every chunk.

    vocabularies: one per kind; kinds: of each word, its place in `KINDS`; tokens: text of the literals, then (from
    `first_word` on) of every word in every form, then (from `first_foreign` on) of the invented words by language.
    """

    classes: Classes
    vocabularies: tuple[_Vocabulary, ...]
    kinds: np.ndarray
    openings: _Texts
    bodies: _Texts
    headings: _Texts
    tokens: np.ndarray
    first_word: int
    first_foreign: int

    @classmethod
    def build(cls, seed: int, classes: Classes, tree: LabelTree) -> "Prose":
        """Give the words of the list to the classes in use and the labels above them, and read the sentences."""
        text = _read_text()
        words, vocabularies = _vocabularies(seed, text, classes.codes, tree)
        literals: dict[str, int] = {}
        openings, bodies, headings = (_parse(text[group], literals) for group in ("opening", "body", "heading"))
        tokens = [*literals, *_forms(words), *_foreign_words(seed)]
        return cls(
            classes, vocabularies, _kinds(vocabularies, len(words)), openings, bodies, headings,
            np.array(tokens, dtype=object), len(literals), len(literals) + len(words) * len(FORMS),
        )  # fmt: skip

    def write(
        self, rng: np.random.Generator, families: Families, applications: Applications
    ) -> tuple[list[str], list[str]]:
        """The abstract and the title of every application; one without an abstract has that of its family.

        Those not in English have neither capitals nor full stops.
        """
        everyone = np.arange(len(families.topics))
        lexicon = self._lexicon(rng, families)
        mean = MEAN_SENTENCES * np.exp(SENTENCES_SPREAD * (rng.standard_normal(len(everyone)) - SENTENCES_SPREAD / 2))
        sentences = np.clip(np.rint(mean).astype(np.int64), 0, MOST_SENTENCES)
        owner = np.repeat(everyone, sentences)
        # There are a prime number of sentences, so that a walk through them in steps of any length repeats none.
        count = len(self.bodies.lengths)
        start, step = rng.integers(count, size=len(everyone)), rng.integers(1, count, size=len(everyone))
        walk = (start[owner] + _within(sentences) * step[owner]) % count
        any_opening = rng.integers(len(self.openings.lengths), size=len(everyone))
        opening = self._fill(rng, self.openings.take(any_opening), everyone, lexicon)
        body = self._fill(rng, self.bodies.take(walk), owner, lexicon)
        any_heading = rng.integers(len(self.headings.lengths), size=len(everyone))
        heading = self._fill(rng, self.headings.take(any_heading), everyone, lexicon)

        abstracts = opening.followed_by(body).take(families.text_of[applications.family])
        changed = (applications.member > 0) & (rng.random(len(applications.member)) < CHANGED_MEMBERS)
        self._change_words(rng, abstracts, np.repeat(changed, abstracts.lengths))
        titles = heading.take(applications.family)
        for texts in (abstracts, titles):
            language = np.repeat(applications.language, texts.lengths)
            foreign = np.flatnonzero(language)
            word = rng.integers(0, FOREIGN_WORDS, len(foreign))
            texts.tokens[foreign] = self.first_foreign + (language[foreign] - 1) * FOREIGN_WORDS + word
        return self._strings(abstracts), self._strings(titles)

    def _lexicon(self, rng: np.random.Generator, families: Families) -> tuple[np.ndarray, ...]:
        """The words that each family's abstract uses, for each kind int [families, words]."""
        in_use = len(self.classes.codes)
        counts = families.counts[:, None]
        strength = 2 * rng.beta(STRENGTH, STRENGTH, size=counts.shape)
        shares = [FROM_CLASS * strength, FROM_SECTION * strength, np.full(counts.shape, FROM_OTHER_CLASS)]
        lexicon = []
        for kind, vocabulary in zip(KINDS, self.vocabularies, strict=True):
            shape = (len(counts), LEXICON[kind])
            own = np.take_along_axis(families.topics, (counts * rng.random(shape)).astype(np.int64), axis=1)
            other = np.minimum(np.searchsorted(np.cumsum(self.classes.shares), rng.random(shape)), in_use - 1)
            draw = rng.random(shape)
            source = np.select(
                [draw < limit for limit in np.cumsum(shares, axis=0)],
                [own, in_use + self.classes.sections[own], other],
                default=vocabulary.general,
            )
            words = vocabulary.draw(rng, source)
            repeated = np.tril(words[:, :, None] == words[:, None, :], k=-1).any(axis=2)
            words[repeated] = vocabulary.draw(rng, source[repeated])
            lexicon.append(words)
        return tuple(lexicon)

    def _fill(
        self, rng: np.random.Generator, sentences: _Texts, owner: np.ndarray, lexicon: Sequence[np.ndarray]
    ) -> _Texts:
        """One text per family: the sentences, of the families `owner` (ascending), with words of each one's lexicon."""
        tokens = sentences.tokens.copy()
        family = np.repeat(owner, sentences.lengths)
        # The slots of a sentence take neighbours in the lexicon, so that hardly a noun is in it twice.
        start = rng.integers(0, 1000, len(owner))
        neighbour = np.repeat(start, sentences.lengths) + _within(sentences.lengths)
        slots = np.flatnonzero(tokens < 0)
        kind, form = np.divmod(~tokens[slots], len(FORMS))
        for number, words in enumerate(lexicon):
            here = slots[kind == number]
            word = words[family[here], neighbour[here] % words.shape[1]]
            tokens[here] = self.first_word + word * len(FORMS) + form[kind == number]
        return _Texts(tokens, np.bincount(family, minlength=len(lexicon[0])))

    def _change_words(self, rng: np.random.Generator, texts: _Texts, where: np.ndarray) -> None:
        """Put general words in place of a few of the words, where bool [tokens] allows it."""
        changed = np.flatnonzero(where & (texts.tokens >= self.first_word) & (rng.random(len(where)) < CHANGED_WORDS))
        word, form = np.divmod(texts.tokens[changed] - self.first_word, len(FORMS))
        for kind, vocabulary in enumerate(self.vocabularies):
            here = self.kinds[word] == kind
            replacement = vocabulary.draw(rng, np.full(int(here.sum()), vocabulary.general))
            texts.tokens[changed[here]] = self.first_word + replacement * len(FORMS) + form[here]

    def _strings(self, texts: _Texts) -> list[str]:
        tokens = iter(self.tokens[texts.tokens].tolist())
        return [" ".join(islice(tokens, length)) for length in texts.lengths.tolist()]


def _read_text() -> dict[str, list[str]]:
    """The words of each kind, and the sentences of each place."""
    text: dict[str, list[str]] = {}
    with TEXT.open(encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            entries = record["text"].split() if record["kind"] in KINDS else [record["text"]]
            text.setdefault(record["kind"], []).extend(entries)
    return text


def _vocabularies(
    seed: int, listed: Mapping[str, Sequence[str]], codes: Sequence[str], tree: LabelTree
) -> tuple[list[str], tuple[_Vocabulary, ...]]:
    """All words, and which label uses which: words of the list, and those of its title."""
    sections = tree.codes(tree.levels[0])
    numbers: dict[str, int] = {}
    rng = stream(seed, "demo", "vocabulary")
    vocabularies = []
    for kind in KINDS:
        pool = rng.permutation(listed[kind]).tolist()
        count = int(GENERAL_SHARE * len(pool))
        general, pool = pool[:count], pool[count:]
        count = WORDS_PER_SECTION[kind]
        of_section = [pool[number * count : (number + 1) * count] for number in range(len(sections))]
        pool = pool[len(sections) * count :]
        owners = [(code, rng.choice(pool, WORDS_PER_CLASS[kind], replace=False).tolist()) for code in codes]
        owners += zip(sections, of_section, strict=True)
        lists = []
        for code, words in owners:
            own = _title_words(tree.titles[tree.index[code]], listed["adjective"])[kind]
            lists.append(rng.permutation(list(dict.fromkeys(own + words))).tolist())
        lists.append(general)
        table = np.zeros((len(lists), max(map(len, lists))), dtype=np.int64)
        for row, words in enumerate(lists):
            table[row, : len(words)] = [numbers.setdefault(word, len(numbers)) for word in words]
        vocabularies.append(_Vocabulary(table, np.array([len(words) for words in lists])))
    return list(numbers), tuple(vocabularies)


def _title_words(title: str, adjectives: Sequence[str]) -> dict[str, list[str]]:
    """The words of a title by kind, nouns in the singular as far as a rule can form it."""
    words: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for word in re.findall(r"[a-z]+(?:-[a-z]+)*", re.sub(r"\[.*?\]", "", title.lower())):
        if len(word) < 3 or word in TITLE_FILLERS:
            continue
        if word.endswith("ing") and len(word) > 5:
            words["verb"].append(word)
        elif word in adjectives or ADJECTIVE_ENDING.search(word):
            words["adjective"].append(word)
        else:
            word = re.sub(r"ies$", "y", word)
            word = re.sub(r"(?<=ss|sh|ch|as)es$|(?<=x)es$", "", word)
            words["noun"].append(word if re.search(r"(ss|us|is|ics|gas)$", word) else word.removesuffix("s"))
    return words


def _kinds(vocabularies: Sequence[_Vocabulary], words: int) -> np.ndarray:
    """int [words]: the kind of each word, the first where it is of several."""
    kinds = np.zeros(words, dtype=np.int64)
    for kind, vocabulary in reversed(list(enumerate(vocabularies))):
        for row, size in enumerate(vocabulary.sizes):
            kinds[vocabulary.table[row, :size]] = kind
    return kinds


def _parse(sentences: Iterable[str], literals: dict[str, int]) -> _Texts:
    """Sentences as templates; adds their literals to `literals`."""
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
    return _Texts(np.array(codes), np.array(lengths))


def _forms(words: Iterable[str]) -> Iterator[str]:
    """Every word in every one of `FORMS`."""
    for word in words:
        article = "an" if re.match("[aeio]|u(?!ni)", word) else "a"
        for form in FORMS:
            yield form.format(word, article=article, Article=article.capitalize())


def _foreign_words(seed: int) -> Iterator[str]:
    """Invented words, `FOREIGN_WORDS` of each language."""
    rng = stream(seed, "demo", "languages")
    for language in LANGUAGES[1:]:
        for _ in range(FOREIGN_WORDS):
            yield "".join(rng.choice(SYLLABLES[language].split(), rng.integers(1, 4)))
