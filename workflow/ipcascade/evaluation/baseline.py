"""The linear baseline, for the same evaluation code: TF-IDF and one linear SVM per label, with calibrated scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import Progress
from ipcascade.core.random_streams import stream_seed
from ipcascade.evaluation.options import BaselineOptions

SCORED = ("val", "test")


def fit_and_score(
    texts: Mapping[str, Sequence[str]],
    truth: Mapping[str, np.ndarray],
    tree: LabelTree,
    options: BaselineOptions,
    seed: int,
) -> dict[str, np.ndarray]:
    """Fit on the split `train`; return probabilities, float32 [documents, labels], for `val` and `test`.

    texts and truth (bool [documents, labels]) by split. A label without training documents has probability 0, one that
    all of them have 1. Decision values become probabilities by Platt's scaling, one logistic curve per level, fitted
    on `val`; it rises, so it changes no ranking within a label. Where no validation document has a label of a level,
    the level's probabilities are 0; where all have all of them, 1.

    Raises UserError where no n-gram is in as many training documents as the options ask for.
    """
    decisions = _decisions(texts, truth["train"], options, seed)
    scores = {split: np.empty_like(values) for split, values in decisions.items()}
    for columns in tree.columns.values():
        curve = _logistic_curve(decisions["val"][:, columns], truth["val"][:, columns])
        for split in SCORED:
            scores[split][:, columns] = _probabilities(decisions[split][:, columns], *curve)
    return scores


def _decisions(
    texts: Mapping[str, Sequence[str]], in_training: np.ndarray, options: BaselineOptions, seed: int
) -> dict[str, np.ndarray]:
    """Signed distances from each label's hyperplane, float32 [documents, labels], by scored split.

    -inf for a label that no training document has, inf for one that all have.
    """
    vectorizer = TfidfVectorizer(
        ngram_range=(1, options.ngrams), min_df=options.minimum_documents, max_features=options.maximum_features,
        sublinear_tf=True, dtype=np.float32,
    )  # fmt: skip
    try:
        to_learn = vectorizer.fit_transform(texts["train"])
    except ValueError as error:  # by its kind only for a vocabulary without words
        raise UserError(
            f"baseline.minimum_documents is {options.minimum_documents:,}, but no word of two letters or more is in so "
            f"many of the {len(texts['train']):,} training documents; lower it"
        ) from error
    features = {split: vectorizer.transform(texts[split]) for split in SCORED}
    labels = in_training.shape[1]
    decisions = {split: np.full((len(texts[split]), labels), -np.inf, dtype=np.float32) for split in SCORED}
    with Progress("linear SVMs", labels, "labels") as progress:
        for label in range(labels):
            positives = in_training[:, label]
            if positives.all():
                for split in SCORED:
                    decisions[split][:, label] = np.inf
            elif positives.any():
                machine = LinearSVC(C=options.c, random_state=stream_seed(seed, "baseline", label) % 2**32)
                machine.fit(to_learn, positives)
                for split in SCORED:
                    decisions[split][:, label] = machine.decision_function(features[split])
            progress.advance()
    return decisions


def _logistic_curve(decisions: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope and shift of a level's curve, fitted on all its documents and labels with finite decisions."""
    fitted = np.isfinite(decisions)
    positives = truth[fitted]
    if not positives.size:
        return 0.0, 0.0
    if positives.all() or not positives.any():
        return 0.0, np.inf if positives.all() else -np.inf
    curve = LogisticRegression(C=np.inf).fit(decisions[fitted].reshape(-1, 1), positives)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


def _probabilities(decisions: np.ndarray, slope: float, shift: float) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        calibrated = 1 / (1 + np.exp(-(slope * decisions + shift)))
    # Labels without a hyperplane: none or all of the training documents have them.
    return np.where(np.isfinite(decisions), calibrated, decisions > 0)
