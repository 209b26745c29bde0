"""What each figure shows, in the words of Snakemake's report and of ours: a file per figure."""

from ipcascade.reporting.report.parts import CAPTIONS_FOLDER

MATRIX = "matrix"


def caption(figure: str) -> str:
    """The caption of a figure ("figure1", ..., `MATRIX`) as one line."""
    return " ".join((CAPTIONS_FOLDER / f"{figure}.rst").read_text("utf-8").split())
