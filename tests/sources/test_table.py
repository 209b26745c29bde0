"""A table as a source: the corpus is the same in every format and order, and is that of the same data in PATSTAT."""

import csv
import gzip
import json
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from built import build, build_by_processes, texts_of
from ipcascade.config import load
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.options import TableOptions
from ipcascade.sources.table import open_table
from support import REPOSITORY

WHOLE_TREE = LabelTree.read(IPC)
TREE = WHOLE_TREE.select(["section", "class"])
MIXED = REPOSITORY / "../shared/patents_mixed/patents.parquet"
LONG = "one two three four five six seven eight nine ten"
ALL = TableOptions(
    title="title", first_claim="first_claim", language="language", family="family", group="group", office="office",
    kind="kind", year="year",
)  # fmt: skip
EVERYTHING = CorpusOptions(documents=None)


def row(number, **values):
    return {
        "id": f"doc {number}", "abstract": f"{LONG} {number}", "labels": ["A01B 33/00"], "title": None,
        "first_claim": None, "language": "en", "family": None, "group": None, "office": "EP", "kind": "A", "year": 2001,
        "other": "x",
    } | values  # fmt: skip


def random_rows(seed, amount=300):
    rng = np.random.default_rng(seed)
    codes = ["A01B 33/00", "A01B", "C07D", "G06F 9/00", "H04L", "H99Z", "A61K", "F24J"]

    def maybe(value, share=0.7):
        return value if rng.random() < share else None

    return [
        row(
            number,
            abstract=f"{LONG} {int(rng.integers(amount // 2))}" if rng.random() < 0.9 else None,
            labels=[codes[i] for i in rng.integers(len(codes), size=int(rng.integers(4)))],
            title=maybe(f"Title {number}, with \"quotes\"\nand a line break"),
            language=["en", "en", "de", None][int(rng.integers(4))],
            family=maybe(f"family {int(rng.integers(amount // 2))}"),
            group=maybe(f"group {int(rng.integers(amount // 3))}", 0.2),
            office=["EP", "US", "WO", None][int(rng.integers(4))],
            year=maybe(int(rng.integers(1990, 2020)), 0.9),
        )
        for number in rng.permutation(amount).tolist()
    ]  # fmt: skip


def write(path: Path, rows) -> Path:
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    if plain.endswith((".csv", ".tsv")):
        with gzip.open(path, "wt", newline="") if name.endswith(".gz") else path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="," if plain.endswith(".csv") else "\t")
            writer.writerow(rows[0])
            cells = [{**r, "labels": " ; ".join(r["labels"])} for r in rows]
            writer.writerows([["" if value is None else value for value in r.values()] for r in cells])
    elif plain.endswith(".jsonl"):
        lines = [
            json.dumps({key: value for key, value in r.items() if n < 9 or value is not None})
            for n, r in enumerate(rows)
        ]
        content = "\n\n".join(lines).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    else:
        types = {key: pl.String for key in rows[0]} | {"labels": pl.List(pl.String), "year": pl.Int16}
        pl.DataFrame(rows, schema=types, infer_schema_length=None).write_parquet(path)
    return path


def made(path, options=EVERYTHING, columns=ALL, seed=1, tree=TREE):
    return build(open_table(path, columns), tree, options, seed)


@pytest.mark.parametrize("name", ["t.csv", "t.CSV", "t.csv.gz", "t.tsv", "t.tsv.gz", "t.jsonl", "t.jsonl.gz"])
def test_the_corpus_is_the_same_in_every_format(tmp_path, name):
    rows = random_rows(3)
    options = CorpusOptions(documents=None, text=["title", "abstract"])
    corpus, funnel = made(write(tmp_path / "t.parquet", rows), options)
    found, facts = made(write(tmp_path / name, rows), options)
    assert_frame_equal(found, corpus)
    assert facts == funnel
    assert corpus.height > 50 and (corpus["text"].str.contains('quotes"\nand')).any()


def test_a_folder_is_one_table_in_any_order_of_rows(tmp_path):
    rows = random_rows(4)
    corpus, funnel = made(write(tmp_path / "t.csv", rows))
    folder = tmp_path / "folder [x]"
    folder.mkdir()
    write(folder / "b.csv", rows[:100][::-1])
    write(folder / "a.csv.gz", rows[100:])
    (folder / "notes.txt").write_text("nothing")
    (folder / ".hidden.csv").write_text("nothing")
    found, facts = made(folder)
    assert_frame_equal(found, corpus)
    assert facts == funnel


def test_files_of_a_table_are_read_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr("ipcascade.corpus.reading.SMALL_BYTES", 0)
    rows = random_rows(4)
    for name, part in (("c.csv", rows[:90]), ("a.csv", rows[90:100]), ("b.csv.gz", rows[100:])):
        write(tmp_path / name, part)
    source = open_table(tmp_path, ALL)
    assert [len(source.parts(what)) for what in ("applications", "symbols", "title")] == [3, 3, 3]
    options = CorpusOptions(documents=None, text=["title", "abstract"])
    corpus, funnel = build(source, TREE, options, 1)
    found, facts = build_by_processes(partial(open_table, tmp_path, ALL), TREE, options, 1)
    assert_frame_equal(found, corpus)
    assert facts == funnel
    write(tmp_path / "d.csv", rows[:1])
    with pytest.raises(UserError, match=r"d\.csv, line 2: the id '.*' is there more than once"):
        build_by_processes(partial(open_table, tmp_path, ALL), TREE, options, 1)


def test_lines_of_json_are_read_as_one_since_keys_may_be_missing(tmp_path):
    write(tmp_path / "a.jsonl", [row(1), row(2)])
    write(tmp_path / "b.jsonl", [{key: value for key, value in row(3).items() if key != "title"}])
    source = open_table(tmp_path, ALL)
    assert len(source.parts("title")) == 1
    assert made(tmp_path, CorpusOptions(documents=None, text=["title", "abstract"]))[0].height == 3


def test_a_document_depends_on_nothing_else_that_is_in_the_table(tmp_path):
    """Of families and groups of its own: with or without other rows it is the same, and drawn in the same order."""
    rows = [row(n, office=["EP", "US"][n % 2], labels=["A01B", "H04L"][: 1 + n % 2]) for n in range(60)]
    more = [row(n) for n in range(100, 400)]
    few, _ = made(write(tmp_path / "few.jsonl", rows))
    many, _ = made(write(tmp_path / "many.jsonl", [*more[:150], *rows, *more[150:]]))
    assert_frame_equal(many.filter(pl.col("document_id").is_in(few["document_id"].to_list())), few)
    sample, _ = made(tmp_path / "many.jsonl", CorpusOptions(documents=50))
    own, _ = made(tmp_path / "few.jsonl", CorpusOptions(documents=20))
    drawn = [i for i in sample["document_id"].to_list() if i in set(few["document_id"].to_list())]
    assert set(drawn) <= set(own["document_id"].to_list()) or set(own["document_id"].to_list()) <= set(drawn)


def expected_documents(rows, preference=("WO", "EP", "US")):
    """Document id to its family, labels and first filing, worked out document by document."""

    def classes(r):
        known = set()
        for symbol in r["labels"] or []:
            code = symbol[:3]
            if code in TREE.index and not TREE.has_children[TREE.index[code]]:
                known.add(code)
        return known

    families = {}
    for r in rows:
        families.setdefault(r["family"] or ("own", r["id"]), []).append(r)
    found = {}
    for name, members in families.items():
        candidates = [r for r in members if r["language"] == "en" and r["abstract"] and classes(r)]
        if not candidates:
            continue

        def order(r):
            office = preference.index(r["office"]) if r["office"] in preference else len(preference)
            return office, r["year"] is None, r["year"] or 0

        best = min(map(order, candidates))
        chosen = [r for r in candidates if order(r) == best]
        years = [r["year"] for r in members if r["year"] is not None]
        found[name] = (
            {r["id"] for r in chosen}, set().union(*map(classes, members)), min(years, default=None),
            {r["abstract"] for r in candidates}, {r["group"] for r in candidates if r["group"]},
        )  # fmt: skip
    return found


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_families_labels_and_groups_are_those_worked_out_one_by_one(tmp_path, seed):
    rows = random_rows(seed)
    options = CorpusOptions(documents=None, office_preference=["WO", "EP", "US"])
    corpus, _ = made(write(tmp_path / "t.parquet", rows), options)
    expected = expected_documents(rows)
    assert corpus.height == len(expected)
    found = {r["family_id"]: r for r in corpus.to_dicts()}
    for name, (ids, classes, year, _, _) in expected.items():
        document = found[name if isinstance(name, str) else f"document-{name[1]}"]
        assert document["document_id"] in ids
        assert set(document["class"]) == classes
        assert document["first_filing_year"] == year
    # Two families are in one group exactly where a chain of shared abstracts and groups leads from one to the other.
    names = list(expected)
    group = {name: number for number, name in enumerate(names)}
    changed = True
    while changed:
        changed = False
        for first in names:
            for second in names:
                share = expected[first][3] & expected[second][3] or expected[first][4] & expected[second][4]
                if share and group[first] != group[second]:
                    group[first] = group[second] = min(group[first], group[second])
                    changed = True
    of_name = {f if isinstance(f, str) else f"document-{f[1]}": g for f, g in group.items()}
    pairs = {(of_name[r["family_id"]], r["group_id"]) for r in corpus.to_dicts()}
    assert len(pairs) == len(set(group.values())) == corpus["group_id"].n_unique()
    assert set(corpus["group_id"]) <= set(of_name)


def test_all_texts_of_a_table_can_be_labelled(tmp_path):
    rows = [row(1, labels=[]), row(2, family="f"), row(3, family="f", language="de"), row(4, abstract="short")]
    options = CorpusOptions(documents=None, text=["title", "abstract"])
    source = open_table(write(tmp_path / "t.csv", rows), ALL)
    texts = texts_of(source, options, pl.DataFrame({"family_id": ["f"], "split": ["val"]}))
    assert texts.select("document_id", "family_id", "split").rows() == [
        ("doc 1", "document-doc 1", None), ("doc 2", "f", "val"),
    ]  # fmt: skip


def test_fields_are_joined_and_cut_alike(tmp_path):
    claim = "a b c d e f g h i j k l m n"
    rows = [row(1, title="T", first_claim=claim), row(2, first_claim=None)]
    options = CorpusOptions(documents=None, text=["title", "abstract", "first_claim"], most_words=21)
    corpus, _ = made(write(tmp_path / "t.csv", rows), options)
    texts = dict(corpus.select("document_id", "text").iter_rows())
    assert texts == {"doc 1": f"T. {LONG} a b c d e f g h i j", "doc 2": f"{LONG} 2"}
    assert corpus["words"].to_list() == [11, 11]  # of the abstract


def test_columns_that_the_options_do_not_name_are_not_needed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"number,what,codes\n1,{LONG},A01B|H04L\n2,{LONG} x,X99\n")
    columns = TableOptions(id="number", abstract="what", labels="codes", separator="|")
    corpus, funnel = made(path, columns=columns)
    assert corpus.select("document_id", "class", "office", "filing_year").rows() == [("1", ["A01", "H04"], None, None)]
    steps = [step["step"] for step in funnel["steps"]]
    assert steps == [
        "rows of the table", "label in the label tree", "abstract", "words of the abstract",
        "one application per family", "sample",
    ]  # fmt: skip
    assert funnel["symbols"]["most_frequent_dropped_codes"] == [{"code": "X99", "symbols": 1}]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.csv", "id,abstract,labels\n1,a,A01\n\n ,b,A01\n", "t.csv, line 4: id is missing"),
        ("t.csv", "id,abstract,labels\n1,a,A01\n2,\"b\nb\",A01\n1,c,A01\n", "t.csv, line 5: the id '1' is there more"),
        ("t.csv", "id,abstract\n1,a\n", "t.csv has no column 'labels'; its header has 'id, abstract'"),
        ("t.tsv", "id,abstract,labels\n1,a,A01\n", "t.tsv has no column 'id'.*; tabs must separate the columns"),
        ("t.tsv", 'id\tabstract\tlabels\n1\t"a"b\tA01\n', "t.tsv, line 2: .* a closing quote, where only a tab"),
        ("t.jsonl", '{"id": 1, "abstract": "a", "labels": ["A01"]}\n\n{"id": true}\n', "line 3: id is 'true', not"),
        ("t.jsonl", '{"id": 1, "abstract": "a", "labels": [1]}\n', "line 1: labels is '.1.', not lists of text"),
        ("t.jsonl", '{"id": 1, "labels": "A01"}\n{"id": 2, "labels": ["A01"]}\n', "line 2: labels is a list in some"),
        ("t.jsonl", '{"id": 1, "abstract": 5, "labels": "A01"}\n', "line 1: abstract is '5', not text"),
        ("t.jsonl", '{"id": 1, "abstract": "a"}\n', "t.jsonl has no line with the key 'labels'; it has 'abstract, id'"),
        ("t.jsonl", '{"id": 1, "id": 2}\n', "t.jsonl, line 1: it is not JSON .the key 'id' is there twice"),
        ("t.jsonl", '{"id": 1}\n[1]\n', "t.jsonl, line 2: it holds no JSON object"),
        ("t.jsonl", '{"id": 1}\n{"id"', "t.jsonl, line 2: it is not JSON"),
        ("t.jsonl", '{"id": "\\ud800", "labels": "A01", "abstract": "a"}\n', "line 1: id is .*, not text"),
        ("t.csv", "", "t.csv is empty or has no header row"),
        ("t.csv", "id,abstract,labels\n", "rows of the table: the table has no rows"),
        ("t.jsonl", "\n", "rows of the table: the table has no rows"),
        ("t.txt", "id", "t.txt: tables of documents come as .csv, .csv.gz"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_a_sentence_with_its_line(tmp_path, name, content, problem):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=problem):
        made(tmp_path / name, CorpusOptions(documents=None, minimum_words=1), TableOptions())


@pytest.mark.parametrize("year", ["2001.0", "MMI", "20010", "-5", "99999999999999999999"])
def test_a_year_is_a_year(tmp_path, year):
    path = tmp_path / "t.csv"
    path.write_text(f"id,abstract,labels,year\n1,a,A01, 2001 \n2,b,A01,\n3,c,A01,{year}\n")
    with pytest.raises(UserError, match=r"t.csv, line 4: year is "):
        made(path, CorpusOptions(minimum_words=1), TableOptions(year="year"))


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("id", [1.0, 2.0], "holds double; store it as text or whole numbers"),
        ("abstract", [1, 2], "holds int64; store it as text"),
        ("labels", [[1], [2]], "holds (large_)?list<.*int64>; store it as lists of text, or text"),
        ("year", [2001.0, None], "holds double; store it as whole numbers"),
    ],
)
def test_types_are_never_guessed(tmp_path, column, values, problem):
    table = {"id": ["a", "b"], "abstract": [LONG, LONG], "labels": [["A01"], ["B01"]], "year": [2001, 2002]}
    pl.DataFrame(table | {column: values}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=f"t.parquet: the column '{column}' {problem}"):
        open_table(tmp_path / "t.parquet", TableOptions(year="year"))


def test_files_of_a_folder_are_alike(tmp_path):
    (tmp_path / "a.csv").write_text(f"id,abstract,labels\n1,{LONG},A01\n")
    (tmp_path / "b.csv").write_text(f"id,labels,abstract,more\n1,A01,{LONG},x\n")
    with pytest.raises(UserError, match=r"b.csv has other columns than .*a.csv"):
        open_table(tmp_path, TableOptions())
    (tmp_path / "b.csv").rename(tmp_path / "b.jsonl")
    with pytest.raises(UserError, match=r"has files of several kinds \(.csv, .jsonl\)"):
        open_table(tmp_path, TableOptions())


def test_two_ids_of_one_hash_are_told_apart_from_one_id_twice(tmp_path, monkeypatch):
    import ipcascade.sources.table as table

    monkeypatch.setattr(table, "_number", lambda value: 7)
    with pytest.raises(UserError, match=r"the ids 'doc 1' and 'doc 2' have the same hash"):
        made(write(tmp_path / "t.csv", [row(1), row(2)]))


def test_the_checksum_is_of_the_content(tmp_path):
    sums = []
    for folder, rows in (("a", [row(1)]), ("b", [row(1)]), ("c", [row(2)])):
        (tmp_path / folder).mkdir()
        sums.append(open_table(write(tmp_path / folder / "t.csv", rows), ALL).checksum())
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize(
    ("corpus", "problem"),
    [
        ({"ipr_types": ["UM"]}, "corpus.ipr_types: .* a source of kind table has nothing to tell that by"),
        ({"ipc_values": ["I"]}, "corpus.ipc_values: .* a source of kind table has nothing"),
        ({"offices": ["EP"]}, "corpus.offices: .* source.table.office names no column to tell that by"),
        ({"last_year": 2001}, "corpus.last_year: .* source.table.year names no column"),
        ({"language": "de"}, "corpus.language: .* source.table.language names no column"),
        ({"text": ["title", "abstract"]}, "corpus.text: 'title' cannot be part of texts: source.table.title names no"),
    ],
)
def test_what_a_table_cannot_serve_is_refused_by_name(corpus, problem):
    with pytest.raises(UserError, match=problem):
        load({"source": {"kind": "table"}, "corpus": corpus})
    columns = {"office": "o", "year": "y", "language": "l", "title": "t"}
    if "nothing" not in problem:
        load({"source": {"kind": "table", "table": columns}, "corpus": corpus})


def test_patstat_has_no_claims():
    with pytest.raises(UserError, match=r"corpus.text: 'first_claim' cannot be part of texts: a source of kind"):
        load({"corpus": {"text": ["abstract", "first_claim"]}})
    with pytest.raises(UserError, match=r"corpus.text is .*: 'abstract' must be in the list"):
        load({"corpus": {"text": ["title"]}})


def test_a_small_sample_of_many_parts(tmp_path):
    """Most parts have no document of the sample then."""
    source = open_table(write(tmp_path / "t.csv", [row(n, family=f"f{n // 2}") for n in range(300)]), ALL)
    corpus, _ = build(source, TREE, CorpusOptions(documents=2), 1)
    again, _ = build(source, TREE, CorpusOptions(documents=2), 1, most_bytes=1)
    assert corpus.height == 2 and again.equals(corpus)


def test_a_parquet_file_without_rows_is_one_sentence(tmp_path):
    schema = {"id": pl.String, "abstract": pl.String, "labels": pl.List(pl.String)}
    pl.DataFrame(schema=schema).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="rows of the table: the table has no rows"):
        made(tmp_path / "t.parquet", columns=TableOptions())


def test_files_of_a_folder_may_lack_values(tmp_path):
    """A column of nulls has no type in Parquet, and a key may be missing from all lines of a file."""
    folders = [tmp_path / name for name in ("parquet", "jsonl")]
    for folder in folders:
        folder.mkdir()
    for number, title in ((1, "T"), (2, None)):
        rows = {"id": [f"d{number}"], "abstract": [f"{LONG} {number}"], "labels": ["A01B"], "title": [title]}
        pl.DataFrame(rows).write_parquet(folders[0] / f"{number}.parquet")
        record = {key: value[0] for key, value in rows.items() if value[0] is not None}
        (folders[1] / f"{number}.jsonl").write_text(json.dumps(record))
    options = CorpusOptions(documents=None, text=["title", "abstract"])
    for folder in folders:
        corpus, _ = made(folder, options, TableOptions(title="title"))
        assert sorted(corpus["text"]) == [f"T. {LONG} 1", f"{LONG} 2"]
    with pytest.raises(UserError, match=r"jsonl has no line with the key 'titel'"):
        made(folders[1], options, TableOptions(title="titel"))


def test_a_column_has_one_role():
    with pytest.raises(UserError, match=r"source\.table: group and year both name the column 'y'; it can"):
        load({"source": {"kind": "table", "table": {"year": "y", "group": "y"}}})


@pytest.mark.skipif(not MIXED.exists(), reason="the real patents are not here")
def test_real_patents_of_many_offices(tmp_path):
    columns = TableOptions(labels="subclasses", title="title", group="text_group", office="office", year="year")
    options = CorpusOptions(documents=None, levels=["section", "class", "subclass"], minimum_words=1)
    corpus, funnel = made(MIXED, options, columns, tree=WHOLE_TREE)
    table = pl.read_parquet(MIXED)
    assert corpus.height == table.height == funnel["steps"][0]["left"]
    both = corpus.join(table, left_on="document_id", right_on="id", suffix="_given")
    assert both.height == table.height
    assert both["text"].equals(both["abstract"].str.strip_chars())
    assert both["filing_year"].cast(pl.Int32).equals(both["year"])
    assert both["subclass"].list.sort().equals(both["subclasses"].list.unique().list.sort())
