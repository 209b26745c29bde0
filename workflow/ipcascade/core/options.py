"""What the options of all stages have in common: types of values, and values by level of the label tree."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ipcascade.core.errors import UserError

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Batching = Literal["packed", "padded"]
Accelerator = Literal["auto", "cuda", "cpu"]
Precision = Literal["auto", "fp16", "bf16", "fp32"]

DEFAULT = "default"
"""The key of a mapping by level whose value holds for the levels that the mapping does not name."""

Value = TypeVar("Value")


class Section(BaseModel):
    """Refuses unknown keys; values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


def by_level(values: Mapping[str, Value], levels: Sequence[str]) -> dict[str, Value]:
    """The value of each level: its own, or that of the key `default`.

    Raises UserError for a level that has neither.
    """
    missing = [level for level in levels if level not in values and DEFAULT not in values]
    if missing:
        raise UserError(f"there is no value for the level {missing[0]!r}, and no {DEFAULT!r}")
    return {level: values[level] if level in values else values[DEFAULT] for level in levels}
