"""IPC symbols of the demo delivery: one to four of each class of an application, alike within a family.

Where the label tree has a level below the classes, the symbols have subclasses of the tree, and each subclass in use
has enough families to be split. Otherwise their letters mean nothing.
"""

from dataclasses import dataclass

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.sources.demo.families import MEAN_FAMILY, Applications, Classes, Families

MEMBERS_DISAGREE = 0.08  # later family members with a class more, and as many with a class less
WITHOUT_SYMBOLS, ONLY_OBSOLETE, ALSO_OBSOLETE = 0.02, 0.004, 0.012  # shares of applications
OBSOLETE = ("A10", "B80", "C16", "D10", "E07", "F05", "G13", "H98")  # classes that are not in the IPC
LETTERS = "BCDFGHJKLMNP"  # of subclasses, where the label tree has none
MINIMUM_FAMILIES = 10  # per subclass of the label tree that is used
MOST_SYMBOLS = 4  # per class of an application
GROUPS = tuple(f"{group:4d}/" for group in (*range(1, 95), 99, 101, 103))  # main groups as ST.8 writes them
SUBGROUPS = ("00", "02", "04", "06", "08", "10", "12", "14", "16", "20", "32", "705")


@dataclass(frozen=True)
class Subclasses:
    """The subclasses that symbols have, by class.

    codes: text [classes, most], those of the classes in use, then of `OBSOLETE` ones; counts: int [classes], how many
    of a row are used; in_use: the number of classes in use.
    """

    codes: np.ndarray
    counts: np.ndarray
    in_use: int

    @classmethod
    def choose(cls, seed: int, documents: int, classes: Classes, tree: LabelTree) -> "Subclasses":
        """The subclasses of a delivery with so many abstracts; those of `tree` where it has a third level."""
        codes = (*classes.codes, *(code for code in OBSOLETE if code not in tree.index))
        counts = stream(seed, "demo", "subclasses").integers(2, len(LETTERS) + 1, len(codes))
        rows = [[code + letter for letter in LETTERS] for code in codes]
        children = _children(tree)
        for place, (code, share) in enumerate(zip(classes.codes, classes.shares.tolist(), strict=True)):
            if code in children:
                families = share * documents / MEAN_FAMILY
                rows[place] = children[code]
                counts[place] = min(counts[place], len(rows[place]), max(1, int(families / MINIMUM_FAMILIES)))
        most = max(map(len, rows))
        table = np.array([row + [""] * (most - len(row)) for row in rows])
        return cls(table, counts, len(classes.codes))


def _children(tree: LabelTree) -> dict[str, list[str]]:
    """The codes below each class, for the classes that have any."""
    children: dict[str, list[str]] = {}
    for level in tree.levels[2:3]:
        for code in tree.codes(level):
            children.setdefault(tree.labels[tree.parents[tree.index[code]]], []).append(code)
    return children


@dataclass(frozen=True)
class Symbols:
    """The symbols of a chunk; one entry per symbol, in the order of the applications.

    application: place in `Applications`; symbol: text as in PATSTAT; level, value, position: one letter each, or blank;
    year: of the version.
    """

    application: np.ndarray
    symbol: np.ndarray
    level: np.ndarray
    year: np.ndarray
    value: np.ndarray
    position: np.ndarray


def draw_symbols(
    subclasses: Subclasses, rng: np.random.Generator, families: Families, applications: Applications
) -> Symbols:
    """The symbols of all applications of a chunk."""
    # An application has one cell per class of its family, and one more for an obsolete class; a cell has symbols.
    amounts = _amounts(rng, families, applications)
    count, cells = amounts.shape
    obsolete = rng.integers(subclasses.in_use, len(subclasses.codes), count)
    class_of = np.column_stack([families.topics[applications.family], obsolete])
    start_of = rng.integers(0, 1_000_000, (len(families.topics), cells))[applications.family]
    cell = np.repeat(np.arange(amounts.size), amounts.ravel())
    within = np.arange(len(cell)) - np.searchsorted(cell, cell)  # 0, 1, ... among the symbols of a cell
    application = cell // cells
    draws = rng.random((4, len(cell)))
    level = np.select([(draws[0] < 0.01) & (within == 0), draws[0] < 0.03], ["S", "C"], default="A")
    is_first = np.diff(application, prepend=-1) != 0
    return Symbols(
        application,
        _written(subclasses, class_of.ravel()[cell], start_of.ravel()[cell], within, level),
        level,
        np.select([draws[1] < 0.8, draws[1] < 0.9], [2006, 2013], default=2018),
        np.select([draws[2] < 0.97, draws[2] < 0.995], ["I", "N"], default=" "),
        np.select([draws[3] < 0.01, is_first], [" ", "F"], default="L"),
    )


def _amounts(rng: np.random.Generator, families: Families, applications: Applications) -> np.ndarray:
    """int [applications, classes per family + 1]: symbols of each class, the last column for an obsolete one."""
    count, most = len(applications.family), families.topics.shape[1]
    draw = rng.random(count)
    change = (draw < MEMBERS_DISAGREE).astype(np.int64) - (draw > 1 - MEMBERS_DISAGREE)
    classes = np.clip(families.counts[applications.family] + change * (applications.member > 0), 1, most)
    amounts = np.minimum(rng.geometric(0.5, (count, most)), MOST_SYMBOLS) * (np.arange(most) < classes[:, None])
    fate = rng.random(count)
    amounts[fate < WITHOUT_SYMBOLS + ONLY_OBSOLETE] = 0
    obsolete = (fate >= WITHOUT_SYMBOLS) & (fate < WITHOUT_SYMBOLS + ONLY_OBSOLETE + ALSO_OBSOLETE)
    return np.column_stack([amounts, obsolete])


def _written(
    subclasses: Subclasses, class_of: np.ndarray, start: np.ndarray, within: np.ndarray, level: np.ndarray
) -> np.ndarray:
    """text [symbols]: subclass, group and subgroup; of level S the subclass alone, of level C no subgroup.

    start: any number, the same for all symbols of a cell; within: which symbol of its cell each is.
    """
    subclass = subclasses.codes[class_of, (start + within) % subclasses.counts[class_of]]
    group = np.array(GROUPS)[(start + 7 * within) % len(GROUPS)]  # 7 apart: no two of a class share it
    subgroup = np.array(SUBGROUPS)[(start // len(GROUPS) + within) % len(SUBGROUPS)]
    below = np.strings.add(group, np.where(level == "A", subgroup, "00"))
    return np.strings.add(subclass, np.where(level == "S", "", below))
