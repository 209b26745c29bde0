"""Above which probability a label is decided; fitted on the validation split, never on the test split.

A label is decided where probability > threshold, strictly (see `decoding.py`). All thresholds lie in 0 to 1: one of 1
never decides, one of 0 decides all but a probability of exactly 0. A fitted threshold stands halfway between two
neighbouring probabilities of the validation split; in float64 the midpoint of two float32 numbers lies strictly below
the upper one and not below the lower one, so no document changes sides by rounding. Among equally good cuts the one
with the fewest decisions is taken.

Except for `reference`, which scores decoded label sets, thresholds are fitted on the probabilities as they are, before
the mask of decoding: the mask only deletes classes, and it would make the optimum depend on the sections' thresholds.

Every fit is exact by sorting once, O(n log n), where a grid would only come near.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .config import DecodingOptions, FixedThresholds, PerLabelOptions, ThresholdOptions
from .decoding import decode
from .doors import read_json
from .errors import UserError
from .metrics import check_probabilities, counts_above, exact_mean, reference_h_f1
from .randomness import stream
from .taxonomy import Taxonomy

NEVER = 1.0
"""The threshold of a level without a positive in validation: nothing says where it should lie."""

REFERENCE_GRID = tuple(step / 20 for step in range(2, 15))
"""The published grid of a level: 0.1, 0.15, ..., 0.7 (each the float nearest to its decimal, unlike np.arange's)."""


@dataclass(frozen=True)
class Thresholds:
    """Fitted thresholds and how they came about.

    values: float64 [labels] in taxonomy order; method: as in the config; facts: what a reader wants to know of the
    fit, plain data (the score reached, the labels that fell back and why).
    """

    values: np.ndarray
    method: str
    facts: dict[str, Any]

    def to_json(self, taxonomy: Taxonomy) -> dict[str, Any]:
        """Plain data with one threshold a label code; `from_json` gives the same values back, bit for bit."""
        values = {code: float(value) for code, value in zip(taxonomy.labels, self.values, strict=True)}
        return {"method": self.method, "thresholds": values, "facts": self.facts}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], taxonomy: Taxonomy) -> "Thresholds":
        """The inverse of `to_json`. Raises UserError where the codes are not those of the taxonomy."""
        values = content["thresholds"]
        strange = sorted(set(values) ^ set(taxonomy.labels))
        if strange:
            holders = "thresholds have" if strange[0] in values else "taxonomy has"
            raise UserError(
                f"thresholds and taxonomy do not belong together: only the {holders} the label {strange[0]!r}; "
                "fit the thresholds again"
            )
        return cls(
            np.array([values[code] for code in taxonomy.labels], dtype=np.float64), content["method"], content["facts"]
        )


def read_thresholds(path: Path, taxonomy: Taxonomy) -> tuple[Thresholds, DecodingOptions]:
    """A thresholds.json: the thresholds, and the decoding that they were fitted for and are to be applied with.

    Raises UserError where the file is something else, or of another taxonomy.
    """
    content = read_json(path)
    if missing := {"method", "thresholds", "facts", "decoding"} - content.keys():
        raise UserError(f"{path} holds no fitted thresholds: it lacks {min(missing)!r}")
    return Thresholds.from_json(content, taxonomy), DecodingOptions.model_validate(content["decoding"])


def fit(
    truth: np.ndarray,
    probabilities: np.ndarray,
    taxonomy: Taxonomy,
    options: ThresholdOptions,
    decoding: DecodingOptions,
    seed: int,
) -> Thresholds:
    """Thresholds by the method that the options name.

    truth: bool [documents, labels]; probabilities: float32 [documents, labels], both of the validation split.
    Raises UserError for a probability outside 0 to 1.
    """
    check_probabilities(probabilities, taxonomy)
    match options.method:
        case "fixed":
            return fixed(options.fixed, taxonomy)
        case "global":
            return global_optimum(truth, probabilities, taxonomy)
        case "per_label":
            return per_label(truth, probabilities, taxonomy, options.per_label, seed)
        case "reference":
            return reference_grid(truth, probabilities, taxonomy, decoding)


def fixed(options: FixedThresholds, taxonomy: Taxonomy) -> Thresholds:
    """The options' number for each level."""
    values = level_values(options.section, options.class_, taxonomy)
    return Thresholds(values, "fixed", {"section": options.section, "class": options.class_})


def global_optimum(truth: np.ndarray, probabilities: np.ndarray, taxonomy: Taxonomy) -> Thresholds:
    """For each level the one threshold with the highest micro-F1, exactly.

    facts: threshold and f1_micro a level. A level without positives gets `NEVER`.
    """
    facts = {}
    for level, columns in taxonomy.columns.items():
        threshold, f1 = best_f1(truth[:, columns].ravel(), probabilities[:, columns].ravel())
        facts[level] = {"threshold": threshold, "f1_micro": f1}
    values = level_values(facts["section"]["threshold"], facts["class"]["threshold"], taxonomy)
    return Thresholds(values, "global", facts)


def per_label(
    truth: np.ndarray, probabilities: np.ndarray, taxonomy: Taxonomy, options: PerLabelOptions, seed: int
) -> Thresholds:
    """One threshold a label, with a guard, for a rare label tuned alone overfits its few documents.

    `scutfbr`: the label's exact F1 maximum; a label whose maximum is below `floor`, or with fewer than
    `minimum_positives` positives, takes its level's global threshold. (SCutFBR of Yang, 2001, falls back to the
    highest validation score or to never instead, which gives up the rare labels.)

    `joint`: see `_joint`. A label without positives takes its level's global threshold: its absence from validation
    says nothing about where its threshold lies.

    facts: guard, the level's global optimum, and fallen_back: {code: reason}.
    """
    everywhere = global_optimum(truth, probabilities, taxonomy)
    support = truth.sum(axis=0)
    if options.guard == "joint":
        values = _joint(truth, probabilities, taxonomy, options.folds, seed)
        fallen_back = {code: "positives: 0" for code in taxonomy.labels if not support[taxonomy.index[code]]}
    else:
        values, fallen_back = np.empty(len(taxonomy.labels)), {}
        for label, code in enumerate(taxonomy.labels):
            values[label], f1 = best_f1(truth[:, label], probabilities[:, label])
            if support[label] < options.minimum_positives:
                fallen_back[code] = f"positives: {support[label]}"
            elif f1 < options.floor:
                fallen_back[code] = f"best F1: {f1:.4f}"
    for code in fallen_back:
        values[taxonomy.index[code]] = everywhere.values[taxonomy.index[code]]
    return Thresholds(
        values, "per_label", {"guard": options.guard, "global": everywhere.facts, "fallen_back": fallen_back}
    )


def reference_grid(
    truth: np.ndarray, probabilities: np.ndarray, taxonomy: Taxonomy, decoding: DecodingOptions
) -> Thresholds:
    """The published search: the pair of `REFERENCE_GRID` x `REFERENCE_GRID` whose decoded label sets have the highest
    mean reference H-F1. Among equals the lowest section threshold wins, then the lowest class threshold.

    facts: section, class and h_f1 of the best pair.
    """
    best: tuple[float, float, float] | None = None
    for section in REFERENCE_GRID:
        for class_ in REFERENCE_GRID:
            predicted = decode(probabilities, level_values(section, class_, taxonomy), taxonomy, decoding)
            h_f1 = exact_mean(reference_h_f1(truth, predicted, taxonomy))
            if best is None or h_f1 > best[0]:
                best = h_f1, section, class_
    assert best is not None
    h_f1, section, class_ = best
    facts = {"section": section, "class": class_, "h_f1": h_f1}
    return Thresholds(level_values(section, class_, taxonomy), "reference", facts)


def level_values(section: float, class_: float, taxonomy: Taxonomy) -> np.ndarray:
    """One number a level as one a label: float64 [labels]."""
    return np.repeat([float(section), float(class_)], [len(taxonomy.sections), len(taxonomy.classes)])


def best_f1(truth: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
    """The threshold with the highest F1 over cells [cells], and that F1; `NEVER` and 0 where no cut has a hit."""
    values, positives, decided = counts_above(truth, probabilities)
    f1 = 2 * positives / (decided + positives[-1])
    f1[values == 0] = 0  # a probability of 0 is not above any threshold
    best = int(np.argmax(f1))
    return (_below(values, best), float(f1[best])) if f1[best] > 0 else (NEVER, 0.0)


def _joint(truth: np.ndarray, probabilities: np.ndarray, taxonomy: Taxonomy, folds: int, seed: int) -> np.ndarray:
    """The micro+macro method of Lin and Lin ("On the Thresholding Strategy for Infrequent Labels in Multi-label
    Classification", CIKM 2023, section 4.3; `train_thresholding` of LibMultiLabel), float64 [labels].

    Level by level, labels are taken by descending frequency. The documents are dealt into folds anew for each label;
    in each fold the cut is chosen that maximises

        F1 of the label in the fold / j  +  2 (TP + tp) / (2 (TP + tp) + (FP + fp) + (FN + fn))

    where j counts the labels so far, this one included, tp, fp and fn are the label's counts in the fold, and TP, FP
    and FN the counts of all labels before it at their chosen cuts, summed over folds: its share of macro-F1, plus
    the running micro-F1. The label's threshold is the mean over folds. Deciding nothing is a cut too (at the highest
    probability of the fold). The original trains a model a fold; here the folds only steady the threshold.
    """
    thresholds = np.empty(len(taxonomy.labels))
    folds = min(folds, len(truth))
    for columns in taxonomy.columns.values():
        labels = np.arange(columns.start, columns.stop)
        labels = labels[np.argsort(-truth[:, labels].sum(axis=0), kind="stable")]
        running_hits, running_total = 0, 0  # TP, and 2 TP + FP + FN
        for rank, label in enumerate(labels, start=1):
            deal = stream(seed, "thresholds", "joint", taxonomy.labels[label]).permutation(len(truth))
            cuts: list[float] = []
            hits, totals = 0, 0
            for fold in np.array_split(deal, folds):
                values, fold_hits, fold_decided = counts_above(truth[fold, label], probabilities[fold, label])
                possible = values > 0
                # The first cut decides nothing.
                tp = np.append(0, fold_hits[possible])
                total = np.append(0, fold_decided[possible]) + fold_hits[-1]
                f1 = np.divide(2 * tp, total, out=np.zeros(len(tp)), where=total > 0)
                running = running_total + total
                micro = np.divide(2 * (running_hits + tp), running, out=np.zeros(len(tp)), where=running > 0)
                best = int(np.argmax(f1 / rank + micro))
                cuts.append(_below(values, best - 1) if best else float(values[0]))
                hits += int(tp[best])
                totals += int(total[best])
            thresholds[label] = sum(cuts) / folds
            running_hits += hits
            running_total += totals
    return thresholds


def _below(values: np.ndarray, position: int) -> float:
    """Halfway from values[position] to the next lower one, or to 0 below the last: decides that value, no lower one."""
    lower = float(values[position + 1]) if position + 1 < len(values) else 0.0
    return (float(values[position]) + lower) / 2
