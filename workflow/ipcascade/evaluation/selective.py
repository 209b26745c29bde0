"""Selective classification: which documents can be left to the machine, and how precise it is on these.

Documents are ordered by a confidence, and those below a bound are left to a person (Chow 1970). A risk-coverage curve
(El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017) shows what each bound gives: the share of documents above it, and
the risk there, which is here the share of predicted labels that are wrong, 1 - precision.

The confidence of a document is the smallest probability of its predicted labels: none of them is less probable. (Their
mean is the precision to be expected where probabilities are calibrated, but a doubtful label hides behind sure ones: on
US patents with the linear baseline it left fewer documents to the machine at the same precision.) A document without
predicted labels has nothing to be precise about; it is left to a person whatever the bound.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ipcascade.evaluation.counts import counts_above, ratio


def confidences(predicted: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float64 [documents]: the smallest probability of a document's predicted labels; 0 where it has none.

    predicted: bool, probabilities: float32, [documents, labels of the level].
    """
    smallest = np.min(probabilities, axis=1, where=predicted, initial=1)
    return np.where(predicted.any(axis=1), smallest, 0).astype(np.float64)


@dataclass(frozen=True)
class RiskCoverage:
    """What each bound on the confidence leaves to the machine, arrays [bounds] from the highest down.

    bounds: float64, each confidence that occurs, since no bound separates documents of one confidence; documents: with
    at least that confidence; hits, predicted, true: their labels that are both, that are predicted, and that are true.
    of: all documents, also those without predicted labels.
    """

    bounds: np.ndarray
    documents: np.ndarray
    hits: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    of: int

    @property
    def coverage(self) -> np.ndarray:
        """The share of all documents that is left to the machine."""
        return self.documents / self.of

    @property
    def precision(self) -> np.ndarray:
        """Micro precision of the predicted labels of these documents; 1 - risk."""
        return ratio(self.hits, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """Micro recall of the labels of these documents."""
        return ratio(self.hits, self.true)

    def lowest_bound(self, precision: float) -> float | None:
        """The bound that leaves most documents to the machine with at least this precision; None where none does."""
        reached = np.flatnonzero(self.precision >= precision)
        return float(self.bounds[reached[-1]]) if len(reached) else None

    def at(self, bound: float | None) -> dict[str, float | None]:
        """What a bound, which may be that of other documents, gives here: coverage, precision, left_to_person.

        left_to_person is the share of all documents that are not covered; without documents there is no precision.
        """
        cut = 0 if bound is None else int((self.bounds >= bound).sum())
        documents = int(self.documents[cut - 1]) if cut else 0
        return {
            "coverage": documents / self.of,
            "precision": float(self.precision[cut - 1]) if cut else None,
            "left_to_person": (self.of - documents) / self.of,
        }


def risk_coverage(truth: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> RiskCoverage:
    """The curve of one level; truth, predicted: bool, probabilities: float32, [documents, labels of the level]."""
    confidence = confidences(predicted, probabilities)
    labelled = np.flatnonzero(predicted.any(axis=1))
    if not len(labelled):
        nothing = np.zeros(0, dtype=np.int64)
        return RiskCoverage(np.zeros(0), nothing, nothing, nothing, nothing, len(truth))
    counts = [labels[labelled].sum(axis=1) for labels in (truth & predicted, predicted, truth)]
    (bounds, hits, documents), (_, of_predicted, _), (_, true, _) = (
        counts_above(of_document, confidence[labelled]) for of_document in counts
    )
    return RiskCoverage(bounds, documents, hits, of_predicted, true, len(truth))


def abstention(val: RiskCoverage, test: RiskCoverage, precision: float) -> dict[str, Any]:
    """Who labels what where the machine is to reach a precision: the bound fitted on val, and what it gives on test.

    Keys: wanted_precision, bound (None where no bound reaches it on val, so that all is left to a person), coverage and
    precision on both, as `val_` and `test_`, and left_to_person, the share of the test documents. The precision on test
    may be below the one wanted: that on val is the best of many.
    """
    bound = val.lowest_bound(precision)
    fitted, reached = val.at(bound), test.at(bound)
    return {
        "wanted_precision": precision,
        "bound": bound,
        "val_coverage": fitted["coverage"],
        "val_precision": fitted["precision"],
        "test_coverage": reached["coverage"],
        "test_precision": reached["precision"],
        "left_to_person": reached["left_to_person"],
    }
