"""One calibrated probability per label from the scores of several sources: a logistic regression per level.

The log-odds of a label are a weighted sum of what the sources say, with the same few weights for all labels of a level:

    log(p / (1 - p)) = shift + sum over sources of weight * score

This is stacking (Wolpert, 1992) by a logistic regression; of one source alone it is Platt's scaling (1999). Weights are
fitted on the validation split. So that thresholds are not fitted on probabilities that already know the answer, those
of the validation split come from cross-fitting: each document's are from weights fitted without its fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, check_content, read_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.core.schemas import FittedCombiner
from ipcascade.evidence.log_odds import LARGEST, probability
from ipcascade.evidence.options import NeighbourOptions

Scores = Mapping[str, np.ndarray]
"""Scores by source, each float32 [documents, labels], as `Evidence.scores` gives them."""


@dataclass(frozen=True)
class LevelWeights:
    """The logistic regression of a level: shift, and a weight per source, in the order of the combiner's sources."""

    shift: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Combiner:
    """Fitted weights, by level; `sources` names what they belong to. No levels: the only source as it is."""

    sources: tuple[str, ...]
    levels: dict[str, LevelWeights]

    def probabilities(self, scores: Scores, tree: LabelTree) -> np.ndarray:
        """float32 [documents, labels]. An infinite score decides: no document, or all, had the label in training."""
        if not self.levels:
            return probability(scores[self.sources[0]]).astype(np.float32)
        result = np.empty_like(scores[self.sources[0]])
        for level, columns in tree.columns.items():
            fitted = self.levels[level]
            of_sources = [scores[source][:, columns] for source in self.sources]
            known = np.all([np.isfinite(values) for values in of_sources], axis=0)
            total = np.full(known.shape, fitted.shift)
            for weight, values in zip(fitted.weights, of_sources, strict=True):
                total += weight * np.where(known, values, 0.0)
            decided = np.any([values == np.inf for values in of_sources], axis=0)
            result[:, columns] = np.where(known, probability(total), decided)
        return result

    def to_json(self) -> dict[str, Any]:
        """Plain data, which `read_combiner` reads from a file."""
        levels = {
            level: {"shift": fitted.shift, "weights": dict(zip(self.sources, fitted.weights, strict=True))}
            for level, fitted in self.levels.items()
        }
        return {"sources": list(self.sources), "levels": levels}


def read_combiner(path: Path, tree: LabelTree) -> tuple[Combiner, NeighbourOptions]:
    """A combiner.json: the combiner, and the options of the neighbours that it was fitted with.

    Raises UserError where the file is something else, damaged, or of another label tree.
    """
    content = read_json(path, FittedCombiner)
    check_content(NeighbourOptions, content["neighbours"], str(path), "neighbours")
    sources, fitted = tuple(content["sources"]), content["levels"]
    if fitted and set(fitted) != set(tree.levels):
        raise UserError(
            f"{path} is of the levels {', '.join(fitted)}, the label tree of {', '.join(tree.levels)}; {MAKE_AGAIN}"
        )
    if any(set(level["weights"]) != set(sources) for level in fitted.values()) or (not fitted and len(sources) > 1):
        raise UserError(f"{path} does not have a weight for each of {', '.join(sources)}; {MAKE_AGAIN}")
    levels = {
        name: LevelWeights(level["shift"], tuple(level["weights"][source] for source in sources))
        for name, level in fitted.items()
    }
    return Combiner(sources, levels), NeighbourOptions.model_validate(content["neighbours"])


def fit_combiner(scores: Scores, truth: np.ndarray, tree: LabelTree) -> Combiner:
    """Fit the weights of all levels by maximum likelihood; truth: bool [documents, labels].

    Where no document has any label of a level, or all have all, the shift alone says so.
    """
    levels = {}
    for level, columns in tree.columns.items():
        features = np.stack([values[:, columns].ravel() for values in scores.values()], axis=1)
        known = np.isfinite(features).all(axis=1)
        levels[level] = _level_weights(features[known], truth[:, columns].ravel()[known])
    return Combiner(tuple(scores), levels)


def combine(
    val: Scores, truth: np.ndarray, groups: np.ndarray, test: Scores, tree: LabelTree, folds: int, seed: int
) -> tuple[Combiner, np.ndarray, np.ndarray]:
    """The combiner fitted on the validation split, and the probabilities of both splits: float32 [documents, labels].

    val, test: the scores of the splits; truth, groups: of the validation split, whose probabilities are `cross_fitted`.
    """
    combiner = fit_combiner(val, truth, tree)
    return combiner, cross_fitted(val, truth, groups, tree, folds, seed), combiner.probabilities(test, tree)


def _level_weights(features: np.ndarray, positives: np.ndarray) -> LevelWeights:
    """features: [documents * labels, sources]; positives: bool [documents * labels]."""
    count = features.shape[1]
    if not positives.size or not positives.any() or positives.all():
        return LevelWeights(LARGEST if positives.size and positives.all() else -LARGEST, (0.0,) * count)
    # Standardised, so that the little regularisation, which keeps weights finite where few documents are separated
    # without an error, means the same for every source.
    centre, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1
    machine = LogisticRegression(C=100.0, solver="newton-cholesky").fit((features - centre) / spread, positives)
    weights = machine.coef_[0] / spread
    shift = machine.intercept_[0] - weights @ centre
    return LevelWeights(float(shift), tuple(float(weight) for weight in weights))


def cross_fitted(
    scores: Scores, truth: np.ndarray, groups: np.ndarray, tree: LabelTree, folds: int, seed: int
) -> np.ndarray:
    """Probabilities of documents by combiners fitted without them: float32 [documents, labels].

    groups: one name per document; a group is in one fold. With fewer groups than folds there are fewer folds, and with
    a single one there is nothing to fit on without it: its own combiner gives the probabilities.
    """
    fold = _folds(groups, folds, seed)
    result = np.empty(truth.shape, dtype=np.float32)
    for number in range(fold.max() + 1):
        here = fold == number
        there = ~here if fold.max() else here
        combiner = fit_combiner({name: values[there] for name, values in scores.items()}, truth[there], tree)
        result[here] = combiner.probabilities({name: values[here] for name, values in scores.items()}, tree)
    return result


def _folds(groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each document, int64 [documents]: groups in the order of their names, shuffled, dealt in turn."""
    names, of_document = np.unique(groups, return_inverse=True)
    dealt = np.empty(len(names), dtype=np.int64)
    dealt[stream(seed, "combiner folds").permutation(len(names))] = np.arange(len(names)) % folds
    return dealt[of_document]
