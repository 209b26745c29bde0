"""The texts of a delivery, read twice: first to filter, count and hash all abstracts, then for the sample alone."""

import numpy as np
import polars as pl

from ipcascade.core.errors import UserError
from ipcascade.corpus.applications import Keys, positions
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions, reads_titles
from ipcascade.corpus.text import measure, with_title
from ipcascade.sources.patstat.tables import Delivery


def measure_abstracts(
    delivery: Delivery, options: CorpusOptions, applications: pl.DataFrame, funnel: Funnel
) -> pl.DataFrame:
    """Applications with an abstract to learn from: their columns, words (Int32) and text_hash (UInt64).

    applications: sorted by appln_id. Raises UserError where a filter leaves nothing, and for two abstracts of one.
    """
    ids = applications["appln_id"].to_numpy()
    columns = ("appln_id", "appln_abstract_lg", "appln_abstract")
    with_abstract = in_language = 0
    kept: list[pl.DataFrame] = []
    keys = Keys("tls203")
    for batch in delivery.read("tls203", columns, task="read tls203 (1 of 2)"):
        keys.add(batch["appln_id"])
        batch = batch.with_columns(position=positions(ids, batch["appln_id"]))
        batch = batch.drop_nulls(["position", "appln_abstract"])
        with_abstract += batch.height
        batch = batch.filter(pl.col("appln_abstract_lg") == options.language)
        in_language += batch.height
        measured = pl.concat([batch.select("appln_id"), measure(batch["appln_abstract"])], how="horizontal")
        kept.append(measured.filter(pl.col("words") >= options.minimum_words))
    keys.refuse_doubles()
    abstracts = pl.concat(kept).sort("appln_id")
    funnel.keep("abstract", with_abstract, None)
    funnel.keep("language of the abstract", in_language, "corpus.language", options.language)
    funnel.keep("words of the abstract", abstracts.height, "corpus.minimum_words", options.minimum_words)
    rows = np.searchsorted(ids, abstracts["appln_id"].to_numpy())
    return applications[rows].with_columns(abstracts["words"], abstracts["text_hash"])


def read_texts(delivery: Delivery, options: CorpusOptions, wanted: pl.Series) -> pl.DataFrame:
    """appln_id and text of the wanted applications (sorted ids), which all have an abstract in the language.

    Raises UserError where abstracts of the first reading are gone, and for two titles of one application.
    """
    texts, _ = _texts_of(delivery, "tls203", "appln_abstract", options.language, wanted, "read tls203 (2 of 2)")
    if texts.height != len(wanted):
        raise UserError(
            f"{delivery.folder}: tls203 gave {texts.height:,} of {len(wanted):,} abstracts on its second reading; "
            "the files changed meanwhile: run this again when nothing writes there"
        )
    if not reads_titles(options):
        return texts.rename({"appln_abstract": "text"})
    titles, keys = _texts_of(delivery, "tls202", "appln_title", options.language, wanted, "read tls202")
    keys.refuse_doubles()
    return texts.join(titles, on="appln_id", how="left").select(
        "appln_id", text=with_title(pl.col("appln_title"), pl.col("appln_abstract"))
    )


def read_titles(delivery: Delivery, options: CorpusOptions, wanted: pl.Series) -> pl.DataFrame:
    """appln_id and appln_title of those of the wanted applications (sorted ids) that have a title in the language.

    Raises UserError for two titles of one application.
    """
    # As in `read_texts`, which does not call this: with another fingerprint every corpus would be extracted again.
    titles, keys = _texts_of(delivery, "tls202", "appln_title", options.language, wanted, "read tls202")
    keys.refuse_doubles()
    return titles


def _texts_of(
    delivery: Delivery, table: str, column: str, language: str, wanted: pl.Series, task: str
) -> tuple[pl.DataFrame, Keys]:
    """The text column of the wanted applications, where it is in the language; and the keys of the whole table."""
    ids, keys = wanted.to_numpy(), Keys(table)
    batches = []
    for batch in delivery.read(table, ("appln_id", f"{column}_lg", column), task=task):
        keys.add(batch["appln_id"])
        wanted_rows = (
            positions(ids, batch["appln_id"]).is_not_null()
            & (batch[f"{column}_lg"] == language).fill_null(False)
            & batch[column].is_not_null()
        )
        batches.append(_copied(batch.filter(wanted_rows).select("appln_id", column)))
    return pl.concat(batches), keys


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with a copy of its texts: polars' views of them would keep those of all rows it was filtered from."""
    copied = pl.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copied, pl.DataFrame)
    return copied
