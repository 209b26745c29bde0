"""Label trees of one, two and three levels, and random truth, predictions and probabilities for them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from ipcascade.core.label_tree import LabelTree
from support import write_corpus


def make_tree(levels: Mapping[str, Mapping[str, str]]) -> LabelTree:
    """levels: from the top down, {level: {code: parent}}; the titles are "title of CODE"."""
    parents = {code: parent for codes in levels.values() for code, parent in codes.items()}
    labels = tuple(parents)
    return LabelTree(
        tuple(levels),
        tuple(len(codes) for codes in levels.values()),
        labels,
        tuple(labels.index(parent) if parent else -1 for parent in parents.values()),
        tuple(f"title of {code}" for code in labels),
    )


# Labels of different parents take turns, so that no code may rely on neighbouring columns.
SECTIONS = {"A": "", "B": "", "C": ""}
CLASSES = {"A01": "A", "B01": "B", "A02": "A", "C01": "C", "B02": "B", "A03": "A"}
# C01 and A03 have no children, and neither has the section C a label on the third level.
SUBCLASSES = {"B01X": "B01", "A01X": "A01", "B02X": "B02", "A02X": "A02", "A01Y": "A01", "B01Y": "B01"}

ONE = make_tree({"section": SECTIONS})
TWO = make_tree({"section": SECTIONS, "class": CLASSES})
THREE = make_tree({"section": SECTIONS, "class": CLASSES, "subclass": SUBCLASSES})
TREES = {"one level": ONE, "two levels": TWO, "three levels": THREE}


def random_case(tree: LabelTree, documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth closed under parents, predictions that are not, and probabilities with many ties.

    Below the first level B02 and what is below it never occur in the truth, C01 is never predicted, A03 is neither.
    """
    random = np.random.default_rng(seed)
    truth = random.random((documents, len(tree.labels))) < 0.25
    predicted = (truth & (random.random(truth.shape) < 0.7)) | (random.random(truth.shape) < 0.1)
    truth[:, [tree.index[code] for code in ("B02", "B02X", "A03") if code in tree.index]] = False
    predicted[:, [tree.index[code] for code in ("C01", "A03") if code in tree.index]] = False
    probabilities = np.round(0.4 * truth + 0.6 * random.random(truth.shape), 1).astype(np.float32)
    return tree.close(truth), predicted, probabilities


def codes_of(row: np.ndarray, tree: LabelTree) -> set[str]:
    return {tree.labels[column] for column in np.flatnonzero(row)}


def parent_of(code: str, tree: LabelTree) -> str | None:
    above = tree.parents[tree.index[code]]
    return tree.labels[above] if above >= 0 else None


def write_random_corpus(path: Path, tree: LabelTree, documents: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Write a corpus with the truth of `random_case`; give its table and its truth.

    The documents n and n + 4 of each eight are a group.
    """
    truth, _, _ = random_case(tree, documents)
    ids = [f"d{number}" for number in range(documents)]
    groups = [f"g{number // 8}-{number % 4}" for number in range(documents)]
    codes = np.array(tree.labels, dtype=object)
    levels = {
        level: [codes[columns][row].tolist() for row in truth[:, columns]] for level, columns in tree.columns.items()
    }
    types = dict.fromkeys(levels, pl.List(pl.String))
    corpus = pl.DataFrame({"document_id": ids, "group_id": groups, **levels}, schema_overrides=types)
    write_corpus(path, corpus, tree)
    return corpus, truth


def f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """F1 over all cells, by the definition."""
    hits, wrong, missed = (truth & predicted).sum(), (~truth & predicted).sum(), (truth & ~predicted).sum()
    return float(2 * hits / (2 * hits + wrong + missed)) if hits else 0.0


def best_by_trying(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The highest F1 over all thresholds in 0 to 1: each probability, 0, 1 and the points between give all label sets
    that a threshold can give."""
    points = np.unique(np.append(probabilities.astype(np.float64), [0.0, 1.0]))
    candidates = np.concatenate([points, (points[1:] + points[:-1]) / 2])
    return max(f1(truth, probabilities > candidate) for candidate in candidates)
