"""How far fitted thresholds, and the F1 that they reach, depend on the documents of validation.

Groups of validation documents are drawn with replacement, as for confidence intervals; on each bootstrap sample
thresholds are fitted again (a refit), and applied to the same test split. A threshold that moves a lot is not known
well; how much that matters is seen from F1 on test. Beside it is the fall of F1 from validation, on which the
thresholds were fitted, to test, where gains that only fit the validation documents are lost again.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import Progress
from ipcascade.evaluation.bootstrap import group_weights
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.flat import flat_measures
from ipcascade.evaluation.options import DecodingOptions, ThresholdOptions
from ipcascade.evaluation.scored import Scored
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from ipcascade.evaluation.thresholds import Thresholds

MEASURES = ("f1_micro", "f1_macro_supported")
SHOWN = 0.05, 0.95
"""The quantiles of the refits that are shown, as low and high."""


def stability(
    val: Scored,
    test: Scored,
    tree: LabelTree,
    options: ThresholdOptions,
    decoding: DecodingOptions,
    refits: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Records per level: `MEASURES`, then threshold, and global_threshold where the method has one per level.

    fitted: with the thresholds fitted on val, of measures on test; mean, deviation (n - 1), low and high: over refits,
    None where there are none (deviation: fewer than two). Of measures also val, and fall = val - fitted. The numbers of
    threshold are means over the labels of the level: of thresholds, of each label's deviation, of its quantiles.
    """
    fitted = fit_thresholds(val.truth, val.probabilities, tree, options, decoding, seed)
    refitted = list(_refits(val, tree, options, decoding, refits, seed))
    on_val, on_test = (_f1(split, fitted, tree, decoding) for split in (val, test))
    again_on_test = [_f1(test, thresholds, tree, decoding) for thresholds in refitted]
    records = []
    for level, columns in tree.columns.items():
        for measure in MEASURES:
            name = f"{level}.{measure}"
            moved = [[found[name]] for found in again_on_test]
            records.append(_record(level, measure, on_test[name], moved, on_val[name]))
        values = [thresholds.values[columns] for thresholds in refitted]
        records.append(_record(level, "threshold", float(fitted.values[columns].mean()), values))
        if level in (of_level := _global_thresholds(fitted)):
            moved = [[_global_thresholds(thresholds)[level]] for thresholds in refitted]
            records.append(_record(level, "global_threshold", of_level[level], moved))
    return records


def _refits(
    val: Scored, tree: LabelTree, options: ThresholdOptions, decoding: DecodingOptions, refits: int, seed: int
) -> Iterator[Thresholds]:
    """The thresholds of each bootstrap sample of the groups of val."""
    group = val.group_numbers()
    documents = np.arange(len(group))
    with Progress("refits of thresholds", refits, "refits") as progress:
        for some in group_weights(int(group.max()) + 1, refits, seed):
            for weights in some.astype(np.int64):
                drawn = np.repeat(documents, weights[group])
                yield fit_thresholds(val.truth[drawn], val.probabilities[drawn], tree, options, decoding, seed)
                progress.advance()


def _f1(split: Scored, thresholds: Thresholds, tree: LabelTree, decoding: DecodingOptions) -> dict[str, float]:
    """`MEASURES` of each level, by dotted names."""
    predicted = decode(split.probabilities, thresholds.values, tree, decoding)
    found: dict[str, float] = {}
    for level, columns in tree.columns.items():
        measures = flat_measures(split.truth[:, columns], predicted[:, columns])
        found |= {f"{level}.{name}": measures[name] for name in MEASURES}
    return found


def _global_thresholds(thresholds: Thresholds) -> dict[str, float]:
    """The threshold of each level that the method fits, or starts from; empty where it has none."""
    facts = thresholds.facts if thresholds.method == "global" else thresholds.facts.get("global", {})
    return {level: of_level["threshold"] for level, of_level in facts.items()}


def _record(
    level: str,
    quantity: str,
    fitted: float,
    refitted: Sequence[Sequence[float] | np.ndarray],
    on_val: float | None = None,
) -> dict[str, Any]:
    """refitted: [refits, values]; what is said of each value over the refits, as the mean over the values."""
    over_refits: dict[str, Any] = dict.fromkeys(("mean", "deviation", "low", "high"))
    if refitted:
        values = np.array(refitted)
        over_refits["mean"] = float(values.mean())
        over_refits["low"], over_refits["high"] = np.quantile(values, SHOWN, axis=0).mean(axis=1).tolist()
    if len(refitted) > 1:
        over_refits["deviation"] = float(values.std(axis=0, ddof=1).mean())
    return {
        "level": level,
        "quantity": quantity,
        "val": on_val,
        "fitted": fitted,
        "fall": None if on_val is None else on_val - fitted,
        **over_refits,
    }
