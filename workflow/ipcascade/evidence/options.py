"""Options of evidence: which sources probabilities come from, and how they are combined."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ipcascade.core.options import WHOLE, Count, NotNegative, Positive, Section, Truth, each_once

NETWORK, LINEAR, NEIGHBOURS = "network", "linear", "neighbours"
SOURCES = (NETWORK, LINEAR, NEIGHBOURS)


class LinearOptions(Section):
    """TF-IDF and one linear support-vector machine per label, fitted on the training split."""

    ngrams: Count = 2
    """Longest word n-gram."""
    minimum_documents: Count = 2
    """Fewest training documents with an n-gram that is kept."""
    maximum_features: Count = 200_000
    """Most frequent n-grams to keep."""
    c: Positive = 1.0
    """Inverse strength of the regularisation."""
    title_examples: Truth = True
    """Titles of labels are training documents, too, as in training."""
    smallest_weight: NotNegative = 0.02
    """Weights below this (in absolute value) are dropped, which makes the model smaller and costs nothing measurable:
    docs/evidence.md."""


class NeighbourOptions(Section):
    """The training documents nearest to a document, by the cosine of the network's [CLS] vectors."""

    count: Count = 30
    """Nearest documents whose labels count."""
    temperature: Positive = 0.05
    """A neighbour weighs exp(cosine / temperature): less gives more weight to the nearest."""


class EvidenceOptions(Section):
    """Where probabilities come from: each source gives a score per label, and a logistic regression per level, fitted
    on the validation split by cross-fitting, turns them into one calibrated probability."""

    sources: Annotated[
        list[Literal["network", "linear", "neighbours"]],
        Field(min_length=1, json_schema_extra={"uniqueItems": True}),
        AfterValidator(each_once),
    ] = ["network", "linear", "neighbours"]
    """network: the trained model; linear: a linear model of the words; neighbours: the labels of the nearest training
    documents, found by the network's vectors."""
    calibration: Literal["label", "level", "none"] = "label"
    """level: one logistic regression per level; label: its weights also change with the number of training documents of
    a label, and labels below make those above more probable; none: the network's probabilities as they are (it must be
    the only source), as published."""
    folds: Annotated[int, Field(ge=2, le=100), WHOLE] = 5
    """Folds of the cross-fitting: the thresholds are fitted on probabilities of documents that their combination has
    not seen."""
    linear: LinearOptions = LinearOptions()
    neighbours: NeighbourOptions = NeighbourOptions()

    @model_validator(mode="after")
    def _as_they_are_is_of_the_network(self) -> "EvidenceOptions":
        if self.calibration == "none" and self.sources != [NETWORK]:
            raise ValueError("calibration: none is for sources: [network]; several sources need one to be combined")
        return self
