"""The two-level label tree: sections and, below each, its classes.

Ships the IPC scheme in force since 2023.01; any other tree comes from a table with the same columns.
Label columns everywhere stand in *taxonomy order*: all sections, then all classes, each in the table's order.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .errors import UserError

IPC_SCHEME = Path(__file__).parent / "data" / "ipc_scheme.tsv"
LEVELS = ("section", "class")


@dataclass(frozen=True)
class Taxonomy:
    """A two-level tree of label codes.

    sections: codes of the upper level; classes: codes of the lower level; parents: for each class its section's code;
    titles: a title a code.
    """

    sections: tuple[str, ...]
    classes: tuple[str, ...]
    parents: tuple[str, ...]
    titles: dict[str, str]

    @property
    def labels(self) -> tuple[str, ...]:
        """All codes in taxonomy order."""
        return self.sections + self.classes

    @cached_property
    def index(self) -> dict[str, int]:
        """Column of each code in taxonomy order."""
        return {code: column for column, code in enumerate(self.labels)}

    @cached_property
    def parent_index(self) -> np.ndarray:
        """int64 [classes]: for each class the position of its section among the sections."""
        return np.array([self.index[parent] for parent in self.parents], dtype=np.int64)

    @property
    def columns(self) -> dict[str, slice]:
        """The columns of each level: {"section": slice, "class": slice}."""
        return {
            "section": slice(0, len(self.sections)),
            "class": slice(len(self.sections), len(self.labels)),
        }

    def encode(self, documents: Iterable[Sequence[str]]) -> np.ndarray:
        """Code lists (sections and classes mixed) to a truth matrix, bool [documents, labels].

        Raises UserError for a code that the tree does not have.
        """
        rows = list(documents)
        truth = np.zeros((len(rows), len(self.labels)), dtype=bool)
        for row, codes in enumerate(rows):
            for code in codes:
                column = self.index.get(code)
                if column is None:
                    raise UserError(
                        f"document at row {row} carries the label {code!r}, which the taxonomy does not have"
                    )
                truth[row, column] = True
        return truth

    def close(self, labels: np.ndarray) -> np.ndarray:
        """Label sets closed under parents: bool [documents, labels] with the section of every class set."""
        closed = labels.copy()
        below = closed[:, self.columns["class"]]
        for section in range(len(self.sections)):
            closed[:, section] |= below[:, self.parent_index == section].any(axis=1)
        return closed

    @classmethod
    def read(cls, path: Path) -> "Taxonomy":
        """Read a tab-separated table with the columns code, parent, level (section or class) and title.

        Raises UserError naming file and row for a missing column, a double code, an unknown level or parent.
        """
        sections: list[str] = []
        classes: list[str] = []
        parents: list[str] = []
        titles: dict[str, str] = {}
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from None
        reader = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = {"code", "parent", "level", "title"} - set(reader.fieldnames or ())
        if missing:
            raise UserError(f"{path}: the header row lacks the column {min(missing)!r}")
        for row, record in enumerate(reader, start=2):
            code = record["code"]
            if code in titles:
                raise UserError(f"{path}, row {row}: the code {code!r} stands there twice")
            titles[code] = record["title"]
            if record["level"] == "section":
                sections.append(code)
            elif record["level"] == "class":
                if record["parent"] not in sections:
                    raise UserError(
                        f"{path}, row {row}: the class {code!r} has the parent {record['parent']!r}, "
                        "which is no section above it"
                    )
                classes.append(code)
                parents.append(record["parent"])
            else:
                raise UserError(f"{path}, row {row}: the level is {record['level']!r}, not 'section' or 'class'")
        if not classes:
            raise UserError(f"{path}: the taxonomy has no classes")
        return cls(tuple(sections), tuple(classes), tuple(parents), titles)

    @classmethod
    def ipc(cls) -> "Taxonomy":
        """The IPC's 8 sections and 132 classes, as in force since edition 2023.01."""
        return cls.read(IPC_SCHEME)
