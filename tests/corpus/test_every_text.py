"""Every text of a delivery: all abstracts that pass the filters, labelled or not, made as those of the corpus are."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from built import build, texts_of
from deliveries import abstract, application, random_tables, symbol, title, write_delivery
from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.provenance import read_provenance
from ipcascade.corpus.every_text import FACTS
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patstat.source import open_patstat
from support import REPOSITORY, config_file, write_corpus

TREE = LabelTree.read(IPC).select(["section", "class"])
LONG = "one two three four five six seven eight nine ten"
PATENTS_US = REPOSITORY / "../shared/patents_us"
DEFAULTS = CorpusOptions()
NO_SPLITS = pl.DataFrame(schema={"family_id": pl.String, "split": pl.String})
TABLES = {
    "tls201": [
        application(1, docdb_family_id=70, appln_auth="US", appln_filing_year=2003),
        application(2, docdb_family_id=70),  # of the same family, without a label
        application(3, docdb_family_id=0),  # of none
        application(4),  # another language
        application(5),  # too short
        application(6, ipr_type="UM"),  # filtered
        application(7, appln_kind="D "),  # a dummy
        application(8),  # no abstract
    ],
    "tls202": [title(1, "A title"), title(2, "Ein Titel", "de")],
    "tls203": [
        abstract(3, f"{LONG} three"), abstract(1, f"{LONG} \u00e9t\u00e9"), abstract(2, f"{LONG} two"),
        abstract(4, f"{LONG} vier", "de"), abstract(5, "short"), abstract(6, LONG), abstract(7, LONG),
    ],
    "tls209": [symbol(1, "A01B  33/00")],
}  # fmt: skip


def made(folder, options=DEFAULTS, split_of=NO_SPLITS, **layout):
    delivery = open_patstat(write_delivery(folder, TABLES, **layout), titles="title" in options.text)
    return texts_of(delivery, options, split_of)


def test_every_abstract_that_passes_the_filters_is_there_in_the_order_of_the_applications(tmp_path):
    splits = pl.DataFrame({"family_id": ["70", "999"], "split": ["train", "test"]})
    assert made(tmp_path, split_of=splits).rows(named=True) == [
        {"document_id": "1", "text": f"{LONG} \u00e9t\u00e9", "family_id": "70", "office": "US", "kind": "A",
         "filing_year": 2003, "first_filing_year": 2001, "first_filing_office": "EP", "split": "train"},
        {"document_id": "2", "text": f"{LONG} two", "family_id": "70", "office": "EP", "kind": "A",
         "filing_year": 2001, "first_filing_year": 2001, "first_filing_office": "EP", "split": "train"},
        {"document_id": "3", "text": f"{LONG} three", "family_id": "appln-3", "office": "EP", "kind": "A",
         "filing_year": 2001, "first_filing_year": 2001, "first_filing_office": "EP", "split": None},
    ]  # fmt: skip


def test_titles_are_part_of_texts_where_they_are_in_the_corpus(tmp_path):
    texts = made(tmp_path, CorpusOptions(text=["title", "abstract"]))
    assert dict(texts.select("document_id", "text").iter_rows()) == {
        "1": f"A title. {LONG} \u00e9t\u00e9", "2": f"{LONG} two", "3": f"{LONG} three",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"minimum_words": 1}, ["1", "2", "3", "5"]),
        ({"ipr_types": ["UM"]}, ["6"]),
        ({"language": "de"}, ["4"]),
        ({"first_year": 2002}, ["1"]),
        ({"offices": ["US"]}, ["1"]),
        ({"documents": 1}, ["1", "2", "3"]),  # the sample has no say
    ],
)
def test_the_filters_of_the_corpus_hold(tmp_path, options, ids):
    assert made(tmp_path, CorpusOptions(**options))["document_id"].to_list() == ids


def test_texts_do_not_depend_on_memory(tmp_path):
    tables = random_tables(5, 500)
    source = open_patstat(write_delivery(tmp_path, tables, parts=3), titles=True)
    options = CorpusOptions(text=["title", "abstract"], minimum_words=1)
    split_of = pl.DataFrame({"family_id": ["1", "2"], "split": ["val", "test"]})
    at_once, apart = (texts_of(source, options, split_of, most) for most in (1 << 30, 1))
    assert_frame_equal(at_once, apart)
    assert at_once.height > 50 and at_once["document_id"].cast(pl.Int64).is_sorted()


def test_an_abstract_that_is_there_twice_is_refused(tmp_path):
    tables = {**TABLES, "tls203": [*TABLES["tls203"], abstract(3, LONG)]}
    delivery = open_patstat(write_delivery(tmp_path, tables))
    with pytest.raises(UserError, match="tls203 has appln_id 3 more than once"):
        texts_of(delivery, CorpusOptions(), NO_SPLITS)


def test_the_command_writes_a_table_that_says_what_it_was_made_of(tmp_path):
    write_delivery(tmp_path / "delivery", TABLES)
    corpus = pl.DataFrame({"document_id": ["1"], "family_id": ["70"], "group_id": ["70"], "section": [["A"]]})
    write_corpus(tmp_path / "corpus.parquet", corpus, TREE.select(["section"]))
    pl.DataFrame({"document_id": ["1"], "split": ["val"]}).write_parquet(tmp_path / "splits.parquet")
    words = [f"--source={tmp_path / 'delivery'}"]
    words += [f"--{name}={tmp_path / name}.parquet" for name in ("corpus", "splits", "texts")]
    config = ["--config", str(config_file(tmp_path, corpus={"minimum_words": 1}))]
    assert main(["delivery_texts", *words, *config]) == 0
    written = pl.read_parquet(tmp_path / "texts.parquet")
    assert dict(written.select("document_id", "split").iter_rows()) == {"3": None, "1": "val", "2": "val", "5": None}
    provenance = read_provenance(tmp_path / "texts.parquet")
    assert provenance["options"]["corpus.minimum_words"] == 1
    assert set(provenance["inputs"]) == {"corpus", "source", "splits"}


@pytest.mark.skipif(not PATENTS_US.exists(), reason="the real patents are not here")
def test_of_real_patents_every_document_of_the_corpus_is_there_with_its_text():
    delivery, options = open_patstat(PATENTS_US), CorpusOptions(documents=None)
    corpus, _ = build(delivery, TREE, options, 1)
    texts = texts_of(delivery, options, NO_SPLITS)
    assert texts["document_id"].is_unique().all() and texts.height >= corpus.height
    shared = corpus.join(texts, on="document_id", suffix="_here")
    assert shared.height == corpus.height > 8_000
    for name in ("text", *FACTS[:-1]):
        assert shared[name].equals(shared[f"{name}_here"]), name
