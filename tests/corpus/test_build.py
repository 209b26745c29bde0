import copy
import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from brute_force import corpus_of
from built import build
from deliveries import LONG, abstract, application, csv_rows, random_tables, symbol, title, write_delivery
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.random_streams import stream_seed
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.sampling import _splitmix64
from ipcascade.sources.patstat.source import open_patstat
from support import REPOSITORY

PATENTS_US = REPOSITORY / "../shared/patents_us"
WHOLE_TREE = LabelTree.read(IPC)
TREE = WHOLE_TREE.select(["section", "class"])
# Labels end at every level: G has no classes, C07 and A61 no subclasses.
UNEVEN_TREE = LabelTree.from_json(
    {
        "levels": ["section", "class", "subclass"],
        "labels": [
            {"code": code, "parent": parent, "level": level, "title": code}
            for level, codes in (
                ("section", [("H", None), ("G", None), ("C", None), ("A", None)]),
                ("class", [("H04", "H"), ("C07", "C"), ("A61", "A"), ("A01", "A")]),
                ("subclass", [("H04W", "H04"), ("A01C", "A01"), ("A01B", "A01")]),
            )
            for code, parent in codes
        ],
    }
)
EVERYTHING = CorpusOptions(documents=None)


def make(folder, tables, options=EVERYTHING, seed=1, tree=TREE, **layout):
    write_delivery(folder, {"tls202": [], **tables}, **layout)
    delivery = open_patstat(folder, titles="title" in options.text)
    return build(delivery, tree, options, seed)


def small(**changes):
    """Three applications with a text and a label each."""
    ids = (1, 2, 3)
    tables = {
        "tls201": [application(i) for i in ids],
        "tls203": [abstract(i, f"{LONG} {i}") for i in ids],
        "tls209": [symbol(i, code) for i, code in zip(ids, ("A01B  33/00", "C07D   1/00", "H04L   9/00"), strict=True)],
    }
    return tables | changes


def test_the_finer_level_is_a_column_more_and_changes_nothing_else(tmp_path):
    """A01B and C07D are there; F24J was taken out, so F24 is without subclass; H04 alone names none; X99 is unknown."""
    codes = {
        1: ["A01B  33/00", "A01B   1/00", "C07D   1/00"], 2: ["F24J   2/00"], 3: ["H04"],
        4: ["H04L   9/00", "F24J   1/00"], 5: ["X99Z   1/00"],
    }  # fmt: skip
    tables = {
        "tls201": [application(i) for i in codes],
        "tls203": [abstract(i, f"{LONG} {i}") for i in codes],
        "tls209": [symbol(i, code) for i, given in codes.items() for code in given],
    }
    alone, funnel = make(tmp_path / "alone", tables)
    delivery = open_patstat(write_delivery(tmp_path / "finer", {"tls202": [], **tables}))
    corpus, same_funnel = build(delivery, TREE, EVERYTHING, 1, TREE.with_level_below(WHOLE_TREE))
    assert_frame_equal(corpus.drop("subclass"), alone)
    assert funnel == same_funnel
    assert funnel["symbols"]["most_frequent_dropped_codes"] == [{"code": "X99", "symbols": 1}]
    assert corpus["subclass"].to_list() == [["A01B", "C07D"], [], [], ["H04L"]]


def test_the_finer_level_of_a_family_is_that_of_all_its_applications(tmp_path):
    tables = small(
        tls201=[application(i, docdb_family_id=family) for i, family in ((1, 7), (2, 7), (3, 8))],
    )
    delivery = open_patstat(write_delivery(tmp_path, {"tls202": [], **tables}))
    corpus, _ = build(delivery, TREE, EVERYTHING, 1, TREE.with_level_below(WHOLE_TREE))
    assert corpus["subclass"].to_list() == [["A01B", "C07D"], ["H04L"]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"family_labels": "representative", "text": ["title", "abstract"]},
        {"ipr_types": ["PI", "UM"], "kinds": ["A"], "first_year": 1995, "last_year": 2015, "ipc_values": ["I"]},
        {"offices": ["JP", "US", "EP", "CN"], "office_preference": ["JP"], "language": "de", "minimum_words": 11},
        {"office_preference": [], "minimum_words": 1, "ipc_values": ["N"]},
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_brute_force(tmp_path, changes, seed):
    options = CorpusOptions(documents=None, **changes)
    tables = random_tables(seed)
    corpus, funnel = make(tmp_path, tables, options, parts=2)
    expected, left = corpus_of(csv_rows(tables), options, TREE)
    assert corpus.to_dicts() == expected
    assert [step["left"] for step in funnel["steps"]] == left
    assert len(expected) > 5


@pytest.mark.parametrize(
    "tree",
    [
        WHOLE_TREE,
        UNEVEN_TREE,
        *(WHOLE_TREE.select(levels) for levels in (["section"], ["class"], ["subclass"], ["section", "subclass"])),
        UNEVEN_TREE.select(["class", "subclass"]),
    ],
    ids=lambda tree: f"{'-'.join(tree.levels)}-{len(tree.labels)}",
)
@pytest.mark.parametrize("family_labels", ["union", "representative"])
def test_agrees_with_brute_force_for_trees_of_any_depth(tmp_path, tree, family_labels):
    options = CorpusOptions(documents=None, family_labels=family_labels)
    tables = random_tables(4)
    corpus, funnel = make(tmp_path, tables, options, tree=tree)
    expected, left = corpus_of(csv_rows(tables), options, tree)
    assert corpus.to_dicts() == expected
    assert [step["left"] for step in funnel["steps"]] == left
    assert len(expected) > 5
    for level in tree.levels:
        codes = [code for row in expected for code in row[level]]
        assert funnel["labels"][level] == {
            "present": len(set(codes)), "mean_per_document": len(codes) / len(expected),
        }  # fmt: skip


def test_labels_that_end_early_leave_the_lists_below_empty(tmp_path):
    tables = small(tls209=[symbol(1, "G06F   9/00"), symbol(2, "C07D   1/00"), symbol(3, "A01B  33/00")])
    corpus, _ = make(tmp_path, tables, tree=UNEVEN_TREE)
    assert corpus.select("section", "class", "subclass").rows() == [
        (["G"], [], []), (["C"], ["C07"], []), (["A"], ["A01"], ["A01B"]),
    ]  # fmt: skip
    assert str(corpus.schema["subclass"]) == "List(String)"


def test_levels_may_be_called_like_any_column_that_the_corpus_is_made_with(tmp_path):
    names = ("appln_id", "family", "group", "position", "leaf", "document", "date", "text_hash", "rank", "code")
    tables = small()
    expected, _ = make(tmp_path / "own", tables)
    for number, pair in enumerate(zip(names[::2], names[1::2], strict=True)):
        tree = replace(TREE, levels=pair)
        corpus, _ = make(tmp_path / str(number), tables, tree=tree)
        assert_frame_equal(corpus, expected.rename(dict(zip(TREE.levels, pair, strict=True))))


def test_obsolete_codes_are_counted_and_named(tmp_path):
    """The class of F24J is in force, F24J is not; a symbol without a subclass leads to none either."""
    symbols = [symbol(1, f"F24J   2/{number:02}") for number in range(3)] + [symbol(2, "C13F   1/00"), symbol(3, "A01")]
    tables = small(tls209=[*small()["tls209"], *symbols])
    _, funnel = make(tmp_path / "three", tables, tree=WHOLE_TREE)
    assert funnel["symbols"]["dropped_outside_label_tree"] == 5
    assert funnel["symbols"]["most_frequent_dropped_codes"] == [
        {"code": "F24J", "symbols": 3}, {"code": "A01", "symbols": 1}, {"code": "C13F", "symbols": 1},
    ]  # fmt: skip
    _, funnel = make(tmp_path / "two", tables)
    assert funnel["symbols"]["dropped_outside_label_tree"] == 0


def test_schema_of_the_corpus(tmp_path):
    corpus, _ = make(tmp_path, small())
    assert {name: str(dtype) for name, dtype in corpus.schema.items()} == {
        "document_id": "String", "family_id": "String", "group_id": "String", "office": "String", "kind": "String",
        "filing_year": "Int16", "first_filing_year": "Int16", "first_filing_office": "String", "words": "Int32",
        "text": "String", "section": "List(String)", "class": "List(String)",
    }  # fmt: skip


def test_the_first_filing_of_a_family_need_not_have_a_text_or_a_label(tmp_path):
    """Family 7: JP 1999 without a text, WO 2000 represents it. Family 8: a known year comes before unknown ones, a
    known date before an unknown one of the same year. Family 9: nothing is known. Utility models are filtered."""
    unknown = {"appln_filing_date": "9999-12-31", "appln_filing_year": 9999}
    tables = small(
        tls201=[
            application(1, docdb_family_id=7, appln_auth="WO", appln_filing_date="2000-05-01", appln_filing_year=2000),
            application(4, docdb_family_id=7, appln_auth="JP", appln_filing_date="1999-05-01", appln_filing_year=1999),
            application(5, docdb_family_id=7, appln_auth="DE", appln_filing_date="1998-05-01", appln_filing_year=1998,
                        ipr_type="UM"),
            application(2, docdb_family_id=8, appln_auth="US", **unknown),
            application(6, docdb_family_id=8, appln_auth="KR", appln_filing_date="9999-12-31", appln_filing_year=2001),
            application(8, docdb_family_id=8, appln_auth="  ", appln_filing_date="2001-12-31", appln_filing_year=2001),
            application(3, docdb_family_id=9, appln_auth="CN", **unknown),
            application(9, docdb_family_id=9, appln_auth="AU", **unknown),
        ]
    )  # fmt: skip
    corpus, _ = make(tmp_path, tables)
    columns = ("document_id", "office", "filing_year", "first_filing_year", "first_filing_office")
    assert corpus.select(columns).rows() == [
        ("1", "WO", 2000, 1999, "JP"), ("2", "US", None, 2001, None), ("3", "CN", None, None, "CN"),
    ]  # fmt: skip


@pytest.mark.parametrize("documents", [None, 40])
def test_order_of_rows_parts_and_layout_does_not_matter(tmp_path, documents):
    options = CorpusOptions(documents=documents, text=["title", "abstract"])
    tables = random_tables(5)
    corpus, funnel = make(tmp_path / "a", tables, options)
    for number, (layout, parts) in enumerate((("nested", 3), ("flat", 2), ("plain", 5))):
        again, facts = make(tmp_path / layout, tables, options, layout=layout, parts=parts, shuffle=number)
        assert_frame_equal(corpus, again)
        assert funnel == facts


@pytest.mark.parametrize(
    "options", [CorpusOptions(documents=60), EVERYTHING, CorpusOptions(text=["title", "abstract"])]
)
def test_the_corpus_does_not_depend_on_how_much_fits_in_memory(tmp_path, options):
    folder = write_delivery(tmp_path, random_tables(8))
    corpus, funnel = build(open_patstat(folder, titles=True), TREE, options, 1)
    for most_bytes in (1, 100_000):  # a part at a time, and some
        again, facts = build(open_patstat(folder, titles=True), TREE, options, 1, most_bytes=most_bytes)
        assert_frame_equal(again, corpus)
        assert facts == funnel


def test_a_smaller_sample_is_a_subset_of_a_larger_one(tmp_path):
    delivery = open_patstat(write_delivery(tmp_path, random_tables(3)))
    everything, _ = build(delivery, TREE, EVERYTHING, 7)
    larger = everything
    for size in (everything.height + 5, 90, 30, 29, 1):
        sample, funnel = build(delivery, TREE, CorpusOptions(documents=size), 7)
        assert sample.height == min(size, everything.height) == funnel["steps"][-1]["left"]
        assert_frame_equal(sample, larger.filter(pl.col("document_id").is_in(sample["document_id"].to_list())))
        larger = sample


def test_the_sample_is_drawn_by_a_stream_of_its_own(tmp_path):
    """A seed gives the same documents when randomness is used elsewhere, and from version to version."""
    delivery = open_patstat(write_delivery(tmp_path, random_tables(3)))
    everything, _ = build(delivery, TREE, EVERYTHING, 7)
    numbers = everything["document_id"].cast(pl.Int32)
    hashes = _splitmix64(numbers.to_numpy(), stream_seed(7, "corpus", "sample"))
    sample, _ = build(delivery, TREE, CorpusOptions(documents=30), 7)
    assert sample["document_id"].cast(pl.Int32).to_list() == sorted(numbers.to_numpy()[np.argsort(hashes)[:30]])


def test_samples_differ_by_seed_and_spread_evenly(tmp_path):
    ids = range(1, 1001)
    tables = {
        "tls201": [application(i) for i in ids],
        "tls203": [abstract(i, f"{LONG} {i}") for i in ids],
        "tls209": [symbol(i, "A01B") for i in ids],
    }
    delivery = open_patstat(write_delivery(tmp_path, tables))
    drawn = [
        set(build(delivery, TREE, CorpusOptions(documents=300), seed)[0]["document_id"].to_list()) for seed in range(6)
    ]
    assert len(set(map(frozenset, drawn))) == 6
    for first, second in itertools.combinations(drawn, 2):
        assert 50 < len(first & second) < 130  # 90 expected of independent samples, standard deviation 6.6
    for sample in drawn:
        assert 90 < sum(int(i) <= 500 for i in sample) < 210


def test_funnel_adds_up_and_says_what_was_dropped(tmp_path):
    tables = random_tables(8)
    corpus, funnel = make(tmp_path, tables, CorpusOptions(documents=50))
    steps = funnel["steps"]
    for before, step in itertools.pairwise(steps):
        assert step["left"] == before["left"] - step["removed"]
        assert step["removed"] >= 0
    assert steps[0] == {
        "step": "tls201_appln", "key": None, "removed": 0, "left": len(tables["tls201"]), "unit": "applications",
    }  # fmt: skip
    assert steps[-1]["unit"] == "documents"
    symbols = funnel["symbols"]
    assert symbols["read"] == len(tables["tls209"])
    dropped = ("of_other_applications", "dropped_by_ipc_value", "dropped_outside_label_tree")
    assert symbols["kept"] == symbols["read"] - sum(symbols[name] for name in dropped)
    codes = symbols["most_frequent_dropped_codes"]
    assert {entry["code"] for entry in codes} == {"A", "A02", "Z99"}
    assert sum(entry["symbols"] for entry in codes) == symbols["dropped_outside_label_tree"]
    assert codes == sorted(codes, key=lambda entry: -entry["symbols"])
    assert funnel["tables"] == {
        name: {"rows": len(tables[name]), "row_count": len(tables[name]), "checked": True, "quarantined": 0}
        for name in ("tls201", "tls203", "tls209")
    }
    assert funnel["notes"] == []
    classes = [code for codes in corpus["class"] for code in codes]
    assert funnel["labels"]["class"] == {"present": len(set(classes)), "mean_per_document": len(classes) / 50}
    sizes = corpus["group_id"].value_counts()["count"]
    assert funnel["groups"] == {
        "groups": len(sizes),
        "of_several_documents": (sizes > 1).sum(),
        "documents_in_them": sizes.filter(sizes > 1).sum(),
        "largest": sizes.max(),
    }


def test_the_steps_of_the_funnel_and_the_keys_that_decide_them(tmp_path):
    for options, key in ((EVERYTHING, "label_tree"), (CorpusOptions(ipc_values=["I"]), "ipc_values")):
        _, funnel = make(tmp_path, small(), options)
        assert [(step["step"], step["key"]) for step in funnel["steps"]] == [
            ("tls201_appln", None),
            ("no dummy application", None),
            ("kind of right", "corpus.ipr_types"),
            ("application kind", "corpus.kinds"),
            ("filing office", "corpus.offices"),
            ("first filing year", "corpus.first_year"),
            ("last filing year", "corpus.last_year"),
            ("IPC symbol in the label tree", f"corpus.{key}"),
            ("abstract", None),
            ("language of the abstract", "corpus.language"),
            ("words of the abstract", "corpus.minimum_words"),
            ("one application per family", None),
            ("sample", "corpus.documents"),
        ]


def test_symbols_are_counted_by_what_became_of_them(tmp_path):
    """A symbol of no known application, two without the value I, and two whose code is unknown or missing."""
    dropped = [symbol(9, "A01B"), symbol(1, "A01B", "N"), symbol(1, "A01B", " "), symbol(2, "Z99"), symbol(3, "")]
    _, funnel = make(tmp_path, small(tls209=[*small()["tls209"], *dropped]), CorpusOptions(ipc_values=["I"]))
    assert funnel["symbols"] == {
        "read": 8,
        "of_other_applications": 1,
        "dropped_by_ipc_value": 2,
        "dropped_outside_label_tree": 2,
        "dropped_by_weight": 0,
        "kept": 3,
        "renamed": 0,
        "most_frequent_dropped_codes": [{"code": "", "symbols": 1}, {"code": "Z99", "symbols": 1}],
        "distinct_dropped_codes": 2,
    }


def test_only_the_ten_most_frequent_dropped_codes_are_named(tmp_path):
    codes = [f"Z{number:02}" for number in range(12)]
    symbols = [symbol(1, f"{code}B   {place}/00") for number, code in enumerate(codes) for place in range(number + 1)]
    _, funnel = make(tmp_path, small(tls209=[*small()["tls209"], *symbols]))
    assert funnel["symbols"]["most_frequent_dropped_codes"] == [
        {"code": codes[number], "symbols": number + 1} for number in range(11, 1, -1)
    ]
    assert funnel["symbols"]["distinct_dropped_codes"] == 12


def test_tables_without_a_row_count_are_marked_unchecked(tmp_path):
    _, funnel = make(tmp_path, small(), counts=None)
    assert funnel["tables"]["tls201"] == {"rows": 3, "row_count": None, "checked": False, "quarantined": 0}
    assert len(funnel["notes"]) == 1 and "no RowCount file" in funnel["notes"][0]


def test_text_survives_quotes_commas_and_line_breaks(tmp_path):
    text = 'a "first" word, and\r\na second; ' + LONG
    corpus, _ = make(tmp_path, small(tls203=[abstract(1, f"  {text}\r\n")]))
    assert corpus["text"].to_list() == [text]


def test_families_connected_through_chains_of_texts_are_one_group(tmp_path):
    """Family 30 shares a text with 20, whose other member shares another with 10."""
    ids = (1, 2, 3, 4, 5)
    texts = (LONG + " x", LONG + " y", LONG.upper() + " Y.", LONG + " x", LONG + " z")
    tables = {
        "tls201": [application(i, docdb_family_id=f) for i, f in zip(ids, (30, 20, 10, 20, 5), strict=True)],
        "tls203": [abstract(i, text) for i, text in zip(ids, texts, strict=True)],
        "tls209": [symbol(i, "A01B") for i in ids],
    }
    corpus, _ = make(tmp_path, tables)
    assert dict(zip(corpus["family_id"], corpus["group_id"], strict=True)) == {
        "30": "10", "20": "10", "10": "10", "5": "5",
    }  # fmt: skip


def test_another_tree_decides_what_is_kept(tmp_path):
    tree = LabelTree(("top", "below"), (2, 2), ("H", "A", "H04", "A01"), (-1, -1, 0, 1), ("h", "a", "h4", "a1"))
    tables = small(tls209=[*small()["tls209"], symbol(3, "A01B")])
    corpus, funnel = build(open_patstat(write_delivery(tmp_path, tables)), tree, EVERYTHING, 1)
    assert corpus.select("document_id", "top", "below").rows() == [
        ("1", ["A"], ["A01"]), ("3", ["H", "A"], ["H04", "A01"]),
    ]  # fmt: skip
    assert funnel["symbols"]["dropped_outside_label_tree"] == 1


@pytest.mark.parametrize(
    ("options", "changes", "names"),
    [
        ({"ipr_types": ["UM"]}, {}, ["'kind of right'", "corpus.ipr_types", "'UM'", "last 3 applications"]),
        ({"kinds": ["W"]}, {}, ["corpus.kinds"]),
        ({"offices": ["US"]}, {}, ["corpus.offices"]),
        ({"first_year": 2002}, {}, ["corpus.first_year (now 2002)"]),
        ({"last_year": 2000}, {}, ["corpus.last_year"]),
        ({"ipc_values": ["N"]}, {}, ["corpus.ipc_values (now ['N'])"]),
        ({"language": "fr"}, {}, ["corpus.language (now 'fr')"]),
        ({"minimum_words": 12}, {}, ["corpus.minimum_words (now 12)"]),
        ({}, {"tls201": [application(i, appln_kind="D ") for i in (1, 2, 3)]}, ["'no dummy application'"]),
        ({}, {"tls209": [symbol(1, "Z99")]}, ["'IPC symbol in the label tree'", "corpus.label_tree"]),
        ({}, {"tls209": []}, ["'IPC symbol in the label tree'"]),
        ({}, {"tls203": [abstract(9, LONG)]}, ["'abstract'"]),
        ({}, {"tls203": []}, ["'abstract'"]),
        ({}, {"tls201": []}, ["tls201_appln", "no rows"]),
    ],
)
def test_the_step_that_empties_the_corpus_is_named(tmp_path, options, changes, names):
    with pytest.raises(UserError) as error:
        make(tmp_path, small(**changes), CorpusOptions(**options))
    for name in names:
        assert name in str(error.value)


@pytest.mark.parametrize("table", ["tls201", "tls202", "tls203"])
def test_a_row_twice_is_refused(tmp_path, table):
    tables = {"tls202": [title(1, "Title")], **small()}
    tables = tables | {table: [*tables[table], copy.deepcopy(tables[table][0])]}
    with pytest.raises(UserError, match=f"{table} has appln_id 1 more than once"):
        make(tmp_path, tables, CorpusOptions(text=["title", "abstract"]))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("tls203", abstract(1, "too short")),
        ("tls203", abstract(1, "")),
        ("tls203", abstract(1, LONG, "de")),
        ("tls203", abstract(9, LONG)),
        ("tls201", application(1, appln_kind="D ")),
        ("tls201", application(1, ipr_type="UM")),
        ("tls202", title(1, "Titel", "de")),
        ("tls202", title(9, "Title")),
    ],
)
def test_an_application_twice_is_named_though_a_filter_drops_a_row_of_it(tmp_path, table, row):
    tables = {"tls202": [title(1, "Title")], **small()}
    double = {**row, "appln_id": row["appln_id"]}
    tables[table] = [*tables[table], double] + ([copy.deepcopy(row)] if row["appln_id"] == 9 else [])
    with pytest.raises(UserError, match=f"{table} has appln_id {row['appln_id']} more than once"):
        make(tmp_path, tables, CorpusOptions(text=["title", "abstract"]))


@pytest.mark.skipif(not PATENTS_US.is_dir(), reason="the sample of real patents is not there")
def test_real_patents():
    delivery = open_patstat(PATENTS_US)
    corpus, funnel = build(delivery, TREE, CorpusOptions(documents=1000), 42)
    assert corpus.height == 1000
    assert funnel["steps"][0]["left"] == 9418
    assert funnel["symbols"]["read"] == 36466
    assert funnel["symbols"]["dropped_outside_label_tree"] < 20
    assert corpus["family_id"].n_unique() == 1000
    assert funnel["labels"]["section"]["present"] == 8


@pytest.mark.skipif(not PATENTS_US.is_dir(), reason="the sample of real patents is not there")
def test_real_patents_down_to_subclasses():
    _, funnel = build(open_patstat(PATENTS_US), WHOLE_TREE, CorpusOptions(documents=None), 42)
    assert funnel["labels"]["subclass"]["present"] == 560
    assert funnel["symbols"]["dropped_outside_label_tree"] == 60
    assert {"code": "F24J", "symbols": 5} in funnel["symbols"]["most_frequent_dropped_codes"]
