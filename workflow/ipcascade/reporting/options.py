"""Options of figures."""

from typing import Annotated

from pydantic import Field

from ipcascade.core.options import NUMBER, WHOLE, Colour, Section, Text


class FigureColours(Section):
    """Colours by role, six hexadecimal digits each; the defaults are Okabe and Ito's, safe for colour-blind readers."""

    levels: Annotated[list[Colour], Field(min_length=1)] = ["#0072b2", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9"]
    """Of the levels of the label tree, from the top down; taken again from the first where there are more levels."""
    accent: Colour = "#009e73"
    """Of what belongs to no level."""
    neutral: Colour = "#4d4d4d"
    """Of axes and guide lines."""


class FigureOptions(Section):
    """What the figures look like. Within these bounds no text of a figure runs into another."""

    font: Text = "DejaVu Sans"
    """Font family; one that is not installed is refused. The default comes with matplotlib."""
    font_size: Annotated[float, Field(ge=5, le=8), NUMBER] = 7.0
    """Base size in points, 5 to 8."""
    width: Annotated[float, Field(ge=6.5, le=12), NUMBER] = 7.2
    """Width in inches, 6.5 to 12; 7.2 fills the text width of a two-column journal."""
    resolution: Annotated[int, Field(ge=72, le=1200), WHOLE] = 300
    """Dots per inch of the PNG."""
    colours: FigureColours = FigureColours()


class ReleaseOptions(Section):
    """What is said of a run that no file knows: on the card of a released model, in the report and in the crate."""

    name: Text = "ipcascade-model"
    """Its name."""
    authors: list[Text] = Field([])
    """Who made it, by name; for example [Ada Lovelace, Grace Hopper]."""
    licence: Text | None = None
    """Licence of the model, as an identifier of the hub: cc-by-4.0, mit, other."""
    edition: Text | None = None
    """Edition of the data: "PATSTAT Global, Autumn 2025"."""
    citation: Text | None = None
    """How to cite the model."""
