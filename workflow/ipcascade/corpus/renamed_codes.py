"""A user's table of codes that the label tree lacks, such as obsolete ones, and the codes that are meant now."""

from collections.abc import Mapping
from pathlib import Path

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.strict_csv import shown
from ipcascade.core.symbols import ends_at, leaf_of
from ipcascade.core.user_tables import Role, UserTable

FROM, TO = "from", "to"
RenamedCodes = Mapping[str, tuple[int, ...]]
"""By code, without blanks, the columns of the lowest labels that the codes in its place lead to."""


def read_renamed_codes(path: Path, tree: LabelTree, finer: LabelTree) -> RenamedCodes:
    """A table with the columns from and to; a code with several rows is given to the labels of all of them.

    tree, finer: as of `ReadLabels`. Raises UserError, naming the line, for an empty code, and for one in the column to
    that leads to no label.
    """
    table = UserTable.open(path, "tables of renamed codes")
    columns = {FROM: Role.TEXT, TO: Role.TEXT}
    table.check(columns)
    found: dict[str, list[int]] = {}
    for piece in table.pieces(columns):
        for row, (old, new) in enumerate(piece.frame.select(FROM, TO).iter_rows()):
            old, new = without_blanks(old or ""), (new or "").strip()
            if not old:
                piece.refuse(row, f"the code in the column {FROM} is empty")
            leaf = leaf_of(new, tree)
            if leaf is None:
                piece.refuse(row, f"the code {shown(new)} in the column {TO} leads to no label of the label tree")
            below = leaf_of(new, finer)
            label = leaf if below is None else below
            if label not in found.setdefault(old, []):
                found[old].append(label)
    return {old: tuple(labels) for old, labels in found.items()}


def labels_of(symbol: str, renamed: RenamedCodes) -> tuple[int, ...]:
    """The labels of the longest code that a symbol begins with, without regard to blanks; none where there is none."""
    plain = without_blanks(symbol)
    for length in range(len(plain), 0, -1):
        if plain[:length] in renamed and ends_at(plain, length):
            return renamed[plain[:length]]
    return ()


def without_blanks(code: str) -> str:
    """PATSTAT writes C13D   1/00 where people write C13D 1/00."""
    return "".join(code.split())
