"""From a source to the corpus, and the funnel that shows what was removed and why.

Whatever the sample size, a document's row is the same: family, group and labels are settled on the whole source before
the sample is drawn. And whatever the size of the source, memory stays within a bound: tables are read as streams, their
parts side by side (`corpus/reading.py`), and put on disk in parts (`corpus/scratch.py`), by application and by family,
and joined some parts at a time. In memory are only the numbers of the applications (4 or 8 bytes each), and the
families that share an abstract with another one. Texts are read twice: first to measure them, then for the sampled
documents alone.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import Progress
from ipcascade.core.random_streams import stream_seed
from ipcascade.corpus.applications import numbers_in, read_applications
from ipcascade.corpus.families import connected, first_filings, links_of, represent, shared_by
from ipcascade.corpus.fields import measure_abstracts, read_fields, texts_of
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.labels import WEIGHED, ReadLabels, column_of, keep_weighty, label_lists, symbol_facts
from ipcascade.corpus.options import ABSTRACT, CorpusOptions
from ipcascade.corpus.reading import PartReader
from ipcascade.corpus.renamed_codes import RenamedCodes
from ipcascade.corpus.sampling import Draw
from ipcascade.corpus.scratch import parts_of, ranges_of

# Bytes that joining takes per application, per document with its text; measured (docs/benchmarks.md), rounded up.
APPLICATION_BYTES, DOCUMENT_BYTES = 400, 4_000


class CorpusBuild:
    """Builds the corpus and the facts about how it came about; use it once.

    reader: of the source; tree: the label tree, already cut to the levels that are learned; finer: with the level
    below, where it has one; most_bytes: what joins may take of memory; renamed: labels of codes that the tree lacks.

    A row depends on the source, the trees and the options, never on the order of rows or parts, nor on the sample size
    or memory; a smaller sample is a subset of a larger one.
    """

    def __init__(
        self,
        reader: PartReader,
        tree: LabelTree,
        options: CorpusOptions,
        seed: int,
        finer: LabelTree | None,
        most_bytes: int,
        renamed: RenamedCodes | None = None,
    ) -> None:
        self._reader, self._source, self._scratch = reader, reader.source, reader.scratch
        self._tree, self._finer, self._options, self._most_bytes = tree, finer or tree, options, most_bytes
        self._renamed = renamed or {}
        self._seed = stream_seed(seed, "corpus", "sample")
        self._funnel = Funnel()
        self._symbols: dict[str, Any] = {}
        self._facts = _CorpusFacts(tree)

    def documents(self) -> Iterator[pl.DataFrame]:
        """The documents, one row each, sorted by the numbers of their applications, some at a time.

        Columns: document_id (text), family_id (text, as the source names families), group_id (text, the smallest family
        of those that share a normalised abstract or a group of the source: what splits must not divide), office, kind,
        filing_year (Int16, nullable), first_filing_year (Int16, nullable) and first_filing_office of the application of
        the family that was filed first, among those that pass the application filters, words (Int32, of the abstract),
        text, and a list of codes (text, in tree order) per level of the tree, the finer one included, named after the
        level.

        Raises UserError where a step leaves nothing, naming its key.
        """
        applications = read_applications(self._reader, self._options, self._funnel)
        amount = len(applications)
        labelled = self._read_labels(applications)
        del applications
        measure_abstracts(self._reader, self._options, labelled, self._funnel)
        del labelled
        self._regroup_by_family(amount)
        groups = self._groups()
        drawn = self._represent()
        sample = self._put_documents(groups, drawn)
        self._read_texts(sample)
        yield from self._joined(sample)

    def funnel(self) -> dict[str, Any]:
        """Plain data, once all documents were read: steps, symbols, tables, notes, labels, groups."""
        return {
            "steps": self._funnel.steps,
            "symbols": self._symbols,
            "tables": {
                table: {
                    "rows": count.rows,
                    "row_count": count.expected,
                    "checked": count.expected is not None,
                    "quarantined": count.quarantined,
                }
                for table, count in sorted(self._source.counts.items())
            },
            "notes": list(self._source.notes),
            "labels": self._facts.labels(),
            "groups": self._facts.groups(),
        }

    def _read_labels(self, applications: np.ndarray) -> np.ndarray:
        """Put the labels of each application on disk; return the numbers of those that have one, sorted."""
        kept = self._reader.keep("applications", applications)
        work = ReadLabels(self._options, self._tree, self._finer, self._renamed, kept)
        facts = self._reader.read(work, f"read {self._source.table_of(work.what)}")
        dropped = 0
        if self._options.least_weight is not None:
            units = self._units(self._scratch.rows[WEIGHED])
            dropped = keep_weighty(self._scratch, self._options.least_weight, units, self._tree, self._finer)
        self._symbols = symbol_facts(facts, dropped)
        labelled = numbers_in(self._scratch, "labels")
        filters = (key for key in ("ipc_values", "least_weight") if getattr(self._options, key) is not None)
        key = next(filters, "label_tree")
        step = f"{self._source.symbol_name} in the label tree"
        self._funnel.keep(step, len(labelled), f"corpus.{key}", getattr(self._options, key))
        return labelled

    def _regroup_by_family(self, applications: int) -> None:
        """Join by application, and put what families are made of on disk by family; what they share by what it is."""
        for unit in self._units(applications):
            members = self._scratch.read("applications", unit)
            labels = self._scratch.read("labels", unit).unique()
            abstracts = self._scratch.read("abstracts", unit)
            labels = labels.join(members.select("application", "family"), on="application")
            candidates = members.join(abstracts, on="application")
            shared = shared_by(candidates)
            for name, rows in (
                ("members", members.select("application", "family", "office", "date", "filing_year")),
                ("labels of families", labels),
                ("candidates", candidates.drop("link", "text_hash")),
            ):
                self._scratch.add(name, rows, parts_of(rows["family"]))
            self._scratch.add("shared", shared, parts_of(shared["shared"]))
        for name in ("applications", "labels", "abstracts"):
            self._scratch.drop(name)

    def _groups(self) -> pl.DataFrame:
        """family and group of the families that share something with others."""
        rows = self._scratch.rows["shared"]
        links = pl.concat([links_of(self._scratch.read("shared", unit)) for unit in self._units(rows)])
        self._scratch.drop("shared")
        return connected(links)

    def _represent(self) -> Draw:
        """Put the application that represents each family on disk; return which are drawn for the sample."""
        draw = Draw(self._options.documents, self._seed)
        for unit in self._units(self._scratch.rows["candidates"]):
            found = represent(self._scratch.read("candidates", unit), self._options.office_preference)
            draw.add(found["application"])
            self._scratch.add("representatives", found.drop("date"), parts_of(found["family"]))
        self._scratch.drop("candidates")
        self._funnel.keep("one application per family", draw.seen, None, unit="documents")
        left = min(draw.seen, self._options.documents or draw.seen)
        self._funnel.keep("sample", left, "corpus.documents", self._options.documents)
        return draw

    def _put_documents(self, groups: pl.DataFrame, draw: Draw) -> np.ndarray:
        """Put the sampled documents on disk, all but their texts; return their numbers, sorted."""
        numbers, families, others = [], [], []
        for unit in self._units(self._scratch.rows["members"]):
            found = self._scratch.read("representatives", unit)
            documents = found.filter(draw.is_drawn(found["application"]))
            documents = self._with_facts_of_families(documents, groups, unit)
            numbers.append(documents["application"].to_numpy())
            families.append(documents["family"].to_numpy())
            others.append(documents.filter(pl.col("group") != pl.col("family"))["group"].to_numpy())
            self._scratch.add("documents of families", documents, parts_of(documents["family"]))
        for name in ("members", "labels of families", "representatives"):
            self._scratch.drop(name)
        group_names = self._put_names(np.concatenate(families), np.concatenate(others))
        sample = np.sort(np.concatenate(numbers))
        for unit in self._units(len(sample)):
            documents = self._scratch.read("documents of families", unit)
            names = self._scratch.read("names", unit).unique("family").rename({"name": "family_id"})
            documents = documents.join(names, on="family", how="left").join(group_names, on="group", how="left")
            documents = documents.with_columns(pl.coalesce("group_id", "family_id"))
            self._scratch.add("documents", documents, ranges_of(sample, documents["application"]))
        for name in ("documents of families", "names"):
            self._scratch.drop(name)
        return sample

    def _put_names(self, families: np.ndarray, others: np.ndarray) -> pl.DataFrame:
        """Put the names of families on disk; return group and group_id of those that are named after another family."""
        wanted = np.unique(np.concatenate([families, others]))
        found = [pl.DataFrame(schema={"group": pl.Series(others).dtype, "group_id": pl.String})]
        others = np.unique(others)
        with Progress("name the families", None, "rows") as progress, self._reader.advancing(progress):
            for batch in self._source.family_names(wanted):
                self._scratch.add("names", batch, parts_of(batch["family"]))
                of_others = batch.filter(pl.col("family").is_in(others.tolist()))
                found.append(of_others.select(group="family", group_id="name"))
        return pl.concat(found).unique("group")

    def _with_facts_of_families(self, documents: pl.DataFrame, groups: pl.DataFrame, unit: range) -> pl.DataFrame:
        members = self._scratch.read("members", unit)
        labels = self._scratch.read("labels of families", unit)
        documents = documents.join(groups, on="family", how="left").with_columns(pl.coalesce("group", "family"))
        self._facts.count_groups(documents, groups)
        lists = label_lists(documents, labels, self._finer, self._options.family_labels)
        documents = documents.join(first_filings(members, documents["family"]), on="family", how="left")
        return documents.join(lists, on="application", how="left")

    def _read_texts(self, sample: np.ndarray) -> None:
        """Put the fields of the sampled documents' texts on disk, in the order of the documents."""
        amount = read_fields(self._reader, self._options, sample)
        if amount != len(sample):
            raise UserError(
                f"{self._source.place}: {self._source.table_of(ABSTRACT)} gave {amount:,} of {len(sample):,} "
                "abstracts on its second reading; the files changed meanwhile: run this again when nothing writes there"
            )

    def _joined(self, sample: np.ndarray) -> Iterator[pl.DataFrame]:
        """The documents with their texts."""
        for unit in self._scratch.units(len(sample), DOCUMENT_BYTES, self._most_bytes):
            documents = texts_of(self._scratch, self._scratch.read("documents", unit), unit, self._options).select(
                "document_id",
                "family_id",
                "group_id",
                "office",
                "kind",
                "filing_year",
                "first_filing_year",
                "first_filing_office",
                "words",
                "text",
                **{level: pl.col(column_of(level)) for level in self._finer.levels},
            )
            self._facts.count_labels(documents)
            yield documents

    def _units(self, applications: int) -> Iterator[range]:
        return self._scratch.units(applications, APPLICATION_BYTES, self._most_bytes)


class _CorpusFacts:
    """Counts labels and groups of documents, some at a time."""

    def __init__(self, tree: LabelTree) -> None:
        self._present: dict[str, set[str]] = {level: set() for level in tree.levels}
        self._labels = Counter[str]()
        self._documents = 0
        self._grouped = Counter[int]()

    def count_labels(self, documents: pl.DataFrame) -> None:
        self._documents += documents.height
        for level, present in self._present.items():
            present.update(documents[level].explode().drop_nulls().unique())
            self._labels[level] += int(documents[level].list.len().sum())

    def count_groups(self, documents: pl.DataFrame, groups: pl.DataFrame) -> None:
        linked = documents.join(groups.select("family"), on="family", how="semi")
        self._grouped.update(dict(linked["group"].value_counts().iter_rows()))

    def labels(self) -> dict[str, dict[str, Any]]:
        return {
            level: {"present": len(present), "mean_per_document": self._labels[level] / self._documents}
            for level, present in self._present.items()
        }

    def groups(self) -> dict[str, int]:
        """Of families that share nothing, each is a group of one document."""
        shared = [size for size in self._grouped.values() if size > 1]
        return {
            "groups": self._documents - sum(self._grouped.values()) + len(self._grouped),
            "of_several_documents": len(shared),
            "documents_in_them": sum(shared),
            "largest": max(shared, default=1),
        }
