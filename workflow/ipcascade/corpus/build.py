"""From a delivery to the corpus, and the funnel that shows what was removed and why.

The applications, their labels and a hash of every abstract are held as plain columns (an estimated 32 GB at the peak
for the whole of PATSTAT); texts are not. They are streamed a second time, for the sampled documents alone. Whatever the
sample size, a document's row is the same: family, group and labels are settled on the whole delivery before the sample
is drawn.
"""

from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream_seed
from ipcascade.corpus.abstracts import measure_abstracts, read_texts
from ipcascade.corpus.applications import read_applications
from ipcascade.corpus.families import family_name, first_filings, group, represent
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.labels import ApplicationLabels, column_of, label_lists, read_labels
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.sampling import draw
from ipcascade.sources.patstat.tables import Delivery


def build(
    delivery: Delivery, tree: LabelTree, options: CorpusOptions, seed: int, finer: LabelTree | None = None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Build the corpus and the facts about how it came about.

    tree: the label tree, already cut to the levels that are learned; finer: with the level below, where it has one.

    Returns the corpus, one row per document, sorted by appln_id:
    document_id (text, the appln_id), family_id (text, the DOCDB family; `appln-` and the appln_id where there is none),
    group_id (text, the smallest family of those that share a normalised abstract: what splits must not divide),
    office, kind, filing_year (Int16, nullable), first_filing_year (Int16, nullable) and first_filing_office of the
    application of the family that was filed first, among those that pass the application filters,
    words (Int32, of the abstract), text,
    and a list of codes (text, in tree order) per level of the tree, the finer one included, named after the level;
    and the funnel: steps, symbols, tables, notes (what of the delivery could not be checked), labels, groups as plain
    data.

    A row depends on the delivery, the trees and the options, never on the order of rows or parts nor on the sample
    size; a smaller sample is a subset of a larger one. Raises UserError where a step leaves nothing, naming its key.
    """
    funnel, finer = Funnel(), finer or tree
    applications = read_applications(delivery, options, funnel)
    labels, symbols = read_labels(delivery, tree, finer, options, applications)
    candidates = measure_abstracts(delivery, options, _labelled(applications, labels, options, funnel), funnel)
    representatives = represent(candidates, options.office_preference)
    funnel.keep("one application per family", representatives.height, None, unit="documents")
    sample = draw(representatives, options.documents, stream_seed(seed, "corpus", "sample"))
    funnel.keep("sample", sample.height, "corpus.documents", options.documents)
    corpus = (
        sample.join(group(candidates), on="family", how="left", maintain_order="left")
        .join(first_filings(applications, sample["family"]), on="family", how="left")
        .join(label_lists(sample, applications, labels, finer, options.family_labels), on="appln_id", how="left")
        .join(read_texts(delivery, options, sample["appln_id"]), on="appln_id", how="left")
        .sort("appln_id")
        .select(
            document_id=pl.col("appln_id").cast(pl.String),
            family_id=family_name(pl.col("family")),
            group_id=family_name(pl.col("group")),
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
        "tables": _tables(delivery),
        "notes": list(delivery.contents.notes),
        "labels": _labels(corpus, tree),
        "groups": _groups(corpus),
    }


def _labelled(
    applications: pl.DataFrame, labels: ApplicationLabels, options: CorpusOptions, funnel: Funnel
) -> pl.DataFrame:
    """The applications with a label."""
    labelled = np.zeros(applications.height, dtype=bool)
    labelled[labels.positions] = True
    key = "label_tree" if options.ipc_values is None else "ipc_values"
    funnel.keep("IPC symbol in the label tree", int(labelled.sum()), f"corpus.{key}", getattr(options, key))
    return applications.filter(pl.Series(labelled))


def _tables(delivery: Delivery) -> dict[str, dict[str, Any]]:
    return {
        table: {"rows": count.rows, "row_count": count.expected, "checked": count.expected is not None}
        for table, count in sorted(delivery.counts.items())
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
