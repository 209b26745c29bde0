"""The error analysis of the test split: the records of each of its tables, level by level.

Each topic has a module: reliability.py and selective.py ask whether probabilities can be believed, error_analysis.py
and groups.py where the errors are. The tables of guarantees.py and stability.py are made beside these. What the columns
of the tables hold: core/analysis_files.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ipcascade.core import names
from ipcascade.core.analysis_files import BETWEEN_LABELS, COMBINED, NETWORK
from ipcascade.core.label_tree import LabelTree
from ipcascade.evaluation.calibration import calibration_measures
from ipcascade.evaluation.error_analysis import by_frequency, confused_pairs, document_losses, worst_documents
from ipcascade.evaluation.groups import Group, by_label_count, group_measures
from ipcascade.evaluation.options import AnalysisOptions
from ipcascade.evaluation.reliability import reliability
from ipcascade.evaluation.selective import abstention, risk_coverage

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Labelled:
    """A split: truth, predicted: bool, probabilities: float32, all [documents, labels].

    network: the network's own probabilities, likewise, where it is a source.
    """

    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    network: np.ndarray | None = None

    def of(self, columns: slice) -> "Labelled":
        """Some of the labels."""
        network = None if self.network is None else self.network[:, columns]
        return Labelled(self.truth[:, columns], self.predicted[:, columns], self.probabilities[:, columns], network)

    def before_and_after(self) -> dict[str, np.ndarray]:
        """Probabilities by their name in the tables: of the network, where it is a source, and as they are combined."""
        return ({} if self.network is None else {NETWORK: self.network}) | {COMBINED: self.probabilities}


def analyse(
    val: Labelled,
    test: Labelled,
    training_truth: np.ndarray,
    test_ids: Sequence[str],
    groupings: Mapping[str, Sequence[Group]],
    tree: LabelTree,
    options: AnalysisOptions,
) -> dict[str, Records]:
    """The records of each table about one level at a time, by the name of its file; levels from the top down.

    training_truth: bool [training documents, labels]; test_ids: of the test documents; groupings: of the test
    documents, the same for all levels, by name.
    """
    tables: dict[str, Records] = {}
    for level, columns in tree.columns.items():
        on_test = test.of(columns)
        of_level = {
            **_probabilities(val.of(columns), on_test, options.precision),
            names.CONFUSION: _confusion(on_test, tree, columns),
            names.BY_GROUP: _by_group(on_test, groupings),
            names.BY_FREQUENCY: _by_frequency(on_test, training_truth[:, columns], tree, columns),
            names.WORST_DOCUMENTS: _worst_documents(on_test, test_ids, tree.codes(level), options.documents),
        }
        for name, records in of_level.items():
            tables.setdefault(name, []).extend({"level": level, **record} for record in records)
    return tables


def _probabilities(val: Labelled, test: Labelled, precision: float) -> dict[str, Records]:
    """The tables on the probabilities of one level."""
    on_val, curve = (risk_coverage(split.truth, split.predicted, split.probabilities) for split in (val, test))
    of_level = {
        "documents": len(test.truth),
        **calibration_measures(test.truth, test.probabilities),
        **abstention(on_val, curve, precision),
    }
    columns = {
        "bound": curve.bounds, "documents": curve.documents, "coverage": curve.coverage,
        "precision": curve.precision, "recall": curve.recall,
    }  # fmt: skip
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return {
        names.CALIBRATION: [
            {"split": name, "probabilities": whose, **calibration_measures(split.truth, values)}
            for name, split in (("val", val), ("test", test))
            for whose, values in split.before_and_after().items()
        ],
        names.RELIABILITY: [
            {"probabilities": whose, **band}
            for whose, values in test.before_and_after().items()
            for band in reliability(test.truth, values)
        ],
        names.RISK_COVERAGE: [dict(zip(columns, row, strict=True)) for row in rows],
        names.LEVELS: [of_level],
    }


def _confusion(test: Labelled, tree: LabelTree, columns: slice) -> Records:
    codes, titles, parents = tree.labels[columns], tree.titles[columns], tree.parents[columns]
    return [
        {
            "true": codes[pair.true],
            "predicted": codes[pair.predicted],
            "true_title": titles[pair.true],
            "predicted_title": titles[pair.predicted],
            # At the top there are no parents to compare.
            "same_parent": parents[pair.true] == parents[pair.predicted] if parents[pair.true] >= 0 else None,
            "documents": pair.documents,
            "weight": pair.weight,
        }
        for pair in confused_pairs(test.truth, test.predicted)
    ]


def _by_group(test: Labelled, groupings: Mapping[str, Sequence[Group]]) -> Records:
    return [
        {"grouping": grouping, **record}
        for grouping, groups in {"labels": by_label_count(test.truth), **groupings}.items()
        for record in group_measures(test.truth, test.predicted, groups)
    ]


def _by_frequency(test: Labelled, training_truth: np.ndarray, tree: LabelTree, columns: slice) -> Records:
    records = by_frequency(test.truth, test.predicted, training_truth)
    return [
        {"code": code, "title": title, **record}
        for code, title, record in zip(tree.labels[columns], tree.titles[columns], records, strict=True)
    ]


def _worst_documents(test: Labelled, ids: Sequence[str], codes: Sequence[str], number: int) -> Records:
    losses = document_losses(test.truth, test.probabilities)
    return [
        {
            "rank": rank,
            "document_id": ids[position],
            "log_loss": float(losses[position]),
            "true": _listed(codes, test.truth[position]),
            "predicted": _listed(codes, test.predicted[position]),
        }
        for rank, position in enumerate(worst_documents(losses, number), start=1)
    ]


def _listed(codes: Sequence[str], labels: np.ndarray) -> str | None:
    """The codes of a label set; None where it is empty."""
    return BETWEEN_LABELS.join(codes[column] for column in np.flatnonzero(labels).tolist()) or None
