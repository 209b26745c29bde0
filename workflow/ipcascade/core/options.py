"""What the options of all stages have in common: types of values, and values by level of the label tree.

Types are strict: true is not a number, 3.0 not a whole number, 7 not text. Numbers and truth values are taken from
text, too, since Snakemake's --config hands nested values over as text, and YAML reads 1e-4 as text.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ipcascade.core.errors import UserError

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 40  # characters; Python refuses to read whole numbers of thousands of digits
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_MOST = 2**31 - 1  # so that no library meets a number that it cannot hold
COLOUR = r"^#[0-9a-fA-F]{6}$"
FILE_NAME = r"^[A-Za-z0-9_-]+$"
PATTERNS = {COLOUR: "# and six hexadecimal digits", FILE_NAME: "a name of letters, digits, - and _"}
"""What texts of these patterns are, for messages."""


def _whole(value: Any) -> Any:
    return int(value) if _is_text(value, _WHOLE) else value


def _number(value: Any) -> Any:
    return float(value) if _is_text(value, _NUMBER) else value


def _truth(value: Any) -> Any:
    return _TRUTH.get(value.lower(), value) if isinstance(value, str) else value


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_NUMBER and pattern.fullmatch(value) is not None


def _one_line(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    # Control characters, halves of characters, and separators of lines and paragraphs.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
        raise ValueError("must be one line of text without control characters")
    return value


def each_once(values: list[str]) -> list[str]:
    """The values. Raises ValueError, for pydantic, where one is there twice."""
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{value!r} is in the list more than once")
    return values


# The last marks of a number's type, after its bounds, which pydantic then knows for those of a number.
WHOLE, NUMBER = BeforeValidator(_whole), BeforeValidator(_number)
Number = Annotated[float, NUMBER]
Truth = Annotated[bool, BeforeValidator(_truth)]
Text = Annotated[str, AfterValidator(_one_line)]
Distinct = Annotated[list[Text], AfterValidator(each_once), Field(json_schema_extra={"uniqueItems": True})]
Names = Annotated[list[Text], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(each_once)]
Probability = Annotated[float, Field(ge=0, le=1), NUMBER]
Share = Annotated[float, Field(ge=0, lt=1), NUMBER]
Positive = Annotated[float, Field(gt=0), NUMBER]
NotNegative = Annotated[float, Field(ge=0), NUMBER]
Count = Annotated[int, Field(ge=1, le=_MOST), WHOLE]
Colour = Annotated[str, Field(pattern=COLOUR)]
Batching = Literal["packed", "padded"]
Accelerator = Literal["auto", "cuda", "cpu"]
Precision = Literal["auto", "fp16", "bf16", "fp32"]

DEFAULT = "default"
"""The key of a mapping by level whose value holds for the levels that the mapping does not name."""

Value = TypeVar("Value")


class Section(BaseModel):
    """Refuses unknown keys and values of another type; values never change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def by_level(values: Mapping[str, Value], levels: Sequence[str]) -> dict[str, Value]:
    """The value of each level: its own, or that of the key `default`.

    Raises UserError for a level that has neither.
    """
    missing = [level for level in levels if level not in values and DEFAULT not in values]
    if missing:
        raise UserError(f"there is no value for the level {missing[0]!r}, and no {DEFAULT!r}")
    return {level: values[level] if level in values else values[DEFAULT] for level in levels}
