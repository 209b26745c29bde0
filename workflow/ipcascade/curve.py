"""The measures of one epoch, as columns of the history: each measure under three kinds of thresholds.

`fixed.*` at fixed thresholds, `global.*` at the best threshold a level, `reference.*` at the best pair of the published
grid. They are fitted on the documents they are measured on (validation), so they serve to follow a training and to
choose its best epoch, not as results.
"""

import numpy as np

from .config import DecodingOptions, FixedThresholds, ValidationOptions
from .decoding import decode
from .errors import UserError
from .metrics import evaluate, flatten, selectable_names
from .taxonomy import Taxonomy
from .thresholds import fixed, global_optimum, reference_grid

METHODS = ("fixed", "global", "reference")


def measures_of_epoch(
    truth: np.ndarray, scores: np.ndarray, taxonomy: Taxonomy, options: ValidationOptions
) -> dict[str, float | None]:
    """Measures by column name. truth: bool [documents, labels]; scores: float32 of the same shape."""
    decoding = DecodingOptions(confidence=options.mask_confidence)
    constants = FixedThresholds(**{"section": options.fixed_section, "class": options.fixed_class})
    by_method = {
        "fixed": fixed(constants, taxonomy),
        "global": global_optimum(truth, scores, taxonomy),
        "reference": reference_grid(truth, scores, taxonomy, decoding),
    }
    columns: dict[str, float | None] = {}
    for method in METHODS:
        predicted = decode(scores, by_method[method].values, taxonomy, decoding)
        measures = flatten(evaluate(truth, predicted, scores, taxonomy))
        columns |= {f"{method}.{name}": value for name, value in measures.items()}
    return columns


def check_select_by(name: str, taxonomy: Taxonomy) -> None:
    """Raise UserError where `name` is no measure that `measures_of_epoch` gives and that is better the higher it is."""
    method, _, measure = name.partition(".")
    if method not in METHODS or measure not in selectable_names(taxonomy):
        raise UserError(
            f"training.select_by: there is no measure {name!r}; take {', '.join(METHODS)} followed by one of "
            f"{', '.join(selectable_names(taxonomy))}"
        )
