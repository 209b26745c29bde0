"""All texts of a source, to be labelled: not only the sampled documents, and not only those with labels."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from ipcascade.core.progress import Progress
from ipcascade.corpus.applications import read_applications
from ipcascade.corpus.families import first_filings
from ipcascade.corpus.fields import read_fields, texts_of
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.reading import PartReader
from ipcascade.corpus.scratch import parts_of, ranges_of

FACTS = ("family_id", "office", "kind", "filing_year", "first_filing_year", "first_filing_office", "split")
"""Columns of the texts; the last three are of the family."""
# Bytes that joining takes per application, and per application with its text.
APPLICATION_BYTES, TEXT_BYTES = 400, 4_000


def every_text(
    reader: PartReader, options: CorpusOptions, split_of: pl.DataFrame, most_bytes: int
) -> Iterator[pl.DataFrame]:
    """The texts of a source some at a time, in the order of the applications' numbers, made as those of the corpus are.

    They are of all applications that pass the filters of the corpus on applications, and have an abstract in its
    language with enough words; an application needs no label, and of a family all are there. split_of: family_id, split
    of the documents of the corpus; most_bytes: what joins may take of memory.

    Columns: document_id (text), text, and `FACTS`: as in the corpus, and split, that of the family in the corpus, null
    where it is not in it. Raises UserError where no application is left, and for two texts of one.
    """
    scratch = reader.scratch
    applications = read_applications(reader, options, Funnel())
    _put_facts(reader, applications, split_of, most_bytes)
    read_fields(reader, options, applications, options.minimum_words)
    for unit in scratch.units(len(applications), TEXT_BYTES, most_bytes):
        facts = scratch.read("facts", unit)
        yield texts_of(scratch, facts, unit, options).select("document_id", "text", *FACTS)


def _put_facts(reader: PartReader, applications: np.ndarray, split_of: pl.DataFrame, most_bytes: int) -> None:
    """Put application and `FACTS` of all applications on disk, in the order of their numbers."""
    scratch = reader.scratch
    families = []
    for unit in scratch.units(len(applications), APPLICATION_BYTES, most_bytes):
        members = scratch.read("applications", unit)
        scratch.add("members", members, parts_of(members["family"]))
        families.append(members["family"].unique().to_numpy())
    scratch.drop("applications")
    with Progress("name the families", None, "rows") as progress, reader.advancing(progress):
        for batch in reader.source.family_names(np.unique(np.concatenate(families))):
            scratch.add("names", batch, parts_of(batch["family"]))
    for unit in scratch.units(len(applications), APPLICATION_BYTES, most_bytes):
        members = scratch.read("members", unit)
        names = scratch.read("names", unit).unique("family").rename({"name": "family_id"})
        facts = (
            members.join(first_filings(members, members["family"].unique()), on="family", how="left")
            .join(names, on="family", how="left")
            .join(split_of, on="family_id", how="left")
            .select("application", *FACTS)
        )
        scratch.add("facts", facts, ranges_of(applications, facts["application"]))
    for name in ("members", "names"):
        scratch.drop(name)
