"""Concordances: from labels to technologies of another classification, such as WIPO's 35 fields.

A concordance is a table of labels of the tree, of any level, and technologies, with weights: a label that belongs to
several is shared out. Where it has only labels below those that are predicted (subclasses, where classes are), a
predicted label is shared out by how many training documents have each of these; where it has only labels above, the
label belongs where its ancestor does. A label that it says nothing of goes to the technology "none".
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.paths import expanded
from ipcascade.core.strict_csv import shown
from ipcascade.matrices.counts import Amounts, Block
from ipcascade.matrices.options import SHIPPED_CONCORDANCES

Table = Mapping[str, Mapping[str, tuple[float, str]]]
"""By label and technology: weight and title; the weights of a label sum to 1."""
NONE, NONE_TITLE = "none", "no technology of the concordance"


@dataclass(frozen=True)
class Concordance:
    """shares: float64 [labels of a level, technologies], each row of which sums to 1; technologies: (code, title).

    shared_out: labels of the level that were shared out by the training documents of the labels below them.
    """

    shares: np.ndarray
    technologies: list[tuple[str, str]]
    shared_out: list[str]

    def amounts(self, block: Block) -> Amounts:
        """What each text adds to each technology, were it a unit of its own.

        expected: the probability that at least one of its labels belongs to the technology, were they independent;
        fractional: its labels' shares of 1, shared out; whole: the largest share of one of its predicted labels.
        """
        predicted = block.predicted.astype(np.float64)
        shape = (len(predicted), len(self.technologies))
        logs, whole = np.zeros(shape), np.zeros(shape)
        for label, technology in np.argwhere(self.shares > 0):
            share = self.shares[label, technology]
            logs[:, technology] += np.log1p(-np.minimum(block.probabilities[:, label] * share, 1 - 1e-12))
            whole[:, technology] = np.maximum(whole[:, technology], predicted[:, label] * share)
        of_labels = predicted / np.maximum(predicted.sum(axis=1, keepdims=True), 1)
        return Amounts(-np.expm1(logs), of_labels @ self.shares, whole)


def concordance_file(name: str) -> Path:
    """The file of a concordance: one that is shipped, by its name, or that of a user."""
    return SHIPPED_CONCORDANCES.get(name) or expanded("matrices.concordance", name)


def read_concordance(path: Path) -> dict[str, dict[str, tuple[float, str]]]:
    """By label and technology, weight and title, from a table with the columns label and technology.

    CSV, or with tabs for the ending .tsv; the columns weight (default 1) and title (default: the technology) may be
    there. Weights of a label are divided by their sum. Raises UserError, naming the line, for what is wrong.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as content:
            reader = csv.DictReader(content, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
            names = reader.fieldnames or []
            for name in ("label", "technology"):
                if names.count(name) != 1:
                    raise UserError(f"{path} has the column {name!r} {names.count(name)} times; it has {names}")
            found: dict[str, dict[str, tuple[float, str]]] = {}
            for row in reader:
                _add(found, row, f"{path}, line {reader.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} could not be read: {reason}") from error
    if not found:
        raise UserError(f"{path} has no rows")
    return {label: _normalised(of) for label, of in found.items()}


def _add(found: dict[str, dict[str, tuple[float, str]]], row: Mapping[str, str], where: str) -> None:
    label, technology = ((row[name] or "").strip() for name in ("label", "technology"))
    if None in row or not label or not technology:
        raise UserError(f"{where}: a row needs a label and a technology, and no more values than the header")
    if technology in found.setdefault(label, {}):
        raise UserError(f"{where}: the label {shown(label)} has the technology {shown(technology)} twice")
    text = (row.get("weight") or "1").strip()
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"{where}: the weight {shown(text)} is not a number above 0")
    found[label][technology] = weight, (row.get("title") or technology).strip()


def _normalised(of_label: Mapping[str, tuple[float, str]]) -> dict[str, tuple[float, str]]:
    total = sum(weight for weight, _ in of_label.values())
    return {technology: (weight / total, title) for technology, (weight, title) in of_label.items()}


def concordance(
    table: Table,
    whole: LabelTree,
    tree: LabelTree,
    level: str,
    documents: Mapping[str, int],
) -> Concordance:
    """A concordance for the labels of a level.

    table: of `read_concordance`; whole: the tree with all its levels; tree: that of the model; documents: the numbers
    of training documents of the labels below the level, as far as they are known. Raises UserError where the table has
    no label of the tree.
    """
    if not any(label in whole.index for label in table):
        raise UserError(f"the concordance has no label of the label tree (it has {shown(next(iter(table)))})")
    titles = {technology: title for of in table.values() for technology, (_, title) in of.items()}
    codes = sorted(titles)
    place = {technology: column for column, technology in enumerate(codes)}
    labels = tree.codes(level)
    shares, shared_out = np.zeros((len(labels), len(codes) + 1)), []
    for row, label in enumerate(labels):
        below = {code: documents.get(code, 0) for code in _below(whole, label) if code in table}
        if label in table:
            parts = {label: 1.0}
        elif below:
            total = sum(below.values())
            parts = {code: count / total if total else 1 / len(below) for code, count in below.items()}
            if len({tuple(sorted(table[code])) for code in below}) > 1:
                shared_out.append(label)
        else:
            parts = {code: 1.0 for code in _above(whole, label) if code in table}
            parts = dict(list(parts.items())[:1])
        for code, part in parts.items():
            for technology, (weight, _) in table[code].items():
                shares[row, place[technology]] += part * weight
        if not parts:
            shares[row, -1] = 1.0
    technologies = [(code, titles[code]) for code in codes]
    if shares[:, -1].any():
        technologies.append((NONE, NONE_TITLE))
    return Concordance(shares[:, : len(technologies)], technologies, shared_out)


def _below(tree: LabelTree, label: str) -> list[str]:
    """The labels below one, of any level."""
    if label not in tree.index:
        return []
    column = tree.index[label]
    return [code for other, code in enumerate(tree.labels) if column in tree.ancestors(other)]


def _above(tree: LabelTree, label: str) -> list[str]:
    """The labels above one, the nearest first."""
    return [tree.labels[column] for column in tree.ancestors(tree.index[label])] if label in tree.index else []
