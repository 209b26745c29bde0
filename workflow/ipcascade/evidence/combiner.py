"""One calibrated probability per label from the scores of several sources: a logistic regression per level.

The log-odds of a label are a weighted sum of what the sources say, with the same few weights for all labels of a level:

    log(p / (1 - p)) = shift + sum over sources of weight * score

This is stacking (Wolpert, 1992) by a logistic regression; of one source alone it is Platt's scaling (1999). Two things
are added to it where the numbers of training documents are given:

- Shift and weights change with the logarithm of 1 + the label's training documents, linearly. A network that has seen a
  label a thousand times is to be believed more than one that has seen it twice; for neighbours it is the other way.
- A label that has others below it is as probable as its own sources and the labels below make it: a second regression,
  of the level's log-odds and of those that at least one label below holds, were they independent (a noisy or).

Weights are fitted on the validation split. So that thresholds are not fitted on probabilities that already know the
answer, those of the validation split come from cross-fitting: each document's are from weights fitted without its fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from ipcascade.core.errors import UserError
from ipcascade.core.files import MAKE_AGAIN, check_content, read_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.core.schemas import FittedCombiner
from ipcascade.evidence.log_odds import LARGEST, log_odds, probability
from ipcascade.evidence.options import NeighbourOptions

# So that one sure label does not hide what the others say.
LARGEST_PROBABILITY = 1 - 1e-7
Scores = Mapping[str, np.ndarray]
"""Scores by source, each float32 [documents, labels], as `Evidence.scores` gives them."""


@dataclass(frozen=True)
class BelowWeights:
    """The second regression of a level: of its own log-odds, and of those that a label below holds."""

    shift: float
    own: float
    below: float


@dataclass(frozen=True)
class LevelWeights:
    """The logistic regression of a level: shift, and a weight per source, in the order of the combiner's sources.

    frequency_shift, frequency_weights: what they get per log(1 + training documents); no weights: nothing.
    below: None for the lowest level, and where labels below do not count.
    """

    shift: float
    weights: tuple[float, ...]
    frequency_shift: float = 0.0
    frequency_weights: tuple[float, ...] = ()
    below: BelowWeights | None = None


@dataclass(frozen=True)
class Combiner:
    """Fitted weights, by level; `sources` names what they belong to. No levels: the only source as it is.

    training_documents: of each label, in tree order; empty where they do not count.
    """

    sources: tuple[str, ...]
    levels: dict[str, LevelWeights]
    training_documents: tuple[int, ...] = ()

    def probabilities(self, scores: Scores, tree: LabelTree) -> np.ndarray:
        """float32 [documents, labels]. An infinite score decides: no document, or all, had the label in training."""
        if not self.levels:
            return probability(scores[self.sources[0]]).astype(np.float32)
        result = np.empty(scores[self.sources[0]].shape)
        for level in reversed(tree.levels):
            columns, fitted = tree.columns[level], self.levels[level]
            known, decided = _known([scores[source][:, columns] for source in self.sources])
            own = probability(self._log_odds(scores, columns, fitted, known))
            if fitted.below:
                parents = _with_children(tree, columns)
                of_both = _own_and_below(own[:, parents], result, tree, columns)
                own[:, parents] = probability(
                    fitted.below.shift + of_both @ np.array([fitted.below.own, fitted.below.below])
                )
            result[:, columns] = np.where(known, own, decided)
        return result.astype(np.float32)

    def _log_odds(self, scores: Scores, columns: slice, fitted: LevelWeights, known: np.ndarray) -> np.ndarray:
        """float64 [documents, labels of the level]: what the sources give together."""
        logs = np.log1p(np.array(self.training_documents[columns])) if fitted.frequency_weights else 0.0
        total = np.broadcast_to(fitted.shift + fitted.frequency_shift * logs, known.shape).copy()
        more = fitted.frequency_weights or (0.0,) * len(fitted.weights)
        for source, weight, per_log in zip(self.sources, fitted.weights, more, strict=True):
            total += (weight + per_log * logs) * np.where(known, scores[source][:, columns], 0.0)
        return total

    def to_json(self, tree: LabelTree) -> dict[str, Any]:
        """Plain data, which `read_combiner` reads from a file."""
        return {
            "sources": list(self.sources),
            "levels": {level: self._level_to_json(fitted) for level, fitted in self.levels.items()},
            "training_documents": dict(zip(tree.labels, self.training_documents, strict=True))
            if self.training_documents
            else None,
        }

    def _level_to_json(self, fitted: LevelWeights) -> dict[str, Any]:
        return {
            "shift": fitted.shift,
            "weights": dict(zip(self.sources, fitted.weights, strict=True)),
            "by_frequency": {
                "shift": fitted.frequency_shift,
                "weights": dict(zip(self.sources, fitted.frequency_weights, strict=True)),
            }
            if fitted.frequency_weights
            else None,
            "below": asdict(fitted.below) if fitted.below else None,
        }


def _known(of_sources: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Where all scores are finite, and where one is plus infinity; bool, the shape of each."""
    known = np.all([np.isfinite(values) for values in of_sources], axis=0)
    return known, np.any([values == np.inf for values in of_sources], axis=0)


def _with_children(tree: LabelTree, columns: slice) -> np.ndarray:
    """The positions of a level's labels that have others below them, within the level."""
    return np.flatnonzero(tree.has_children[columns])


def _own_and_below(own: np.ndarray, result: np.ndarray, tree: LabelTree, columns: slice) -> np.ndarray:
    """The log-odds of labels, and that at least one label below each holds: float64 [documents, labels, 2].

    own: the probabilities of a level's labels that have children; result: those of all labels, filled in below.
    """
    complements = np.log1p(-np.minimum(result, LARGEST_PROBABILITY))
    below = np.stack(
        [complements[:, tree.parent == columns.start + label].sum(axis=1) for label in _with_children(tree, columns)],
        axis=1,
    )
    return np.stack([log_odds(own), log_odds(-np.expm1(below))], axis=2).astype(np.float64)


def read_combiner(path: Path, tree: LabelTree) -> tuple[Combiner, NeighbourOptions]:
    """A combiner.json: the combiner, and the options of the neighbours that it was fitted with.

    Raises UserError where the file is something else, damaged, or of another label tree.
    """
    content = read_json(path, FittedCombiner)
    check_content(NeighbourOptions, content["neighbours"], str(path), "neighbours")
    sources, fitted, documents = tuple(content["sources"]), content["levels"], content["training_documents"]
    if fitted and set(fitted) != set(tree.levels):
        raise UserError(
            f"{path} is of the levels {', '.join(fitted)}, the label tree of {', '.join(tree.levels)}; {MAKE_AGAIN}"
        )
    per_source = [level["weights"] for level in fitted.values()]
    per_source += [level["by_frequency"]["weights"] for level in fitted.values() if level["by_frequency"]]
    if any(set(weights) != set(sources) for weights in per_source) or (not fitted and len(sources) > 1):
        raise UserError(f"{path} does not have a weight for each of {', '.join(sources)}; {MAKE_AGAIN}")
    if any(level["by_frequency"] for level in fitted.values()) and set(documents or ()) != set(tree.labels):
        raise UserError(f"{path} does not have the training documents of each label of the label tree; {MAKE_AGAIN}")
    levels = {name: _level_from_json(level, sources) for name, level in fitted.items()}
    counts = tuple(documents[code] for code in tree.labels) if documents else ()
    return Combiner(sources, levels, counts), NeighbourOptions.model_validate(content["neighbours"])


def _level_from_json(level: dict[str, Any], sources: Sequence[str]) -> LevelWeights:
    by_frequency = level["by_frequency"] or {"shift": 0.0, "weights": None}
    return LevelWeights(
        level["shift"],
        tuple(level["weights"][source] for source in sources),
        by_frequency["shift"],
        tuple(by_frequency["weights"][source] for source in sources) if by_frequency["weights"] else (),
        BelowWeights(**level["below"]) if level["below"] else None,
    )


def fit_combiner(
    scores: Scores, truth: np.ndarray, tree: LabelTree, training_documents: Sequence[int] = ()
) -> Combiner:
    """Fit the weights of all levels by maximum likelihood; truth: bool [documents, labels].

    training_documents: of each label, in tree order; without them neither these nor labels below count.
    Where no document has any label of a level, or all have all, the shift alone says so.
    """
    counts = tuple(int(count) for count in training_documents)
    combiner = Combiner(
        tuple(scores), {level: _level_weights(scores, truth, tree, level, counts) for level in tree.levels}, counts
    )
    if not counts:
        return combiner
    for level in reversed(tree.levels[:-1]):
        # Which needs the levels below as they finally are.
        below = _below_weights(combiner, scores, truth, tree, level)
        combiner = replace(combiner, levels={**combiner.levels, level: replace(combiner.levels[level], below=below)})
    return combiner


def _level_weights(
    scores: Scores, truth: np.ndarray, tree: LabelTree, level: str, counts: Sequence[int]
) -> LevelWeights:
    columns = tree.columns[level]
    of_sources = [values[:, columns] for values in scores.values()]
    known, _ = _known(of_sources)
    parts = [values[known] for values in of_sources]
    if counts:
        logs = np.broadcast_to(np.log1p(np.array(counts[columns])), known.shape)[known]
        parts = [*parts, logs, *(values * logs for values in parts)]
    features = np.stack(parts, axis=1)
    shift, weights = _regression(features, truth[:, columns][known])
    sources = len(of_sources)
    if not counts:
        return LevelWeights(shift, weights)
    return LevelWeights(shift, weights[:sources], weights[sources], weights[sources + 1 :])


def _below_weights(
    combiner: Combiner, scores: Scores, truth: np.ndarray, tree: LabelTree, level: str
) -> BelowWeights | None:
    """The second regression of a level, whose first one and all of the levels below are fitted."""
    columns = tree.columns[level]
    parents = _with_children(tree, columns)
    if not len(parents):
        return None
    probabilities = combiner.probabilities(scores, tree).astype(np.float64)
    features = _own_and_below(probabilities[:, columns][:, parents], probabilities, tree, columns)
    known, _ = _known([values[:, columns][:, parents] for values in scores.values()])
    shift, (own, below) = _regression(features[known], truth[:, columns][:, parents][known])
    return BelowWeights(shift, own, below)


def _regression(features: np.ndarray, positives: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """Shift and weights; features: [cells, features]; positives: bool [cells]."""
    count = features.shape[1]
    if not positives.size or not positives.any() or positives.all():
        return LARGEST if positives.size and positives.all() else -LARGEST, (0.0,) * count
    # Standardised, so that the little regularisation, which keeps weights finite where few documents are separated
    # without an error, means the same for every feature.
    centre, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    spread[spread == 0] = 1
    machine = LogisticRegression(C=100.0, solver="newton-cholesky").fit((features - centre) / spread, positives)
    weights = machine.coef_[0] / spread
    shift = machine.intercept_[0] - weights @ centre
    return float(shift), tuple(float(weight) for weight in weights)


def cross_fitted(
    scores: Scores,
    truth: np.ndarray,
    groups: np.ndarray,
    tree: LabelTree,
    folds: int,
    seed: int,
    training_documents: Sequence[int] = (),
) -> np.ndarray:
    """Probabilities of documents by combiners fitted without them: float32 [documents, labels].

    training_documents: as for `fit_combiner`. groups: one name per document; a group is in one fold. With fewer
    groups than folds there are fewer folds, and with a single one there is nothing to fit on without it: its own
    combiner gives the probabilities.
    """
    fold = _folds(groups, folds, seed)
    result = np.empty(truth.shape, dtype=np.float32)
    for number in range(fold.max() + 1):
        here = fold == number
        there = ~here if fold.max() else here
        others = {name: values[there] for name, values in scores.items()}
        combiner = fit_combiner(others, truth[there], tree, training_documents)
        result[here] = combiner.probabilities({name: values[here] for name, values in scores.items()}, tree)
    return result


def combine(
    val: Scores,
    truth: np.ndarray,
    groups: np.ndarray,
    test: Scores,
    tree: LabelTree,
    folds: int,
    seed: int,
    training_documents: Sequence[int] = (),
) -> tuple[Combiner, np.ndarray, np.ndarray]:
    """The combiner fitted on the validation split, and the probabilities of both splits: float32 [documents, labels].

    val, test: the scores of the splits; truth, groups: of the validation split, whose probabilities are `cross_fitted`;
    training_documents: as for `fit_combiner`.
    """
    combiner = fit_combiner(val, truth, tree, training_documents)
    of_val = cross_fitted(val, truth, groups, tree, folds, seed, training_documents)
    return combiner, of_val, combiner.probabilities(test, tree)


def _folds(groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each document, int64 [documents]: groups in the order of their names, shuffled, dealt in turn."""
    names, of_document = np.unique(groups, return_inverse=True)
    dealt = np.empty(len(names), dtype=np.int64)
    dealt[stream(seed, "combiner folds").permutation(len(names))] = np.arange(len(names)) % folds
    return dealt[of_document]
