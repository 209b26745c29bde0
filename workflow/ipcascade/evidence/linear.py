"""The linear source: TF-IDF and one linear support-vector machine per label, kept without pickle."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from ipcascade.core.errors import UserError
from ipcascade.core.files import final_path, folder_written_whole
from ipcascade.core.names import LINEAR_WEIGHTS, VOCABULARY
from ipcascade.core.progress import Progress
from ipcascade.core.random_streams import stream_seed
from ipcascade.core.tensors import check_finite, load_tensors, save_tensors
from ipcascade.evidence.options import LinearOptions

REMEDY = "delete the folder and make it again"


@dataclass(frozen=True)
class LinearModel:
    """A hyperplane per label over TF-IDF features.

    vocabulary: the n-grams, one per feature; ngrams: words of the longest that is counted; idf: float32 [features];
    weights: float32 [features, labels], sparse, since most n-grams are in no support vector of a label; shifts: float32
    [labels], -inf for a label that no training document has and inf for one that all have.
    """

    vocabulary: list[str]
    ngrams: int
    idf: np.ndarray
    weights: sparse.csr_matrix
    shifts: np.ndarray

    def decisions(self, texts: Sequence[str]) -> np.ndarray:
        """Signed distances from each label's hyperplane, float32 [texts, labels]; infinite where the shift is."""
        return (self._vectorizer.transform(texts) @ self.weights).toarray() + self.shifts

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        vectorizer = _vectorizer(self.ngrams, vocabulary={word: column for column, word in enumerate(self.vocabulary)})
        vectorizer.idf_ = self.idf
        return vectorizer

    def write(self, folder: Path) -> None:
        """Write the folder whole: linear.safetensors and vocabulary.txt. Weights are kept in half precision."""
        with folder_written_whole(folder) as part:
            tensors = {
                "idf": self.idf,
                "shifts": self.shifts,
                "ngrams": np.array(self.ngrams),
                "weights.values": self.weights.data.astype(np.float16),
                "weights.labels": self.weights.indices.astype(_label_type(len(self.shifts))),
                "weights.starts": self.weights.indptr.astype(np.int64),
            }
            save_tensors(part / LINEAR_WEIGHTS, {name: torch.from_numpy(array) for name, array in tensors.items()})
            (part / VOCABULARY).write_text("".join(f"{word}\n" for word in self.vocabulary), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, labels: int) -> "LinearModel":
        """The inverse of `write`, but for the precision of the weights; labels: those of the label tree.

        Raises UserError where the folder is not complete or of another number of labels.
        """
        path = folder / LINEAR_WEIGHTS
        tensors = load_tensors(path, REMEDY)
        found = len(tensors["shifts"]) if "shifts" in tensors else labels
        if found != labels:
            raise UserError(f"{path} is of {found} labels, the label tree of {labels}; {REMEDY}")
        expected = {
            "idf": torch.float32, "shifts": torch.float32, "ngrams": torch.int64, "weights.values": torch.float16,
            "weights.labels": torch.int16 if _label_type(labels) is np.int16 else torch.int32,
            "weights.starts": torch.int64,
        }  # fmt: skip
        if {name: tensor.dtype for name, tensor in tensors.items()} != expected:
            raise UserError(f"{path} does not hold a linear model; {REMEDY}")
        check_finite(path, {name: tensors[name] for name in ("idf", "weights.values")}, REMEDY)
        vocabulary = _read_vocabulary(folder / VOCABULARY)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        if len(arrays["idf"]) != len(vocabulary):
            raise UserError(f"{folder}: {VOCABULARY} does not belong to {LINEAR_WEIGHTS}; {REMEDY}")
        values, columns = arrays["weights.values"].astype(np.float32), arrays["weights.labels"].astype(np.int32)
        weights = sparse.csr_matrix((len(vocabulary), labels), dtype=np.float32)
        weights.data, weights.indices, weights.indptr = values, columns, arrays["weights.starts"]
        try:
            weights.check_format(full_check=True)
        except ValueError as error:
            raise UserError(f"{path} does not hold a linear model: {error}; {REMEDY}") from error
        return cls(vocabulary, int(arrays["ngrams"]), arrays["idf"], weights, arrays["shifts"])


def _label_type(labels: int) -> type[np.integer]:
    """The smallest type of numbers that can hold the columns of so many labels."""
    return np.int16 if labels <= np.iinfo(np.int16).max else np.int32


def _read_vocabulary(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, ValueError) as error:
        raise UserError(f"{final_path(path)} could not be read: {error}; {REMEDY}") from error


def fit_linear(texts: Sequence[str], truth: np.ndarray, options: LinearOptions, seed: int) -> LinearModel:
    """Fit one machine per label on the training split; truth: bool [texts, labels].

    A label that no training document has, or that all have, has no hyperplane; its shift is -inf or inf.
    Raises UserError where no n-gram is in as many documents as the options ask for.
    """
    vectorizer = _vectorizer(
        options.ngrams, min_df=options.minimum_documents, max_features=options.maximum_features
    )  # fmt: skip
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError as error:  # by its kind only for a vocabulary without words
        raise UserError(
            f"evidence.linear.minimum_documents is {options.minimum_documents:,}, but no word of two letters or more "
            f"is in so many of the {len(texts):,} training documents; lower it"
        ) from error
    labels = truth.shape[1]
    columns: list[sparse.csc_matrix] = []
    shifts = np.where(truth.all(axis=0), np.inf, -np.inf).astype(np.float32)
    with Progress("linear SVMs", labels, "labels") as progress:
        for label in range(labels):
            weights = np.zeros(features.shape[1])
            if truth[:, label].any() and not truth[:, label].all():
                machine = LinearSVC(C=options.c, random_state=stream_seed(seed, "linear", label) % 2**32)
                machine.fit(features, truth[:, label])
                weights, shifts[label] = machine.coef_[0], machine.intercept_[0]
            weights = np.where(np.abs(weights) < options.smallest_weight, 0, weights)
            # In half precision, as they are kept: what is below its range is no weight.
            columns.append(sparse.csc_matrix(weights.astype(np.float16).astype(np.float32)[:, None]))
            progress.advance()
    vocabulary = list(vectorizer.get_feature_names_out())
    return LinearModel(vocabulary, options.ngrams, vectorizer.idf_, sparse.hstack(columns, format="csr"), shifts)


def _vectorizer(ngrams: int, **options: object) -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, ngrams), sublinear_tf=True, dtype=np.float32, **options)
