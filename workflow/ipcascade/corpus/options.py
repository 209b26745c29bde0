"""Options of the corpus."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from ipcascade.core.classifications import Classification
from ipcascade.core.options import WHOLE, Count, Distinct, Names, Probability, Section, Text, each_once

ABSTRACT: Literal["abstract"] = "abstract"
Fields = Annotated[
    list[Literal["title", "abstract", "first_claim", "description"]],
    AfterValidator(each_once),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
Year = Annotated[int, Field(ge=1000, le=9999), WHOLE]


class CorpusOptions(Section):
    """Which applications become documents, and which text and labels they have."""

    classification: Classification = "ipc"
    """What labels are of: ipc, cpc (Y02 included), wipo35 (WIPO's sectors and fields of technology) or nace (sections
    and divisions of industry). Of patstat_bulk it decides which table they are read from; of a table, what its column
    of labels holds."""
    label_tree: Text | None = None
    """Tab-separated label tree (code, parent, level, title); null: that of the classification, which the package
    ships."""
    renamed_codes: Text | None = None
    """Table (columns from and to; CSV, TSV) of codes that the label tree lacks, such as obsolete ones, and of those
    that are meant now; null: symbols with such codes are dropped, and counted in the funnel."""
    levels: Names = ["section", "class"]
    """Levels of the label tree that are learned, from the top down. ipc and cpc have section, class and subclass,
    wipo35 has sector and field, nace has section and division."""
    ipr_types: Names = ["PI"]
    """Kinds of right to keep: PI (patent of invention), UM (utility model), DP (design patent)."""
    kinds: Names | None = None
    """Application kinds to keep (A, W, ...); null keeps all but dummy applications."""
    offices: Names | None = None
    """Filing offices to keep (EP, US, ...); null keeps all."""
    first_year: Year | None = None
    """First filing year to keep; null: no limit. With a limit, applications without a filing year are dropped."""
    last_year: Year | None = None
    """Last filing year to keep, likewise."""
    language: Text = "en"
    """Language of the abstract, as PATSTAT writes it."""
    minimum_words: Count = 10
    """Fewest whitespace-separated words of an abstract that is kept."""
    ipc_values: Names | None = None
    """Symbols to keep by ipc_value: I (invention), N (additional); null keeps all, those without a value too."""
    least_weight: Probability | None = None
    """Of wipo35 and nace out of PATSTAT, the least weight of a label that is kept: there 1 is shared out among the
    fields of an application, and among its industries. null keeps all."""
    text: Fields = [ABSTRACT]
    """What the classifier reads, in this order: fields that the source has, of abstract (which must be among them),
    title, first_claim and description. Others than the abstract may be missing from a document."""
    most_words: Count | None = None
    """Most words of a text of several fields: what is longer is cut, fields alike, so that the first ones do not take
    all that the encoder reads (tokens.max_length, about three words to four tokens). null: nothing is cut."""
    family_labels: Literal["union", "representative"] = "union"
    """Labels of a family: the union over its members that pass the application filters, or the representative's own."""
    office_preference: Distinct = ["WO", "EP", "US", "GB", "CA", "AU"]
    """Which application represents a DOCDB family: these offices first, in this order, then the earliest filing."""
    documents: Count | None = 177_000
    """Sample size; a smaller sample is a subset of a larger one. null keeps every document."""

    @field_validator("text")
    @classmethod
    def _has_abstract(cls, fields: list[str]) -> list[str]:
        if ABSTRACT not in fields:
            raise ValueError(f"{ABSTRACT!r} must be in the list: every document has one")
        return fields

    @model_validator(mode="after")
    def _years_in_order(self) -> "CorpusOptions":
        if self.first_year is not None and self.last_year is not None and self.first_year > self.last_year:
            raise ValueError(f"first_year {self.first_year} is after last_year {self.last_year}")
        return self
