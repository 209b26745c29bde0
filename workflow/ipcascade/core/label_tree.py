"""The label tree: levels from the top down, and the code, parent and title of each label.

The package ships the IPC (label_trees/ipc.tsv); any other tree is a table with the same columns. The corpus rule reads
the tree once, keeps the levels that are learned, and stores it with the corpus; all later rules take it from there.

Matrices of labels have their columns in *tree order*: all labels of the first level, then all of the second, and so on,
within a level in the order of the table. A label may have no children although there are levels below it.

Memory: truth and predictions take one byte, probabilities four bytes per document and label. At 177,000 documents,
5,000 labels take 0.9 GB of truth and 3.5 GB of probabilities.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipcascade.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

IPC = Path(__file__).parent / "label_trees" / "ipc.tsv"
COLUMNS = ("code", "parent", "level", "title")
# Level names become columns of the corpus and keys of the measures, codes become columns of the scores.
RESERVED_LEVELS = frozenset(
    "document_id family_id group_id office kind filing_year first_filing_year first_filing_office words text split"
    " default fixed global hierarchical reference documents neighbours".split()
)
RESERVED_CODES = frozenset(("document_id", "epoch", "neighbours"))


@dataclass(frozen=True)
class LabelTree:
    """A tree of label codes.

    levels: names from the top down; sizes: labels per level; labels: codes in tree order; parents: for each label the
    position of its parent among `labels`, -1 at the top; titles: one per label.
    """

    levels: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: tuple[str, ...]
    parents: tuple[int, ...]
    titles: tuple[str, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """Column of each code."""
        return {code: column for column, code in enumerate(self.labels)}

    @cached_property
    def columns(self) -> dict[str, slice]:
        """The columns of each level, from the top down."""
        ends = [sum(self.sizes[: depth + 1]) for depth in range(len(self.sizes))]
        return {level: slice(end - size, end) for level, size, end in zip(self.levels, self.sizes, ends, strict=True)}

    @cached_property
    def parent(self) -> "np.ndarray":
        """int64 [labels]: the column of each label's parent, -1 at the top."""
        import numpy as np

        return np.array(self.parents, dtype=np.int64)

    @cached_property
    def has_children(self) -> "np.ndarray":
        """bool [labels]: whether a label has labels below it."""
        import numpy as np

        inner = np.zeros(len(self.labels), dtype=bool)
        inner[self.parent[self.parent >= 0]] = True
        return inner

    def codes(self, level: str) -> tuple[str, ...]:
        """The codes of a level."""
        return self.labels[self.columns[level]]

    def level_of(self, column: int) -> str:
        """The level of a label, given by its column."""
        return next(level for level, columns in self.columns.items() if column < columns.stop)

    def ancestors(self, column: int) -> list[int]:
        """The columns above a label, its parent first."""
        found = []
        while (column := self.parents[column]) >= 0:
            found.append(column)
        return found

    def encode(self, documents: Iterable[Iterable[str]]) -> "np.ndarray":
        """Lists of codes, of any levels, to a matrix bool [documents, labels].

        Raises UserError for a code that the tree does not have.
        """
        import numpy as np

        rows = [list(codes) for codes in documents]
        truth = np.zeros((len(rows), len(self.labels)), dtype=bool)
        for row, codes in enumerate(rows):
            for code in codes:
                column = self.index.get(code)
                if column is None:
                    raise UserError(f"document at row {row} has the label {code!r}, which the label tree does not have")
                truth[row, column] = True
        return truth

    def close(self, labels: "np.ndarray") -> "np.ndarray":
        """Label sets closed under parents: bool [documents, labels] with all ancestors of each label that is set."""
        import numpy as np

        closed = labels.copy()
        for columns in reversed(list(self.columns.values())[1:]):
            order = np.argsort(self.parent[columns], kind="stable")
            parents, starts = np.unique(self.parent[columns][order], return_index=True)
            closed[:, parents] |= np.logical_or.reduceat(closed[:, columns.start + order], starts, axis=1)
        return closed

    def leaf_of(self, symbol: str) -> int | None:
        """The column of the longest code that a classification symbol begins with; None unless it is a leaf.

        A symbol that leads to a label with children, but to none of these, has an obsolete or unknown code.
        """
        for length in self._code_lengths:
            column = self.index.get(symbol[:length])
            if column is not None:
                return None if self.has_children[column] else column
        return None

    @cached_property
    def longest_code(self) -> int:
        """Characters of the longest code: as much of a symbol as `leaf_of` reads."""
        return self._code_lengths[0]

    @cached_property
    def _code_lengths(self) -> tuple[int, ...]:
        return tuple(sorted({len(code) for code in self.labels}, reverse=True))

    def select(self, levels: Sequence[str]) -> "LabelTree":
        """The tree of some of the levels; a label's parent is then its nearest ancestor among them.

        Raises UserError for a level that the tree does not have, and where the order is not from the top down.
        """
        check_levels(levels, self.levels)
        kept = [column for level in levels for column in range(*self.columns[level].indices(len(self.labels)))]
        place = {column: number for number, column in enumerate(kept)}
        parents = tuple(next((place[above] for above in self.ancestors(c) if above in place), -1) for c in kept)
        sizes = tuple(self.sizes[self.levels.index(level)] for level in levels)
        return LabelTree(
            tuple(levels), sizes, tuple(self.labels[c] for c in kept), parents, tuple(self.titles[c] for c in kept)
        )

    def check_part_of(self, table: "LabelTree") -> None:
        """Raise UserError unless `table`, the whole tree, has all labels of this one, which is a corpus's."""
        if strange := sorted({*self.labels} - {*table.labels}):
            raise UserError(
                f"the label tree has no label {strange[0]!r}, which the corpus has: it was made with another one; make "
                "the corpus again"
            )

    def with_level_below(self, table: "LabelTree") -> "LabelTree":
        """This tree with the level that `table`, the whole one, has below its lowest one; itself where there is none.

        Its own labels keep their columns, and only what is below these is added. Raises UserError where it is not a
        part of `table`.
        """
        self.check_part_of(table)
        check_levels(self.levels, table.levels)
        place = table.levels.index(self.levels[-1]) + 1
        below = [  # columns in `table`, and here those of their parents, which are one level above
            (column, self.index[parent])
            for level in table.levels[place : place + 1]
            for column in range(*table.columns[level].indices(len(table.labels)))
            if (parent := table.labels[table.parents[column]]) in self.index
        ]
        if not below:
            return self
        return LabelTree(
            (*self.levels, table.levels[place]),
            (*self.sizes, len(below)),
            (*self.labels, *(table.labels[column] for column, _ in below)),
            (*self.parents, *(parent for _, parent in below)),
            (*self.titles, *(table.titles[column] for column, _ in below)),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives the same tree back."""
        return {
            "levels": list(self.levels),
            "labels": [
                {"code": code, "level": self.level_of(column), "parent": self.labels[above] if above >= 0 else None,
                 "title": title}
                for column, (code, above, title) in enumerate(zip(self.labels, self.parents, self.titles, strict=True))
            ],
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any], place: str = "the label tree") -> "LabelTree":
        """The inverse of `to_json`. place: what messages call it.

        Raises UserError where the content is not a tree.
        """
        try:
            rows = [
                _Row(label["code"], label["parent"] or "", label["level"], label["title"], number)
                for number, label in enumerate(content["labels"], start=1)
            ]
            levels = tuple(content["levels"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{place} is not complete ({error!r})") from None
        if not rows:
            raise UserError(f"{place} has no labels")
        tree = _tree_of(rows, f"{place}, label ")
        if tree.levels != levels:
            raise UserError(f"{place} has the levels {', '.join(tree.levels)}, not {', '.join(levels)}")
        return tree

    @classmethod
    def read(cls, path: Path) -> "LabelTree":
        """Read a tab-separated table with the columns code, parent (empty at the top), level and title.

        Levels are those of the table, from the top down; a parent comes before its children and one level above.
        Raises UserError naming file and line for a missing column or value, a double code, an unknown parent, or a
        level that is not where it was before.
        """
        rows = _read_rows(path)
        if not rows:
            raise UserError(f"{path}: the label tree has no labels")
        return _tree_of(rows, f"{path}, line ")


def check_levels(chosen: Sequence[str], levels: Sequence[str]) -> None:
    """Raise UserError where `chosen` are not some of a tree's levels, from the top down."""
    for level in chosen:
        if level not in levels:
            raise UserError(f"corpus.levels: the label tree has no level {level!r}; it has {', '.join(levels)}")
    if list(chosen) != [level for level in levels if level in chosen]:
        raise UserError(
            f"corpus.levels: {', '.join(chosen)} are not levels from the top down, each once: {', '.join(levels)}"
        )


@dataclass(frozen=True)
class _Row:
    """A label as the table has it, with its line."""

    code: str
    parent: str
    level: str
    title: str
    line: int


def _read_rows(path: Path) -> list[_Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from None
    except OSError as error:
        raise UserError(f"{path}: the label tree cannot be read ({error.strerror})") from None
    # Lines end as csv and spreadsheets end them; str.splitlines would also cut titles at U+2028.
    lines = io.StringIO(text, newline=None)
    reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise UserError(f"{path}, line 1: the header lacks the column {missing[0]!r}; it has {', '.join(header)}")
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise UserError(f"{path}, line {reader.line_num}: {len(cells)} columns where the header has {len(header)}")
        record = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        rows.append(_Row(record["code"], record["parent"], record["level"], record["title"], reader.line_num))
    return rows


def _tree_of(rows: Sequence[_Row], place: str) -> LabelTree:
    """The tree of some rows. place: where a row is, for messages, up to its line."""
    depths: dict[str, int] = {}  # of levels
    depth_of: dict[str, int] = {}  # of codes
    for row in rows:
        where = f"{place}{row.line}"
        for name in ("code", "level", "title"):
            if not getattr(row, name):
                raise UserError(f"{where}: the {name} is missing")
        if row.code in depth_of:
            raise UserError(f"{where}: the code {row.code!r} is there more than once")
        for kind, word, reserved in (("code", row.code, RESERVED_CODES), ("level", row.level, RESERVED_LEVELS)):
            # polars takes * and ^...$ for patterns of column names.
            if word in reserved or word == "*" or (word.startswith("^") and word.endswith("$")):
                raise UserError(f"{where}: a {kind} cannot be called {word!r}; choose another name")
        if row.parent and row.parent not in depth_of:
            raise UserError(
                f"{where}: the {row.level} {row.code!r} has the parent {row.parent!r}, which is not above it"
            )
        depth = depth_of[row.parent] + 1 if row.parent else 0
        if depths.setdefault(row.level, depth) != depth:
            above = repr(row.parent) if row.parent else "no label"
            raise UserError(
                f"{where}: the {row.level} {row.code!r} has {above} above it and so another depth than the labels "
                f"of the level {row.level!r} before it"
            )
        depth_of[row.code] = depth
    level_at: dict[int, str] = {}
    for row in rows:
        first = level_at.setdefault(depths[row.level], row.level)
        if first != row.level:
            raise UserError(
                f"{place}{row.line}: {row.code!r} has the level {row.level!r}, where labels of the same depth "
                f"above it have the level {first!r}"
            )
        if row.code in depths:  # both are columns of predictions
            raise UserError(f"{place}{row.line}: the code {row.code!r} is the name of a level, too; rename one")
    levels = [level_at[depth] for depth in sorted(level_at)]
    in_order = [row for level in levels for row in rows if row.level == level]
    index = {row.code: column for column, row in enumerate(in_order)}
    return LabelTree(
        levels=tuple(levels),
        sizes=tuple(sum(row.level == level for row in rows) for level in levels),
        labels=tuple(row.code for row in in_order),
        parents=tuple(index[row.parent] if row.parent else -1 for row in in_order),
        titles=tuple(row.title for row in in_order),
    )
