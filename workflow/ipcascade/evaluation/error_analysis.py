"""Where the errors of one level are: which labels are taken for which, which labels and documents go wrong."""

from typing import Any, NamedTuple

import numpy as np

from ipcascade.evaluation.counts import clipped, precision_recall_f1


class Pair(NamedTuple):
    """A missed label and one that was predicted instead, columns of the level; in how many documents, their weight."""

    true: int
    predicted: int
    documents: int
    weight: float


def confused_pairs(truth: np.ndarray, predicted: np.ndarray) -> list[Pair]:
    """The pairs of a missed label and one that was predicted instead, the most confused first.

    truth, predicted: bool [documents, labels of the level]. With several labels per document nobody can say which
    wrong label stands for which missed one. So a document with m missed labels and w wrong ones counts for each of its
    m * w pairs, in `documents` as 1 and in `weight` as 1 / (m * w), so that its weights sum to 1. A document with
    missed labels alone, or with wrong ones alone, has no pair. They are ordered by weight, equals by documents and by
    tree order.
    """
    missed, wrong = truth & ~predicted, predicted & ~truth
    pairs = missed.sum(axis=1) * wrong.sum(axis=1)
    documents = np.zeros((truth.shape[1], truth.shape[1]), dtype=np.int64)
    weight = np.zeros(documents.shape)
    # Documents with equally many pairs are counted together. Counts are whole numbers, which a matrix product sums
    # exactly in any order; so the weights are the same bytes whatever the order of documents and the threads.
    for of_document in np.unique(pairs[pairs > 0]).tolist():
        these = pairs == of_document
        counts = np.rint(missed[these].T.astype(np.float32) @ wrong[these].astype(np.float32)).astype(np.int64)
        documents += counts
        weight += counts / of_document
    true, instead = np.nonzero(documents)
    order = np.lexsort((instead, true, -documents[true, instead], -weight[true, instead]))
    return [
        Pair(row, column, int(documents[row, column]), float(weight[row, column]))
        for row, column in zip(true[order].tolist(), instead[order].tolist(), strict=True)
    ]


def by_frequency(truth: np.ndarray, predicted: np.ndarray, training_truth: np.ndarray) -> list[dict[str, Any]]:
    """One record per label: train_documents, support, predicted, precision, recall, f1.

    truth, predicted: bool [documents, labels of the level]; training_truth: of the training documents, likewise.
    """
    support, predictions = truth.sum(axis=0), predicted.sum(axis=0)
    measures = precision_recall_f1((truth & predicted).sum(axis=0), predictions, support)
    train_documents = training_truth.sum(axis=0)
    return [
        {
            "train_documents": int(train_documents[label]),
            "support": int(support[label]),
            "predicted": int(predictions[label]),
            **{name: float(values[label]) for name, values in measures.items()},
        }
        for label in range(truth.shape[1])
    ]


def document_losses(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """float64 [documents]: the mean binary cross-entropy of a document's labels; their mean is the level's log loss.

    truth: bool, probabilities: float32, [documents, labels of the level].
    """
    inside = clipped(probabilities)
    return -np.log(np.where(truth, inside, 1 - inside)).mean(axis=1)


def worst_documents(losses: np.ndarray, number: int) -> list[int]:
    """Positions of the documents with the highest losses, the highest first, equals in their order."""
    return np.argsort(-losses, kind="stable")[:number].tolist()
