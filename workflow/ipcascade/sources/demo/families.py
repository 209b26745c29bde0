"""Families and applications of the demo delivery: their classes, members, offices and languages, before any text.

This part is a module of its own because the text and the rows both follow from it: the words of an abstract from the
classes of its family, the symbols of an application from the same ones. It draws whole chunks as arrays, with no loop
over families, and it draws shares in proportion, not independently, so that a small delivery still has every class in
use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream

# Families and applications.
FAMILY_SIZES = (0.80, 0.13, 0.05, 0.02)  # shares of families with 1, 2, 3, 4 abstracts
MEAN_FAMILY = sum(size * share for size, share in enumerate(FAMILY_SIZES, start=1))
WITHOUT_ABSTRACT = 0.07  # applications without an abstract, per application with one
COPIED_ACROSS_FAMILIES = 0.015  # families with another family's abstract
DUMMIES = (0.003, 0.15)  # share of dummy applications among those with an abstract, and among those without
FIRST_APPLICATION, FIRST_DUMMY = 1_000_000, 900_000_001
OFFICES = {"CN": 24, "US": 20, "EP": 13, "WO": 13, "JP": 12, "KR": 8, "DE": 3, "GB": 3, "CA": 2, "AU": 2}  # weights
NON_ENGLISH = 0.08
LANGUAGE_OFFICES = {  # where abstracts in other languages than English come from
    "de": ("DE", "AT"),
    "fr": ("FR", "BE"),
    "es": ("ES", "MX"),
    "pt": ("BR", "PT"),
    "ru": ("RU", "UA"),
}
LANGUAGES = ("en", *LANGUAGE_OFFICES)
ALL_OFFICES = (*OFFICES, *(office for pair in LANGUAGE_OFFICES.values() for office in pair if office not in OFFICES))

# Labels.
CLASSES_PER_FAMILY = (0.67, 0.262, 0.058, 0.01)  # shares of families with 1, 2, 3, 4 classes
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
SAME_SECTION, AFFINE = 2.6, 8  # by what the odds of a further class are multiplied


@dataclass(frozen=True)
class Classes:
    """The classes in use, that is those that families have.

    codes: largest class first; sections: int [classes], the place of each one's section in the label tree; shares:
    float [classes], of the families that have it as their first class; affinity: float [classes, classes], the log of
    the odds of a further class (column) beside the first one (row).
    """

    codes: tuple[str, ...]
    sections: np.ndarray
    shares: np.ndarray
    affinity: np.ndarray

    @classmethod
    def choose(cls, seed: int, documents: int, tree: LabelTree) -> "Classes":
        """The classes of a delivery with so many abstracts.

        tree: sections and classes alone. Raises UserError where no class of it has a title of its own.
        """
        columns, shares = _columns_and_shares(seed, documents / MEAN_FAMILY, tree)
        codes = tuple(tree.labels[column] for column in columns)
        sections = tree.parent[columns]
        affinity = np.log(shares)[None, :] + np.where(sections[:, None] == sections, np.log(SAME_SECTION), 0)
        column = {code: number for number, code in enumerate(codes)}
        for pair in AFFINITIES.split():
            one, other = (column.get(code) for code in pair.split("-"))
            if one is not None and other is not None:
                affinity[[one, other], [other, one]] += np.log(AFFINE)
        np.fill_diagonal(affinity, -np.inf)
        return cls(codes, sections, shares, affinity)


@dataclass(frozen=True)
class Families:
    """The DOCDB families of a chunk; each array has one entry or row per family.

    identifier: docdb_family_id; topics: int [families, at most 5], places in `Classes` in falling order of weight;
    counts: how many of them the family has (those beyond are what a member that disagrees adds); text_of: place of the
    family whose abstract it has.
    """

    identifier: np.ndarray
    topics: np.ndarray
    counts: np.ndarray
    text_of: np.ndarray


@dataclass(frozen=True)
class Applications:
    """The applications of a chunk, in an order that does not depend on their families; one entry per application.

    family: place in `Families`; member: 0 for the first of its family; office: place in `ALL_OFFICES`; language: place
    in `LANGUAGES`.
    """

    identifier: np.ndarray
    family: np.ndarray
    member: np.ndarray
    has_abstract: np.ndarray
    is_dummy: np.ndarray
    office: np.ndarray
    language: np.ndarray


def draw_applications(
    classes: Classes, rng: np.random.Generator, numbers: range, documents: int
) -> tuple[Families, Applications]:
    """Families and their applications, exactly `documents` of these with an abstract.

    numbers: those that no other chunk uses; identifiers are taken from them, added to the first one of their kind.
    """
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
    identifier = numbers.start + np.sort(rng.choice(len(numbers), len(order), replace=False))
    identifier += np.where(is_dummy, FIRST_DUMMY, FIRST_APPLICATION)
    office, language = _offices(rng, family, member)
    return (
        _families(classes, rng, FIRST_APPLICATION + numbers.start + np.arange(families), with_text),
        Applications(identifier, family, member, has_abstract, is_dummy, office, language),
    )


def _offices(rng: np.random.Generator, family: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Office and language of each application: a family's members differ in office, except for those not in English."""
    weights = np.log(list(OFFICES.values()))
    preference = np.argsort(-(weights + rng.gumbel(size=(family.max() + 1, len(weights)))), axis=1)
    office = preference[family, member]
    language = np.where(rng.random(len(family)) < NON_ENGLISH, rng.integers(1, len(LANGUAGES), len(family)), 0)
    for number, offices in enumerate(LANGUAGE_OFFICES.values(), start=1):
        places = [ALL_OFFICES.index(name) for name in offices]
        office = np.where(language == number, rng.choice(places, len(family)), office)
    return office, language


def _families(classes: Classes, rng: np.random.Generator, identifier: np.ndarray, with_text: int) -> Families:
    """Families with their classes; the first `with_text` of them have an abstract."""
    families = len(identifier)
    groups = [count for count in (with_text, families - with_text) if count]
    first = np.concatenate([_in_proportion(rng, classes.shares, count) for count in groups])
    # The largest of log odds with Gumbel noise are a weighted draw without replacement.
    odds = classes.affinity[first] + rng.gumbel(size=(families, len(classes.codes)))
    others = min(len(CLASSES_PER_FAMILY), len(classes.codes) - 1)
    nearest = np.argpartition(-odds, others, axis=1)[:, :others]
    rank = np.argsort(-np.take_along_axis(odds, nearest, axis=1), axis=1)
    topics = np.column_stack([first, np.take_along_axis(nearest, rank, axis=1)])
    counts = np.concatenate([_in_proportion(rng, CLASSES_PER_FAMILY, count) for count in groups]) + 1

    # Families that DOCDB should have joined: the abstract and the classes of another one, which is not a copy itself.
    copies = min(with_text // 2, max(1, round(COPIED_ACROSS_FAMILIES * with_text)))
    drawn = rng.choice(with_text, 2 * copies, replace=False)
    text_of = np.arange(families)
    text_of[drawn[:copies]] = drawn[copies:]
    return Families(identifier, topics[text_of], np.minimum(counts, topics.shape[1])[text_of], text_of)


def _in_proportion(rng: np.random.Generator, shares: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """int [count]: places in `shares`, each as often as its share says, to within one, in a random order.

    This is systematic sampling; independent draws would leave rare classes out of a small delivery.
    """
    points = (np.arange(count) + rng.random()) / count
    places = np.searchsorted(np.cumsum(shares), points, side="right")
    return rng.permutation(np.minimum(places, len(shares) - 1))  # the shares may sum to a rounding error below 1


def _columns_and_shares(seed: int, families: float, tree: LabelTree) -> tuple[np.ndarray, np.ndarray]:
    """Columns in the label tree of the classes in use, largest first, and their shares.

    The rarest class is to have a handful of families; where there are too few families for that, the classes at the
    tail are left out, but no section is.
    """
    level = tree.levels[1]
    first, titles = tree.columns[level].start, tree.titles[tree.columns[level]]
    rank = {code: number for number, code in enumerate(LARGEST_CLASSES.split())}
    tie = stream(seed, "demo", "classes").permutation(len(titles))
    order = sorted(
        (first + place for place, title in enumerate(titles) if titles.count(title) == 1),
        key=lambda column: (rank.get(tree.labels[column], len(rank)), tie[column - first]),
    )
    if not order:
        raise UserError("the demo needs classes with titles of their own, and the label tree has none")
    heads = {tree.parents[column]: column for column in reversed(order)}  # the largest class of each section
    size = len(order)
    while size > len(heads) and _shares(size)[-1] * families < MINIMUM_FAMILIES:
        size -= 1
    others = [column for column in order if column not in heads.values()]
    kept = {*heads.values(), *others[: size - len(heads)]}
    return np.array([column for column in order if column in kept]), _shares(size)


def _shares(classes: int) -> np.ndarray:
    """Shares of that many classes, falling: a part of all spread evenly, the rest by a power of the rank."""
    weights = (np.arange(classes) + 13.0) ** -2.5
    return 0.35 / classes + 0.65 * weights / weights.sum()
