"""Fitted thresholds and their file. How they are fitted: threshold_methods/.

A label is predicted where probability > threshold, strictly (see mask.py; coherent.py adds up what the labels of a
branch gain). All thresholds are from 0 to 1: one of 1 predicts nothing, one of 0 all but a probability of exactly 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.files import check_content, read_json
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.options import DEFAULT
from ipcascade.core.schemas import FittedThresholds
from ipcascade.evaluation.options import DecodingOptions


@dataclass(frozen=True)
class Thresholds:
    """Fitted thresholds and how they came about.

    values: float64 [labels] in tree order; method: as in the config; facts: what a reader wants to know of the fit,
    plain data (the score reached, the labels that took another threshold and why).
    """

    values: np.ndarray
    method: str
    facts: dict[str, Any]

    def to_json(self, tree: LabelTree) -> dict[str, Any]:
        """Plain data with one threshold per label code; `from_json` gives the same values back, bit for bit."""
        values = {code: float(value) for code, value in zip(tree.labels, self.values, strict=True)}
        return {"method": self.method, "thresholds": values, "facts": self.facts, "levels": list(tree.levels)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], tree: LabelTree) -> "Thresholds":
        """The inverse of `to_json`. Raises UserError where levels or codes are not those of the tree."""
        values = content["thresholds"]
        if strange := sorted(set(values) ^ set(tree.labels)):
            holder = "thresholds have" if strange[0] in values else "label tree has"
            raise UserError(
                f"thresholds and label tree do not belong together: only the {holder} the label {strange[0]!r}; "
                "fit the thresholds again"
            )
        if content["levels"] != list(tree.levels):
            raise UserError(
                f"thresholds and label tree do not belong together: the levels are {', '.join(content['levels'])} and "
                f"{', '.join(tree.levels)}; fit the thresholds again"
            )
        ordered = np.array([values[code] for code in tree.labels], dtype=np.float64)
        return cls(ordered, content["method"], content["facts"])


def read_thresholds(path: Path, tree: LabelTree) -> tuple[Thresholds, DecodingOptions]:
    """A thresholds.json: the thresholds, and the decoding that they were fitted for and are to be applied with.

    Options that the file does not have, since an earlier version wrote it, have their defaults. Raises UserError where
    the file is something else, damaged, or of another label tree.
    """
    content = read_json(path, FittedThresholds)
    check_content(DecodingOptions, content["decoding"], str(path), "decoding")
    try:
        thresholds = Thresholds.from_json(content, tree)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    decoding = DecodingOptions.model_validate(content["decoding"])
    if strange := sorted((decoding.at_most or {}).keys() - {*tree.levels, DEFAULT}):
        raise UserError(
            f"{path}: decoding.at_most has {strange[0]!r}, which is not a level of the label tree "
            f"({', '.join(tree.levels)}); fit the thresholds again"
        )
    return thresholds, decoding
