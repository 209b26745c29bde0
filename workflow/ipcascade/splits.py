"""Train, validation and test: stratified by label, never tearing a family or a duplicate apart, and audited.

Four stages, all on groups of documents. Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) spreads the
labels; it promises neither that every label reaches every split nor exact sizes. Then coverage: a label's groups go to
train first, then test, then val, as far as there are any. Then sizes: groups move, one by one, until each split has the
number of documents asked for, every time the group whose move most helps (or least harms) the labels' shares. Last,
groups swap places while that brings the labels' shares clearly nearer to what was asked for.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from iterstrat.ml_stratifiers import IterativeStratification
from scipy.sparse import csr_array

from .config import SplitOptions
from .errors import UserError
from .randomness import stream_seed
from .taxonomy import LEVELS, Taxonomy

SPLITS = ("train", "val", "test")
COVERAGE_ORDER = (0, 2, 1)
"""Which split gets a rare label's groups first: train, then test, then val, as positions in SPLITS."""
NAMED_LABELS = 10
WORTHWHILE = 0.01
"""Least gain of a swap in the measure of `_Assignment.harm`: what one document too many costs a label that has 100."""


def split(
    corpus: pl.DataFrame, taxonomy: Taxonomy, options: SplitOptions, seed: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Assign every document of `corpus` to train, val or test.

    Returns a table with document_id, group_id and split, one row a document in the order of the corpus, and the audit
    (see `audit`). The assignment depends on the documents and the seed, not on the order of rows.
    Raises UserError where `options.rare_labels` is "refuse" and a label has one group only, or where a split would be
    empty.
    """
    truth = _truth(corpus, taxonomy)
    names, group_of = np.unique(corpus["group_id"].to_numpy(), return_inverse=True)
    groups = _Groups(truth, group_of, len(names))
    if options.rare_labels == "refuse":
        _refuse_rare(groups, truth, taxonomy)
    if len(names) < len(SPLITS):
        raise UserError(
            f"the corpus has {len(names)} groups of documents, so one of train, val and test would be empty; "
            "raise corpus.documents or widen the filters of the corpus"
        )
    shares = np.array([getattr(options, name) for name in SPLITS])
    state = np.random.RandomState(np.random.MT19937(stream_seed(seed, "splits")))
    assignment = _Assignment(groups, IterativeStratification(groups.has_label, shares, state), shares)
    assignment.cover()
    assignment.balance()
    assignment.exchange()
    result = corpus.select(
        "document_id", "group_id", split=pl.Series(np.array(SPLITS)[assignment.split_of[group_of]], dtype=pl.String)
    )
    for name, documents in zip(SPLITS, assignment.documents, strict=True):
        if documents == 0:
            raise UserError(
                f"the split {name!r} is empty: {corpus.height:,} documents in {len(names):,} groups cannot be shared "
                f"out at splits.{name} = {getattr(options, name)}; raise that share or corpus.documents"
            )
    return result, audit(corpus, result["split"], taxonomy, options)


def _truth(corpus: pl.DataFrame, taxonomy: Taxonomy) -> np.ndarray:
    """bool [documents, labels] in taxonomy order."""
    return taxonomy.encode(corpus.select(pl.concat_list("sections", "classes")).to_series().to_list())


class _Groups:
    """What moves as one.

    counts: documents by label, sparse float64 [groups, 1 + labels], column 0 counting all documents; squares: its
    squared values; has_label: bool [groups, labels]; label_groups: int [labels], groups with the label.
    """

    def __init__(self, truth: np.ndarray, group_of: np.ndarray, number: int) -> None:
        document, label = np.nonzero(truth)
        every = np.arange(len(truth))
        rows = np.concatenate([group_of[every], group_of[document]])
        columns = np.concatenate([np.zeros(len(truth), dtype=np.int64), label + 1])
        self.counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=(number, truth.shape[1] + 1))
        self.counts.sum_duplicates()
        self.squares = self.counts.multiply(self.counts).tocsr()
        self.documents = np.bincount(group_of, minlength=number)
        self.has_label = np.zeros((number, truth.shape[1]), dtype=bool)
        self.has_label[group_of[document], label] = True
        self.labels = csr_array(self.has_label.astype(np.float64))
        self.label_groups = self.has_label.sum(axis=0)


def _refuse_rare(groups: _Groups, truth: np.ndarray, taxonomy: Taxonomy) -> None:
    rare = np.flatnonzero(groups.label_groups == 1)
    if not rare.size:
        return
    documents = truth.sum(axis=0)
    named = ", ".join(f"{taxonomy.labels[label]} ({documents[label]})" for label in rare[:NAMED_LABELS])
    more = f" and {len(rare) - NAMED_LABELS} more" if len(rare) > NAMED_LABELS else ""
    raise UserError(
        f"{len(rare)} labels have a single document or family, so train and test cannot both have them: {named}{more} "
        "(documents in brackets); raise corpus.documents, or set splits.rare_labels to 'keep', which leaves such a "
        "label in train alone"
    )


class _Assignment:
    """Groups to splits, with the counts that the moves need kept up to date.

    split_of: int [groups]; documents: int [splits]; held: float [splits, 1 + labels], documents by label as in
    `_Groups.counts`; positives: int [splits, labels], groups by label.
    """

    def __init__(self, groups: _Groups, split_of: np.ndarray, shares: np.ndarray) -> None:
        self.groups, self.split_of = groups, split_of
        self.held = np.stack([groups.counts[split_of == place].sum(axis=0) for place in range(len(SPLITS))])
        self.positives = np.stack([groups.has_label[split_of == place].sum(axis=0) for place in range(len(SPLITS))])
        total = self.held.sum(axis=0)
        self.target = np.outer(shares, total)
        self.sizes = _whole(shares, int(total[0]))
        self.weight = 1 / np.maximum(total, 1)
        rank = np.argsort(COVERAGE_ORDER)
        self.required = groups.label_groups[None, :] > rank[:, None]

    @property
    def documents(self) -> np.ndarray:
        """int [splits]: documents in each split."""
        return self.held[:, 0].round().astype(np.int64)

    def move(self, group: int, to: int) -> None:
        """Put a group into another split."""
        source = self.split_of[group]
        start, end = self.groups.counts.indptr[group : group + 2]
        columns, amounts = self.groups.counts.indices[start:end], self.groups.counts.data[start:end]
        self.held[source, columns] -= amounts
        self.held[to, columns] += amounts
        self.positives[source] -= self.groups.has_label[group]
        self.positives[to] += self.groups.has_label[group]
        self.split_of[group] = to

    def harm(self, source: int, to: int) -> np.ndarray:
        """float [groups]: how much a move of each group from `source` to `to` would disturb the shares.

        The measure is the sum over splits and labels (and documents, as if they were a label) of
        (count - target)² / total; the change when a group with counts c moves is linear in c and c².
        """
        surplus = self.held - self.target
        linear = 2 * (surplus[to] - surplus[source]) * self.weight
        return self.groups.counts @ linear + self.groups.squares @ (2 * self.weight)

    def cover(self) -> None:
        """Give every label with enough groups positives in train, then test, then val.

        Moves groups as long as one move, or two at once, lowers the number of labels missing in train; or leaves that
        as it is and lowers those missing in test; or, leaving both, in val.
        """
        while any(self._fill(to, label) for to, label in self._gaps()):
            pass

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """Splits and labels missing in them, by priority of the split, then rarest label first."""
        for to in COVERAGE_ORDER:
            missing = np.flatnonzero(self.required[to] & (self.positives[to] == 0))
            yield from (
                (to, int(label)) for label in missing[np.argsort(self.groups.label_groups[missing], kind="stable")]
            )

    def _missing(self) -> tuple[int, ...]:
        """Labels missing by split, in the order of priority: what coverage minimises, the first number first."""
        missing = (self.required & (self.positives == 0)).sum(axis=1)
        return tuple(int(missing[place]) for place in COVERAGE_ORDER)

    def _fill(self, to: int, label: int) -> bool:
        """Bring `label` into the split `to` if that lowers `_missing`; whether it did."""
        before = self._missing()
        for group, source in self._carriers(label, to):
            self.move(group, to)
            if self._missing() < before:
                return True
            # The move took from its old split the last group of other labels: bring one of those there instead.
            lost = np.flatnonzero(self.groups.has_label[group] & self.required[source] & (self.positives[source] == 0))
            for other, home in self._carriers(int(lost[0]), source, spare=group) if lost.size else ():
                self.move(other, source)
                if self._missing() < before:
                    return True
                self.move(other, home)
            self.move(group, source)
        return False

    def _carriers(self, label: int, to: int, spare: int = -1) -> list[tuple[int, int]]:
        """Groups with `label` outside the split `to`, and their splits; the least harmful move first."""
        groups = np.flatnonzero(self.groups.has_label[:, label] & (self.split_of != to))
        groups = groups[groups != spare]
        sources = self.split_of[groups]
        harm = np.empty(len(groups))
        for source in set(sources.tolist()):
            harm[sources == source] = self.harm(source, to)[groups[sources == source]]
        order = np.argsort(harm, kind="stable")
        return [(int(groups[place]), int(sources[place])) for place in order]

    def balance(self) -> None:
        """Bring sizes to their targets, in documents, without losing coverage.

        Ends with exact sizes where single documents can move; with groups that are larger than what is left to move,
        as near as single moves come.
        """
        while (excess := self.documents - self.sizes).any():
            source, to = int(excess.argmax()), int(excess.argmin())
            found = self._best(source, to, self.groups.documents <= min(excess[source], -excess[to]))
            if found is None:
                break
            self.move(found[0], to)

    def exchange(self) -> None:
        """Swap groups of equal size between splits as long as a swap brings the labels clearly nearer to their shares.

        Coverage forces rare labels, and with them their frequent companions, into the small splits; this makes up for
        it among the groups that are free to move.
        """
        gain = WORTHWHILE
        while gain >= WORTHWHILE:
            gain = max(self._swap(source, to) for source, to in itertools.permutations(range(len(SPLITS)), 2))

    def _swap(self, source: int, to: int) -> float:
        """Swap the best pair if that gains enough; by how much the sum in `harm` went down."""
        there = self._best(source, to, self.groups.documents > 0)
        if there is None:
            return 0.0
        self.move(there[0], to)
        back = self._best(to, source, self.groups.documents == self.groups.documents[there[0]])
        gain = 0.0 if back is None else -(there[1] + back[1])
        if back is None or gain < WORTHWHILE:
            self.move(there[0], source)
        else:
            self.move(back[0], source)
        return gain

    def _best(self, source: int, to: int, allowed: np.ndarray) -> tuple[int, float] | None:
        """The allowed group (bool [groups]) whose move does least harm, and the harm; None where coverage bars all."""
        last = self.required[source] & (self.positives[source] == 1)
        free = self.groups.labels @ last.astype(np.float64) == 0
        movable = np.flatnonzero((self.split_of == source) & allowed & free)
        if not movable.size:
            return None
        harm = self.harm(source, to)[movable]
        place = int(harm.argmin())
        return int(movable[place]), float(harm[place])


def _whole(shares: np.ndarray, total: int) -> np.ndarray:
    """int [splits]: whole numbers that sum to `total`, as near to the shares as can be (largest remainders)."""
    exact = shares * total
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    by_remainder = np.argsort(sizes - exact, kind="stable")
    sizes[by_remainder[: total - sizes.sum()]] += 1
    return sizes


def audit(corpus: pl.DataFrame, split_of: pl.Series, taxonomy: Taxonomy, options: SplitOptions) -> dict[str, Any]:
    """Measure a split, whoever made it: `split_of` names the split of every row of `corpus`.

    With N documents, N_s of them in split s, n(l) and n_s(l) those that carry label l:
    - size_error of a split: N_s / N less the share asked for;
    - label_distribution_distance, by level: the mean over splits and labels in the corpus of
      |n_s(l) / N_s - n(l) / N|;
    - label_pair_distribution_distance: the same over the pairs of labels that occur together (a class and its own
      section, which always do, left out).
    These are the distances of Szymański and Kajdanowicz (2017) on proportions instead of odds, which are infinite for
    a label that every document carries.
    - missing_labels: by split and level, labels of the corpus without a document in the split;
    - groups_in_several_splits, texts_in_several_splits: leakage, counted afresh from the rows; texts are compared by
      their letters and digits after NFKC, without regard to case. Both are 0 for a sound split.
    """
    truth = _truth(corpus, taxonomy)
    masks = [(split_of == name).to_numpy() for name in SPLITS]
    pairs = _together(truth)
    proportions = pairs / len(truth)
    distances = np.stack([np.abs(_together(truth[mask]) / max(mask.sum(), 1) - proportions) for mask in masks]).mean(
        axis=0
    )
    present = np.diag(pairs) > 0
    co_occurs = np.triu(pairs > 0, k=1)
    co_occurs[taxonomy.parent_index, np.arange(len(taxonomy.sections), len(taxonomy.labels))] = False
    with_splits = corpus.select("group_id", split=split_of)
    texts = pl.DataFrame({"text": [normalise(text) for text in corpus["text"]], "split": split_of})
    return {
        "splits": {
            name: {
                "documents": int(mask.sum()),
                "groups": corpus.filter(pl.Series(mask))["group_id"].n_unique(),
                "share": float(mask.mean()),
                "size_error": float(mask.mean() - getattr(options, name)),
                "labels_present": {
                    level: int(truth[mask][:, columns].any(axis=0).sum()) for level, columns in taxonomy.columns.items()
                },
                "mean_labels_a_document": {
                    level: float(truth[mask][:, columns].sum() / max(mask.sum(), 1))
                    for level, columns in taxonomy.columns.items()
                },
            }
            for name, mask in zip(SPLITS, masks, strict=True)
        },
        "label_distribution_distance": {
            level: float(np.diag(distances)[taxonomy.columns[level]][present[taxonomy.columns[level]]].mean())
            for level in LEVELS
        },
        "label_pair_distribution_distance": float(distances[co_occurs].mean()) if co_occurs.any() else 0.0,
        "missing_labels": {
            name: {
                level: [
                    taxonomy.labels[label]
                    for label in range(len(taxonomy.labels))[columns]
                    if present[label] and not truth[mask, label].any()
                ]
                for level, columns in taxonomy.columns.items()
            }
            for name, mask in zip(SPLITS, masks, strict=True)
        },
        "groups_in_several_splits": _torn(with_splits, "group_id"),
        "texts_in_several_splits": _torn(texts, "text"),
    }


def _together(truth: np.ndarray) -> np.ndarray:
    """int [labels, labels]: documents with both labels; on the diagonal, with the one."""
    carriers = csr_array(truth.astype(np.int64))
    return (carriers.T @ carriers).toarray()


def normalise(text: str) -> str:
    """Letters and digits of a text after NFKC, case folded: what two copies of an abstract have in common."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def _torn(rows: pl.DataFrame, key: str) -> int:
    """How many values of `key` occur in more than one split."""
    return rows.group_by(key).agg(pl.col("split").n_unique()).filter(pl.col("split") > 1).height
