"""The linear baseline through the same doors: TF-IDF and one linear SVM a label, with calibrated scores."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from .config import BaselineOptions
from .progress import Progress
from .randomness import stream_seed
from .taxonomy import Taxonomy


def fit_and_score(
    texts: dict[str, list[str]], truth: dict[str, np.ndarray], taxonomy: Taxonomy, options: BaselineOptions, seed: int
) -> dict[str, np.ndarray]:
    """Fit on the split `train`; return probabilities, float32 [documents, labels], for `val` and `test`.

    texts and truth (bool [documents, labels]) by split. A label without training documents has probability 0.
    Decision values become probabilities by Platt's scaling, one logistic curve a level, fitted on `val`: monotone, so
    it changes no ranking within a label.
    """
    vectorizer = TfidfVectorizer(
        ngram_range=(1, options.ngrams), min_df=options.minimum_documents, max_features=options.maximum_features,
        sublinear_tf=True, dtype=np.float32,
    )  # fmt: skip
    features = {"train": vectorizer.fit_transform(texts["train"])}
    features |= {split: vectorizer.transform(texts[split]) for split in ("val", "test")}
    decisions = {split: np.full(truth[split].shape, -np.inf, dtype=np.float32) for split in ("val", "test")}
    with Progress("linear SVMs", len(taxonomy.labels), "labels") as progress:
        for label in range(len(taxonomy.labels)):
            positives = truth["train"][:, label]
            if positives.all():
                for split in decisions:
                    decisions[split][:, label] = np.inf
            elif positives.any():
                machine = LinearSVC(C=options.c, random_state=stream_seed(seed, "baseline", label) % 2**32)
                machine.fit(features["train"], positives)
                for split in decisions:
                    decisions[split][:, label] = machine.decision_function(features[split])
            progress.advance()
    scores = {split: np.empty_like(values) for split, values in decisions.items()}
    for columns in taxonomy.columns.values():
        fitted = decisions["val"][:, columns]
        seen = np.isfinite(fitted)
        curve = LogisticRegression(C=np.inf).fit(fitted[seen].reshape(-1, 1), truth["val"][:, columns][seen])
        slope, shift = float(curve.coef_[0, 0]), float(curve.intercept_[0])
        for split in scores:
            of_level = decisions[split][:, columns]
            with np.errstate(over="ignore", invalid="ignore"):
                calibrated = 1 / (1 + np.exp(-(slope * of_level + shift)))
            # Labels without a machine: never or always there in training.
            scores[split][:, columns] = np.where(np.isfinite(of_level), calibrated, of_level > 0)
    return scores
