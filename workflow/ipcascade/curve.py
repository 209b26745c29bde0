"""The measures of one epoch, as columns of the history.

Measures of decisions stand there under three kinds of thresholds: `fixed.*` at fixed ones, `global.*` at the best one a
level, `reference.*` at the best pair of the published grid. Measures of probabilities need none and have no prefix.
Thresholds are fitted on the documents they are measured on (validation), so the columns serve to follow a training and
to choose its best epoch, not as results.
"""

import numpy as np

from .config import DecodingOptions, FixedThresholds, ValidationOptions
from .decoding import decode
from .errors import UserError
from .metrics import decision_measures, flatten, probability_measures, selectable_names
from .taxonomy import Taxonomy
from .thresholds import fixed, global_optimum, reference_grid

METHODS = ("fixed", "global", "reference")


def measures_of_epoch(
    truth: np.ndarray, scores: np.ndarray, taxonomy: Taxonomy, options: ValidationOptions
) -> dict[str, float | None]:
    """Measures by column name. truth: bool [documents, labels]; scores: float32 of the same shape."""
    decoding = DecodingOptions(confidence=options.mask_confidence)
    constants = FixedThresholds(**{"section": options.fixed_section, "class": options.fixed_class})
    thresholds = {
        "fixed": fixed(constants, taxonomy),
        "global": global_optimum(truth, scores, taxonomy),
        "reference": reference_grid(truth, scores, taxonomy, decoding),
    }
    columns = flatten(probability_measures(truth, scores, taxonomy))
    for method in METHODS:
        predicted = decode(scores, thresholds[method].values, taxonomy, decoding)
        measures = flatten(decision_measures(truth, predicted, taxonomy))
        columns |= {f"{method}.{name}": value for name, value in measures.items()}
    return columns


def check_select_by(name: str, taxonomy: Taxonomy) -> None:
    """Raise UserError where `name` is no column of measures that is better the higher it is."""
    nothing = np.zeros((1, len(taxonomy.labels)), dtype=bool)
    decisions = flatten(decision_measures(nothing, nothing, taxonomy))
    higher_is_better = selectable_names(taxonomy)
    ranking = [measure for measure in higher_is_better if measure not in decisions]
    of_decisions = [measure for measure in higher_is_better if measure in decisions]
    if name not in {*ranking, *(f"{method}.{measure}" for method in METHODS for measure in of_decisions)}:
        raise UserError(
            f"training.select_by: there is no measure {name!r} to choose an epoch by; there are "
            f"{', '.join(ranking)}, and after one of {', '.join(f'{method}.' for method in METHODS)} "
            f"{', '.join(of_decisions)}"
        )
