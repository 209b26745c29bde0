"""Options of scoring and of prediction."""

from typing import Annotated, Literal

from pydantic import Field

from ipcascade.core.options import (
    FILE_NAME,
    NUMBER,
    WHOLE,
    Accelerator,
    Batching,
    Count,
    Precision,
    Section,
    Share,
    Text,
    Truth,
)

Layout = Literal["wide", "long"]


class ScoringOptions(Section):
    """From documents to probabilities."""

    batching: Batching = "packed"
    """As in training."""
    max_tokens: Count = 16_384
    """Most tokens in one pass through the encoder. Less saves memory; scores are the same but for rounding."""
    precision: Literal[Precision, "int8"] = "auto"
    """As in training; int8: linear layers in 8 bits, for CPUs without bf16."""
    compile: Truth = False
    """As in training. It takes a minute or two per run, so it is meant for more than about 100,000 documents."""
    accelerator: Accelerator = "auto"
    """As in training."""


class PredictionOptions(Section):
    """Labelling new texts."""

    inputs: dict[Annotated[str, Field(pattern=FILE_NAME)], Text] = Field({})
    """Name to table (CSV, CSV.gz, Parquet or a folder of Parquet, with the columns document_id and text), made into
    results/predictions/NAME.parquet (or NAME.csv, if that is asked for); for example {projects: data/projects.csv}.
    {patstat: corpus}: every abstract of the delivery, not only the sample (docs/predict.md)."""
    labels: dict[Annotated[str, Field(pattern=FILE_NAME)], Text] = Field({})
    """Of tables whose texts carry labels: name to the column that has them. What was predicted is measured on these, in
    results/metrics/inputs/NAME.json; for example {projects: ipc}."""
    jobs: Count = 1
    """Jobs that share the texts of a table, on a cluster side by side; each loads the model once. The result is the
    same."""
    layout: Layout = "wide"
    """wide: a row per text with a column per label, and the other columns of the table; long: a row per text and label.
    """
    floor: Share = 0.01
    """Long: the probability from which on a label that is not predicted has a row, too."""
    least_confidence: Share = 0.0
    """A text with a lower confidence (the smallest probability of its labels, 0 without any) is not classifiable: it is
    marked, and matrices count it apart."""
    least_similarity: Annotated[float, Field(ge=-1, le=1), NUMBER] = -1.0
    """The same for a text whose nearest training document has a lower cosine, where neighbours are a source of
    evidence: it is like no patent."""
    neighbours: Annotated[int, Field(ge=0, le=1000), WHOLE] = 5
    """Nearest training documents that each prediction names by their ids, where neighbours are a source of evidence."""
