"""From a source to the corpus, and the funnel that shows what was removed and why.

The applications, their labels and a hash of every abstract are held as plain columns (an estimated 32 GB at the peak
for the whole of PATSTAT); texts are not. They are streamed a second time, for the sampled documents alone. Whatever the
sample size, a document's row is the same: family, group and labels are settled on the whole source before the sample
is drawn.
"""

from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream_seed
from ipcascade.corpus.applications import read_applications
from ipcascade.corpus.families import first_filings, group, represent
from ipcascade.corpus.fields import measure_abstracts, read_texts
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.labels import ApplicationLabels, column_of, label_lists, read_labels
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.sampling import draw
from ipcascade.sources.base import Source


def build(
    source: Source, tree: LabelTree, options: CorpusOptions, seed: int, finer: LabelTree | None = None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Build the corpus and the facts about how it came about.

    tree: the label tree, already cut to the levels that are learned; finer: with the level below, where it has one.

    Returns the corpus, one row per document, sorted by the numbers of their applications:
    document_id (text), family_id (text, as the source names families),
    group_id (text, the smallest family of those that share a normalised abstract or a group of the source: what splits
    must not divide),
    office, kind, filing_year (Int16, nullable), first_filing_year (Int16, nullable) and first_filing_office of the
    application of the family that was filed first, among those that pass the application filters,
    words (Int32, of the abstract), text,
    and a list of codes (text, in tree order) per level of the tree, the finer one included, named after the level;
    and the funnel: steps, symbols, tables, notes (what could not be checked), labels, groups as plain
    data.

    A row depends on the source, the trees and the options, never on the order of rows or parts nor on the sample
    size; a smaller sample is a subset of a larger one. Raises UserError where a step leaves nothing, naming its key.
    """
    funnel, finer = Funnel(), finer or tree
    applications = read_applications(source, options, funnel)
    labels, symbols = read_labels(source, tree, finer, options, applications)
    labelled = _labelled(source, applications, labels, options, funnel)
    candidates = measure_abstracts(source, options, labelled, funnel)
    representatives = represent(candidates, options.office_preference)
    funnel.keep("one application per family", representatives.height, None, unit="documents")
    sample = draw(representatives, options.documents, stream_seed(seed, "corpus", "sample"))
    funnel.keep("sample", sample.height, "corpus.documents", options.documents)
    sample = sample.join(group(candidates), on="family", how="left", maintain_order="left")
    names = source.family_names(pl.concat([sample["family"], sample["group"]]).unique())
    corpus = (
        sample.join(first_filings(applications, sample["family"]), on="family", how="left")
        .join(label_lists(sample, applications, labels, finer, options.family_labels), on="application", how="left")
        .join(read_texts(source, options, sample["application"]), on="application", how="left")
        .join(names.rename({"name": "family_id"}), on="family", how="left")
        .join(names.select(group="family", group_id="name"), on="group", how="left")
        .sort("application")
        .select(
            document_id="document_id",
            family_id="family_id",
            group_id="group_id",
            office=pl.col("office").cast(pl.String),
            kind=pl.col("kind").cast(pl.String),
            filing_year="filing_year",
            first_filing_year="first_filing_year",
            first_filing_office="first_filing_office",
            words="words",
            text="text",
            **{level: pl.col(column_of(level)) for level in finer.levels},
        )
    )
    return corpus, {
        "steps": funnel.steps,
        "symbols": symbols,
        "tables": _tables(source),
        "notes": list(source.notes),
        "labels": _labels(corpus, tree),
        "groups": _groups(corpus),
    }


def _labelled(
    source: Source, applications: pl.DataFrame, labels: ApplicationLabels, options: CorpusOptions, funnel: Funnel
) -> pl.DataFrame:
    """The applications with a label."""
    labelled = np.zeros(applications.height, dtype=bool)
    labelled[labels.positions] = True
    key = "label_tree" if options.ipc_values is None else "ipc_values"
    funnel.keep(f"{source.symbol_name} in the label tree", int(labelled.sum()), f"corpus.{key}", getattr(options, key))
    return applications.filter(pl.Series(labelled))


def _tables(source: Source) -> dict[str, dict[str, Any]]:
    return {
        table: {"rows": count.rows, "row_count": count.expected, "checked": count.expected is not None}
        for table, count in sorted(source.counts.items())
    }


def _labels(corpus: pl.DataFrame, tree: LabelTree) -> dict[str, dict[str, Any]]:
    return {
        level: {
            "present": corpus[level].explode().drop_nulls().n_unique(),
            "mean_per_document": float(corpus[level].list.len().sum()) / corpus.height,
        }
        for level in tree.levels
    }


def _groups(corpus: pl.DataFrame) -> dict[str, int]:
    sizes = corpus.group_by("group_id").len()["len"]
    shared = sizes.filter(sizes > 1)
    return {
        "groups": len(sizes),
        "of_several_documents": len(shared),
        "documents_in_them": int(shared.sum()),
        "largest": int(sizes.max()),  # type: ignore[arg-type]  # never empty
    }
