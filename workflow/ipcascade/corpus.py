"""From a delivery to the corpus: filters, families, labels, sampling, and the funnel that says what went and why.

The applications, their labels and a hash of every abstract are held as plain columns (an estimated 32 GB at the peak
for the whole of PATSTAT); texts are not. They are streamed a second time, for the sampled documents alone. Whatever the
sample size, a document's row is the same: family, group and labels are settled on the whole delivery before the sample
is drawn.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from .config import CorpusOptions
from .errors import UserError
from .randomness import stream_seed
from .sources.patstat_bulk import Delivery
from .taxonomy import Taxonomy

DUMMY_KINDS = ("D", "Q", "D2")
LARGEST_APPLN_ID = 900_000_000
"""Ids above belong to dummy applications, which PATSTAT invents for cited numbers that it does not hold."""
REPORTED_CODES = 10


class Funnel:
    """What each step removed and left. Every step's `left` is the one before less its own `removed`."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def start(self, step: str, amount: int, unit: str) -> None:
        """The first step: what there is before anything is removed. Raises UserError where that is nothing."""
        self.steps.append({"step": step, "key": None, "removed": 0, "left": amount, "unit": unit})
        if amount == 0:
            raise UserError(f"{step}: the table has no rows, so there is no corpus to build; fetch the delivery again")

    def keep(self, step: str, left: int, key: str | None, value: object = None, unit: str | None = None) -> None:
        """A further step, with the key in the config that rules it. Raises UserError where it leaves nothing."""
        last = self.steps[-1]
        self.steps.append(
            {"step": step, "key": key, "removed": last["left"] - left, "left": left, "unit": unit or last["unit"]}
        )
        if left == 0:
            advice = f"change {key} (now {value!r})" if key else "check that the tables are of the same edition"
            raise UserError(
                f"the corpus is empty: the step {step!r} removed the last {last['left']:,} {last['unit']}; {advice}"
            )


def build(
    delivery: Delivery, taxonomy: Taxonomy, options: CorpusOptions, seed: int
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Build the corpus and the facts about how it came about.

    Returns the corpus, one row a document, sorted by appln_id:
    document_id (text, the appln_id), family_id (text, the DOCDB family; `appln-` and the appln_id where there is none),
    group_id (text, the smallest family of those that share a normalised abstract: what splits must not tear apart),
    office, kind, filing_year (Int16, nullable), words (Int32, of the abstract), text,
    sections and classes (lists of text in taxonomy order);
    and the funnel: steps, symbols, tables, labels, groups as plain data.

    A row depends on the delivery, the taxonomy and the options, never on the order of rows or parts nor on the sample
    size; a smaller sample is a subset of a larger one. Raises UserError where a step leaves nothing, naming its key.
    """
    funnel = Funnel()
    applications = _read_applications(delivery, options, funnel)
    labels, symbols = _read_labels(delivery, taxonomy, options, applications)
    labelled = np.zeros(applications.height, dtype=bool)
    labelled[labels.positions] = True
    key = "corpus.taxonomy" if options.ipc_values is None else "corpus.ipc_values"
    value = options.taxonomy if options.ipc_values is None else options.ipc_values
    funnel.keep("IPC symbol in the taxonomy", int(labelled.sum()), key, value)

    candidates = _read_abstracts(delivery, options, applications.filter(pl.Series(labelled)), funnel)
    representatives = _represent(candidates, options.office_preference)
    funnel.keep("one application a family", representatives.height, None, unit="documents")
    sample = _draw(representatives, options.documents, stream_seed(seed, "corpus", "sample"))
    funnel.keep("sample", sample.height, "corpus.documents", options.documents)

    corpus = (
        sample.join(_groups(candidates), on="family", how="left", maintain_order="left")
        .join(_label_lists(sample, applications, labels, taxonomy, options.family_labels), on="appln_id", how="left")
        .join(_read_texts(delivery, options, sample["appln_id"]), on="appln_id", how="left")
        .sort("appln_id")
        .select(
            document_id=pl.col("appln_id").cast(pl.String),
            family_id=_family_name(pl.col("family")),
            group_id=_family_name(pl.col("group")),
            office=pl.col("office").cast(pl.String),
            kind=pl.col("kind").cast(pl.String),
            filing_year="filing_year",
            words="words",
            text="text",
            sections="sections",
            classes="classes",
        )
    )
    return corpus, {
        "steps": funnel.steps,
        "symbols": symbols,
        "tables": {
            table: {"rows": count.rows, "row_count": count.expected, "checked": count.expected is not None}
            for table, count in sorted(delivery.counts.items())
        },
        **_summary(corpus),
    }


def _read_applications(delivery: Delivery, options: CorpusOptions, funnel: Funnel) -> pl.DataFrame:
    """Applications that pass the application filters, sorted by appln_id.

    Columns: appln_id, office, kind (categorical), date, filing_year, family: the DOCDB family, or the negative
    appln_id where there is none, so that such an application is a family of its own.
    """
    year = pl.col("appln_filing_year")
    id_ = pl.col("appln_id")
    is_dummy = pl.col("appln_kind").is_in(DUMMY_KINDS).fill_null(False) | (id_ <= 0) | (id_ > LARGEST_APPLN_ID)
    filters: list[tuple[str, str | None, object, pl.Expr | None]] = [
        ("no dummy application", None, None, ~is_dummy),
        ("kind of right", "corpus.ipr_types", options.ipr_types, pl.col("ipr_type").is_in(options.ipr_types)),
        ("application kind", "corpus.kinds", options.kinds, _is_among("appln_kind", options.kinds)),
        ("filing office", "corpus.offices", options.offices, _is_among("appln_auth", options.offices)),
        (
            "first filing year",
            "corpus.first_year",
            options.first_year,
            None if options.first_year is None else year >= options.first_year,
        ),
        (
            "last filing year",
            "corpus.last_year",
            options.last_year,
            None if options.last_year is None else year <= options.last_year,
        ),
    ]
    columns = (
        "appln_id",
        "appln_auth",
        "appln_kind",
        "appln_filing_date",
        "appln_filing_year",
        "ipr_type",
        "docdb_family_id",
    )
    left = [0] * (len(filters) + 1)
    kept: list[pl.DataFrame] = []
    for batch in delivery.read("tls201", columns):
        left[0] += batch.height
        for step, (_, _, _, keeps) in enumerate(filters, start=1):
            if keeps is not None:
                batch = batch.filter(keeps)
            left[step] += batch.height
        kept.append(
            batch.select(
                "appln_id",
                office=pl.col("appln_auth").cast(pl.Categorical),
                kind=pl.col("appln_kind").cast(pl.Categorical),
                date="appln_filing_date",
                filing_year=year.cast(pl.Int16),
                family=pl.coalesce("docdb_family_id", -id_),
            )
        )
    funnel.start("tls201_appln", left[0], "applications")
    for (step_name, key, value, _), amount in zip(filters, left[1:], strict=True):
        funnel.keep(step_name, amount, key, value)
    applications = pl.concat(kept).sort("appln_id")
    _refuse_doubles(applications["appln_id"], "tls201")
    return applications


def _is_among(column: str, wanted: Sequence[str] | None) -> pl.Expr | None:
    return None if wanted is None else pl.col(column).is_in(wanted)


def _refuse_doubles(sorted_ids: pl.Series, table: str) -> None:
    ids = sorted_ids.to_numpy()
    doubles = ids[1:][ids[1:] == ids[:-1]]
    if doubles.size:
        raise UserError(
            f"{table} has appln_id {doubles[0]} more than once; keep only the files of one edition in the folder"
        )


@dataclass(frozen=True)
class _Labels:
    """Distinct (application, class) pairs: row among the applications, class number in the taxonomy; sorted."""

    positions: np.ndarray
    classes: np.ndarray


def _read_labels(
    delivery: Delivery, taxonomy: Taxonomy, options: CorpusOptions, applications: pl.DataFrame
) -> tuple[_Labels, dict[str, Any]]:
    """The classes of each application's symbols, and what became of the symbols."""
    ids = applications["appln_id"].to_numpy()
    count = len(taxonomy.classes)
    code = pl.col("ipc_class_symbol").str.slice(0, 3).fill_null("")
    number = code.replace_strict(list(taxonomy.classes), list(range(count)), default=None, return_dtype=pl.Int64)
    columns = ["appln_id", "ipc_class_symbol"] + (["ipc_value"] if options.ipc_values is not None else [])
    dropped: Counter[str] = Counter()
    read = of_kept = of_value = 0
    pairs = [np.empty(0, dtype=np.int64)]
    for batch in delivery.read("tls209", columns):
        read += batch.height
        batch = batch.with_columns(position=_positions(ids, batch["appln_id"])).drop_nulls("position")
        of_kept += batch.height
        if options.ipc_values is not None:
            batch = batch.filter(pl.col("ipc_value").is_in(options.ipc_values))
        of_value += batch.height
        batch = batch.select("position", code=code, number=number)
        dropped.update(dict(batch.filter(pl.col("number").is_null())["code"].value_counts().iter_rows()))
        pairs.append(batch.drop_nulls().select(pl.col("position") * count + pl.col("number")).unique().to_numpy()[:, 0])
    distinct = np.concatenate(pairs)
    del pairs
    distinct.sort()
    distinct = distinct[np.diff(distinct, prepend=-1) > 0]
    labels = _Labels((distinct // count).astype(np.int32), (distinct % count).astype(np.int16))
    outside = sum(dropped.values())
    most_frequent = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))[:REPORTED_CODES]
    return labels, {
        "read": read,
        "of_other_applications": read - of_kept,
        "dropped_by_ipc_value": of_kept - of_value,
        "dropped_outside_taxonomy": outside,
        "kept": of_value - outside,
        "most_frequent_dropped_codes": [{"code": code, "symbols": amount} for code, amount in most_frequent],
        "distinct_dropped_codes": len(dropped),
    }


def _positions(sorted_ids: np.ndarray, wanted: pl.Series) -> pl.Series:
    """For each wanted id its place among the sorted ones, null where it is not among them; Int64."""
    values = wanted.to_numpy()
    places = np.searchsorted(sorted_ids, values)
    found = sorted_ids[np.minimum(places, len(sorted_ids) - 1)] == values
    return pl.Series(places, dtype=pl.Int64).set(pl.Series(~found), None)


def _read_abstracts(
    delivery: Delivery, options: CorpusOptions, applications: pl.DataFrame, funnel: Funnel
) -> pl.DataFrame:
    """Applications with an abstract to learn from: their columns, words (Int32) and text_hash (UInt64)."""
    ids = applications["appln_id"].to_numpy()
    with_abstract = in_language = 0
    kept: list[pl.DataFrame] = []
    for batch in delivery.read(
        "tls203", ("appln_id", "appln_abstract_lg", "appln_abstract"), task="read tls203 (1 of 2)"
    ):
        batch = batch.with_columns(position=_positions(ids, batch["appln_id"])).drop_nulls(
            ["position", "appln_abstract"]
        )
        with_abstract += batch.height
        batch = batch.filter(pl.col("appln_abstract_lg") == options.language)
        in_language += batch.height
        measured = pl.concat([batch.select("appln_id"), _measure(batch["appln_abstract"])], how="horizontal")
        kept.append(measured.filter(pl.col("words") >= options.minimum_words))
    abstracts = pl.concat(kept).sort("appln_id")
    funnel.keep("abstract", with_abstract, None)
    funnel.keep("language of the abstract", in_language, "corpus.language", options.language)
    funnel.keep("words of the abstract", abstracts.height, "corpus.minimum_words", options.minimum_words)
    _refuse_doubles(abstracts["appln_id"], "tls203")
    rows = np.searchsorted(ids, abstracts["appln_id"].to_numpy())
    return applications[rows].with_columns(abstracts["words"], abstracts["text_hash"])


def _measure(texts: pl.Series) -> pl.DataFrame:
    """words (Int32, whitespace-separated) and text_hash (UInt64, of the normalised text) of each text.

    Normalised is: NFKC, without regard to case, letters and digits only. All 100 million abstracts of PATSTAT meet by
    accident in 64 bits once in 4,000 deliveries, and then two families are kept in one split without need.
    Nine in ten English abstracts are ASCII, where both can be had from the bytes, several times as fast.
    """
    rows = pl.DataFrame({"text": texts}).with_row_index()
    is_ascii = pl.col("text").str.len_bytes() == pl.col("text").str.len_chars()
    measured = [
        part.select("index", *measure(part["text"]))
        for part, measure in ((rows.filter(is_ascii), _measure_ascii), (rows.filter(~is_ascii), _measure_unicode))
    ]
    return pl.concat(measured).sort("index").drop("index")


def _measure_unicode(texts: pl.Series) -> list[pl.Series]:
    # Upper case first: it folds what lower case leaves apart (ß and ss, the two small sigmas).
    folded = texts.str.normalize("NFKC").str.to_uppercase().str.to_lowercase()
    return [
        texts.str.count_matches(r"\S+").cast(pl.Int32).alias("words"),
        folded.str.replace_all(r"[^\p{L}\p{N}]+", "").hash().alias("text_hash"),
    ]


def _measure_ascii(texts: pl.Series) -> list[pl.Series]:
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, content = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset :][: len(array) + 1]
    letters = np.frombuffer(content or b"", dtype=np.uint8)[ends[0] : ends[-1]]
    full = np.diff(ends) > 0
    starts = (ends[:-1] - ends[0])[full]

    def count(flags: np.ndarray) -> np.ndarray:
        """int64 [texts]: flags (uint8 [letters], 0 or 1) set in each text."""
        counts = np.zeros(len(array), dtype=np.int64)
        if len(starts):
            counts[full] = np.add.reduceat(flags, starts, dtype=np.int64)
        return counts

    visible = _IS_VISIBLE[letters]
    starts_word = visible.copy()
    starts_word[1:] = visible[1:] > visible[:-1]
    starts_word[starts] = visible[starts]
    kept = pa.LargeStringArray.from_buffers(
        len(array),
        pa.py_buffer(np.concatenate([[0], np.cumsum(count(_IS_KEPT[letters]))])),
        pa.py_buffer(letters.tobytes().translate(_LOWER, _DROPPED)),
    )
    return [pl.Series("words", count(starts_word), dtype=pl.Int32), pl.Series("text_hash", kept).hash()]


_LOWER = bytes(range(256)).lower()
_IS_KEPT = np.array([code < 128 and chr(code).isalnum() for code in range(256)], dtype=np.uint8)
_DROPPED = bytes(code for code in range(256) if not _IS_KEPT[code])
_IS_VISIBLE = np.array([code not in b"\t\n\v\f\r " for code in range(256)], dtype=np.uint8)


def _represent(candidates: pl.DataFrame, office_preference: Sequence[str]) -> pl.DataFrame:
    """One candidate a family: the preferred office, then the earliest filing (unknown last), then the smallest id."""
    rank = (
        pl.col("office")
        .cast(pl.String)
        .replace_strict(
            list(office_preference),
            list(range(len(office_preference))),
            default=len(office_preference),
            return_dtype=pl.UInt16,
        )
    )
    return (
        candidates.with_columns(rank=rank)
        .sort("family", "rank", "date", "appln_id", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
        .drop("rank")
    )


def _draw(documents: pl.DataFrame, amount: int | None, seed: int) -> pl.DataFrame:
    """The `amount` documents with the smallest hashes of their ids, sorted by appln_id."""
    if amount is not None and amount < documents.height:
        order = _splitmix64(documents["appln_id"].to_numpy(), seed)
        documents = documents[np.argpartition(order, amount)[:amount]]
    return documents.sort("appln_id")


def _splitmix64(ids: np.ndarray, seed: int) -> np.ndarray:
    """uint64 [ids]: one step of SplitMix64 (Steele, Lea, Flood 2014) from each id; distinct ids never collide."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _groups(candidates: pl.DataFrame) -> pl.DataFrame:
    """Connected families: those that share a normalised abstract, directly or through others.

    Returns family and group, the smallest family connected to it, one row for each family that has candidates.
    """
    families = candidates.select("family").unique()
    links = candidates.select("family", "text_hash").unique()
    links = links.filter(pl.len().over("text_hash") > 1).with_columns(group="family")
    while True:
        spread = links.with_columns(pl.col("group").min().over("text_hash"))
        spread = spread.with_columns(pl.col("group").min().over("family"))
        if spread["group"].equals(links["group"]):
            break
        links = spread
    found = links.select("family", "group").unique()
    return families.join(found, on="family", how="left").with_columns(pl.coalesce("group", "family"))


def _family_name(family: pl.Expr) -> pl.Expr:
    return pl.when(family > 0).then(family.cast(pl.String)).otherwise(pl.format("appln-{}", -family))


def _label_lists(
    sample: pl.DataFrame, applications: pl.DataFrame, labels: _Labels, taxonomy: Taxonomy, of: str
) -> pl.DataFrame:
    """appln_id of each document with its sections and classes, as lists in taxonomy order."""
    key = "family" if of == "union" else "appln_id"
    members = applications.select("appln_id", "family").with_row_index("position")
    members = members.join(sample.select(key, document="appln_id"), on=key)
    document = np.zeros(applications.height, dtype=np.int32)
    document[members["position"].to_numpy()] = members["document"].to_numpy()
    owner = document[labels.positions]
    wanted = owner > 0
    pairs = pl.DataFrame({"appln_id": owner[wanted], "class": labels.classes[wanted]}).unique()
    pairs = pairs.with_columns(section=pl.Series(taxonomy.parent_index[pairs["class"].to_numpy()]))
    return (
        pairs.group_by("appln_id")
        .agg(
            sections=pl.col("section").unique().sort(),
            classes=pl.col("class").sort(),
        )
        .with_columns(
            sections=_codes("sections", taxonomy.sections),
            classes=_codes("classes", taxonomy.classes),
        )
    )


def _codes(column: str, codes: Sequence[str]) -> pl.Expr:
    return pl.col(column).list.eval(
        pl.element().replace_strict(list(range(len(codes))), list(codes), return_dtype=pl.String)
    )


def _read_texts(delivery: Delivery, options: CorpusOptions, wanted: pl.Series) -> pl.DataFrame:
    """appln_id and text of the wanted applications (sorted ids)."""
    texts = _read_of(delivery, "tls203", "appln_abstract", options.language, wanted, "read tls203 (2 of 2)")
    if texts.height != len(wanted):
        raise UserError(
            f"{delivery.folder}: tls203 gave {texts.height:,} of {len(wanted):,} abstracts on its second reading; "
            "the files changed meanwhile: run this again when nothing writes there"
        )
    if options.text == "abstract":
        return texts.rename({"appln_abstract": "text"})
    titles = _read_of(delivery, "tls202", "appln_title", options.language, wanted, "read tls202")
    _refuse_doubles(titles["appln_id"].sort(), "tls202")
    abstract = pl.col("appln_abstract")
    return texts.join(titles, on="appln_id", how="left").select(
        "appln_id", text=pl.coalesce(pl.format("{}. {}", pl.col("appln_title"), abstract), abstract)
    )


def _read_of(delivery: Delivery, table: str, column: str, language: str, wanted: pl.Series, task: str) -> pl.DataFrame:
    """The text column of the wanted applications, where it is in the language."""
    ids = wanted.to_numpy()
    batches = [
        _copied(
            batch.filter(
                _positions(ids, batch["appln_id"]).is_not_null()
                & (batch[f"{column}_lg"] == language).fill_null(False)
                & batch[column].is_not_null()
            ).select("appln_id", column)
        )
        for batch in delivery.read(table, ("appln_id", f"{column}_lg", column), task=task)
    ]
    return pl.concat(batches)


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with texts of its own: polars' views of them would keep those of all rows it was filtered from."""
    copied = pl.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copied, pl.DataFrame)
    return copied


def _summary(corpus: pl.DataFrame) -> dict[str, Any]:
    sizes = corpus.group_by("group_id").len()["len"]
    shared = sizes.filter(sizes > 1)
    return {
        "labels": {
            f"{level}": {
                "present": corpus[column].explode().n_unique(),
                "mean_a_document": float(corpus[column].list.len().sum()) / corpus.height,
            }
            for level, column in (("section", "sections"), ("class", "classes"))
        },
        "groups": {
            "groups": len(sizes),
            "of_several_documents": len(shared),
            "documents_in_them": int(shared.sum()),
            "largest": int(sizes.max()),  # type: ignore[arg-type]  # never empty
        },
    }
