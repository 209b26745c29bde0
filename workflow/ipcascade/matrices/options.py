"""Options of matrices."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ipcascade.core.options import FILE_NAME, WHOLE, Distinct, Section, Share, Text

SHIPPED_CONCORDANCES = {"wipo35": Path(__file__).parent / "concordances" / "wipo35.tsv"}
"""Concordances that come with ipcascade, by name."""
NACE = "nace"
"""The one that comes with a PATSTAT delivery."""
Measure = Literal["expected", "fractional", "whole"]


class MatrixOptions(Section):
    """Units by technologies, from the predictions of a table of new texts."""

    input: Annotated[str, Field(pattern=FILE_NAME)]
    """The table: a name in prediction.inputs, whose layout must be wide."""
    unit: Text | None = None
    """The column that says which unit (project, firm) a text belongs to; null: each text is a unit of its own. A unit
    with several texts counts once."""
    by: Distinct = []
    """Columns that divide the units into rows (funder, region, year); none: each unit is a row."""
    weight: Text | None = None
    """A column of numbers that units count with (money); null: each counts 1."""
    level: Text | None = None
    """The level of the label tree; null: the lowest that is predicted."""
    concordance: Text | None = None
    """Technologies of another classification in place of labels: wipo35 (WIPO's 35 fields), nace (industries, from the
    table tls902 of the PATSTAT delivery), or a table of the columns label and technology (CSV, or .tsv), maybe with
    weight and title; null: labels."""
    measure: Measure = "expected"
    """What the wide table and the figure show. expected: the sum of calibrated probabilities; fractional: predicted
    labels, those of a text sharing 1; whole: units that have the label predicted for at least one of their texts."""
    floor: Share = 0.01
    """Of the long table, rows are left out where no unit has the label predicted and fewer than this are expected."""
    bootstrap: Annotated[int, Field(ge=0, le=100_000), WHOLE] = 200
    """Bootstrap samples of the texts of units that have several, for the intervals; 0: no intervals."""
