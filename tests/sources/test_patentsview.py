"""PatentsView's tables in their published layout: patents, families by continuations, texts and labels."""

import itertools
from functools import partial

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from built import build, build_by_processes
from ipcascade.cli import main
from ipcascade.config import load
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patentsview.families import families
from ipcascade.sources.patentsview.files import find_tables
from ipcascade.sources.patentsview.ids import id_of, numbers_of
from ipcascade.sources.patentsview.source import open_patentsview
from patentsview_tables import LONG, filing, ipc, patent, relation, small, write_tables
from support import config_file

TREE = LabelTree.read(IPC)
EVERYTHING = CorpusOptions(documents=None)


def made(folder, options=EVERYTHING, classification="ipc", levels=("section", "class", "subclass"), tree=TREE):
    source = open_patentsview(folder, options.text, classification)
    return build(source, tree.select(levels), options, 1)


def test_patents_become_documents(tmp_path):
    tables = small(
        "3930271", "10248910", "7654321",
        g_application=[
            filing("3930271", "05552969", "1974-07-01"), filing("10248910", "15237625"), filing("7654321", "1", ""),
        ],
        g_ipc_at_issue=[
            ipc("3930271", "A1 B"), ipc("3930271", "C07D"), ipc("10248910", "H04L", "N"), ipc("10248910", "H04W"),
            ipc("7654321", "H98Z"), ipc("7654321", "G06F"), ipc("7654321", "    "),
        ],
    )  # fmt: skip
    corpus, funnel = made(write_tables(tmp_path, tables))
    assert corpus.select("document_id", "family_id", "office", "kind", "filing_year", "subclass").rows() == [
        ("3930271", "patent-3930271", "US", "B2", 1974, ["A01B", "C07D"]),
        ("7654321", "patent-7654321", "US", "B2", None, ["G06F"]),
        ("10248910", "patent-10248910", "US", "B2", 2007, ["H04L", "H04W"]),
    ]
    assert corpus["text"].to_list() == [f"{LONG} {i}" for i in ("3930271", "7654321", "10248910")]
    dropped = {code["code"]: code["symbols"] for code in funnel["symbols"]["most_frequent_dropped_codes"]}
    assert dropped == {"H98Z": 1, "00": 1}
    assert funnel["tables"]["g_ipc_at_issue"] == {"rows": 7, "row_count": None, "checked": False, "quarantined": 0}


def test_only_utility_patents_that_stand(tmp_path):
    ids = ("10000001", "D345393", "RE36479", "PP12345", "10000002", "H1234")
    tables = small(*ids)
    types = ("utility", "design", "reissue", "plant", "utility", "statutory invention registration")
    tables["g_patent"] = [
        patent(i, patent_type=t, withdrawn=int(i == "10000002")) for i, t in zip(ids, types, strict=True)
    ]
    corpus, funnel = made(write_tables(tmp_path, tables))
    assert corpus["document_id"].to_list() == ["10000001"]
    steps = {step["step"]: step["left"] for step in funnel["steps"]}
    assert (steps["g_patent"], steps["utility patent"], steps["not withdrawn"]) == (6, 2, 1)


def test_continuations_and_divisions_are_one_family_and_nothing_else_is(tmp_path):
    ids = [str(number) for number in range(10_000_001, 10_000_010)]
    a, b, c, d, e, f, g, h, i = ids
    applications = [filing(p, f"110000{n:02}", f"20{n:02}-01-01") for n, p in enumerate(ids, 1)]
    related = [
        relation(b, "11/000,001"),  # b continues a
        relation(c, "11000002", "continuation-in-part"),
        relation(c, "11000003", "continuation-in-part", "child-doc"),  # itself
        relation(d, "60123456", "us-provisional-application"), relation(e, "60123456", "us-provisional-application"),
        relation(f, "12999999", "division"), relation(g, "12999999", "Divisional", "parent document"),
        relation(h, "10000001", "continuation", "parent-grant-document"),  # number of a patent
        relation(h, "00000000"), relation(i, "00000000"), relation(i, "PCT/US99/1", kind="parent-pct-document"),
    ]  # fmt: skip
    corpus, _ = made(write_tables(tmp_path, small(*ids, g_application=applications, g_us_rel_doc=related)))
    assert corpus["family_id"].to_list() == [a, f"patent-{d}", f"patent-{e}", f, f"patent-{h}", f"patent-{i}"]
    assert corpus["document_id"].to_list() == [a, d, e, f, h, i]
    assert corpus["first_filing_year"].to_list() == [2001, 2004, 2005, 2006, 2008, 2009]


def test_families_are_connected_components(seed=3):
    rng = np.random.default_rng(seed)
    patents = pl.DataFrame({"patent": range(1, 301), "application": [f"{n:08}" for n in range(1001, 1301)]})
    pairs = [(int(rng.integers(1, 301)), f"{int(rng.integers(900, 1400)):08}") for _ in range(150)]
    related = pl.DataFrame(
        {"patent": [p for p, _ in pairs], "number": [n for _, n in pairs], "type": ["division"] * 150,
         "kind": ["parent-doc"] * 150}
    )  # fmt: skip
    group = {p: p for p in range(1, 301)}
    numbers = {p: {f"{1000 + p:08}"} | {n for q, n in pairs if q == p} for p in group}
    changed = True
    while changed:
        changed = False
        for one, other in itertools.combinations(group, 2):
            if group[one] != group[other] and numbers[one] & numbers[other]:
                group[one] = group[other] = min(group[one], group[other])
                changed = True
    sizes = {g: list(group.values()).count(g) for g in set(group.values())}
    expected = {(p, g) for p, g in group.items() if sizes[g] > 1}
    assert set(families(patents, related).rows()) == expected and len(expected) > 50


@pytest.mark.parametrize("layout", [{"zipped": False}, {"reverse": True}])
def test_the_corpus_is_the_same_from_tsv_and_in_any_order_of_columns(tmp_path, layout):
    tables = small("10000001", "10000002", "10000003")
    tables["g_patent_abstract"][1]["patent_abstract"] = f'{LONG}\twith "quotes",\nlines and tabs'
    corpus, funnel = made(write_tables(tmp_path / "a", tables))
    found, facts = made(write_tables(tmp_path / "b", tables, **layout))
    assert_frame_equal(found, corpus)
    assert facts == funnel and corpus["text"][1].endswith('"quotes",\nlines and tabs')


def test_first_claims_come_from_the_files_of_all_years(tmp_path, monkeypatch):
    tables = small("10000001", "10000002", "10000003")

    def claim(id_, order, words):
        return {"patent_id": id_, "claim_sequence": order, "claim_text": words, "claim_number": f"{order + 1:05}"}

    tables["g_claims_2010"] = [claim("10000001", 1, "2. x"), claim("10000001", 0, "1. A"), claim("D1", 0, "1. D")]
    tables["g_claims_2011"] = [claim("10000002", 10, "10. z"), claim("10000002", 2, "2. B")]
    options = CorpusOptions(documents=None, text=["title", "abstract", "first_claim"])
    corpus, funnel = made(write_tables(tmp_path, tables), options)
    assert corpus["text"].to_list() == [
        f"Title {i}. {LONG} {i}{claim}" for i, claim in (("10000001", " 1. A"), ("10000002", " 2. B"), ("10000003", ""))
    ]
    monkeypatch.setattr("ipcascade.corpus.reading.SMALL_BYTES", 0)
    found, facts = build_by_processes(partial(open_patentsview, tmp_path, options.text, "ipc"), TREE, options, 1)
    assert_frame_equal(found, corpus)
    assert facts == funnel and facts["tables"]["g_claims_2010"]["rows"] == 3
    for name in ("g_claims_2010.tsv.zip", "g_claims_2011.tsv.zip"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"has no file like g_claims_2024.tsv.zip, which first_claim"):
        made(tmp_path, options)


@pytest.mark.parametrize(
    ("classification", "rows", "expected"),
    [
        ("cpc", {"g_cpc_current": [{"patent_id": "10000001", "cpc_group": "Y02E10/50"}]}, ["Y", "Y02", "Y02E"]),
        ("wipo35", {"g_wipo_technology": [{"patent_id": "10000001", "wipo_field_id": 35}]}, ["V", "35"]),
    ],
)
def test_other_classifications(tmp_path, classification, rows, expected):
    from ipcascade.core.classifications import TREES

    tree = LabelTree.read(TREES[classification])
    tables = {name: rows_ for name, rows_ in small("10000001").items() if name != "g_ipc_at_issue"} | rows
    corpus, _ = made(write_tables(tmp_path, tables), EVERYTHING, classification, tree.levels, tree)
    assert [corpus[level][0].to_list() for level in tree.levels] == [[code] for code in expected]


def test_symbols_are_chosen_by_their_value(tmp_path):
    tables = small("10000001", g_ipc_at_issue=[ipc("10000001", "A01B", "N"), ipc("10000001", "H04L", "I")])
    corpus, funnel = made(write_tables(tmp_path, tables), CorpusOptions(documents=None, ipc_values=["I"]))
    assert corpus["subclass"].to_list() == [["H04L"]]
    assert funnel["symbols"]["dropped_by_ipc_value"] == 1


def test_ids_and_numbers_are_of_each_other():
    ids = ["1", "3930271", "10248910", "999999999", "D1", "D345393", "RE36479", "PP12345", "H1234", "T100001", "AI21"]
    numbers = numbers_of(pl.Series("patent_id", ids))
    assert [id_of(number) for number in numbers] == ids
    assert len(set(numbers)) == len(ids) and min(numbers) == 1
    odd = ["", "0", "X", "12a", "REX1", "-5", "1.0", " 7", "1234567890", None]
    assert numbers_of(pl.Series("patent_id", odd, dtype=pl.String)).to_list() == [None] * len(odd)


def test_dates_that_are_none_are_counted_and_said(tmp_path, capsys):
    tables = small("10000001", "10000002", "10000003")
    dates = ("1074-01-01", "2007-13-40", "2007-03-04")
    tables["g_application"] = [filing(r["patent_id"], f"{n:08}", d) for n, (r, d) in
                               enumerate(zip(tables["g_patent"], dates, strict=True), 1)]  # fmt: skip
    words = ["corpus", "--source", write_tables(tmp_path / "tables", tables), "--corpus", tmp_path / "c.parquet"]
    config = config_file(tmp_path, source={"kind": "patentsview"}, corpus={"documents": None})
    assert main([str(word) for word in [*words, "--funnel", tmp_path / "f.json", "--config", config]]) == 0
    assert pl.read_parquet(tmp_path / "c.parquet")["filing_year"].to_list() == [None, None, 2007]
    note = "2 filing dates are none and count as unknown ('1074-01-01' of 10000001 first)"
    assert note in capsys.readouterr().err and note in (tmp_path / "f.json").read_text()


@pytest.mark.parametrize(
    ("table", "content", "problem"),
    [
        ("g_patent", "patent_id\tpatent_type\n1\tutility\n", r"g_patent.tsv has no column 'wipo_kind'"),
        (
            "g_patent_abstract",
            "patent_id\tpatent_abstract\n\n10000001a\tx\n",
            r"line 3: patent_id is '10000001a'",
        ),
        (
            "g_patent_abstract",
            "patent_id\tpatent_abstract\n1\tx\n1\ty\n",
            "g_patent_abstract has the patent 1 ",
        ),
        (
            "g_patent",
            "patent_id\tpatent_type\twipo_kind\twithdrawn\n1\ta\tb\t0\n1\ta\tb\t0\n",
            "g_patent has the pat",
        ),
        (
            "g_application",
            "patent_id\tapplication_id\tfiling_date\n1\t2\t\n1\t3\t\n",
            "g_application has the pat",
        ),
        (
            "g_us_rel_doc",
            "patent_id,related_doc_number\n",
            "has no column 'patent_id'.*; tabs must separate",
        ),
    ],
)
def test_damaged_tables_are_one_sentence(tmp_path, table, content, problem):
    write_tables(tmp_path, small("10000001"), zipped=False)
    (tmp_path / f"{table}.tsv").write_text(content)
    with pytest.raises(UserError, match=problem):
        made(tmp_path)


def test_missing_and_damaged_files_are_one_sentence(tmp_path):
    folder = write_tables(tmp_path, small("10000001"))
    assert [file.name for file in find_tables(folder, ["abstract"], "ipc").all_files] == sorted(
        f"{table}.tsv.zip" for table in small()
    )
    (folder / "g_application.tsv.zip").rename(folder / "x.zip")
    with pytest.raises(UserError, match=r"has no file g_application.tsv.zip; fetch it"):
        made(folder)
    (folder / "g_application.tsv.zip").write_bytes((folder / "x.zip").read_bytes()[:-30])
    with pytest.raises(UserError, match=r"g_application.tsv.zip: the zip is cut off or damaged"):
        made(folder)
    (folder / "g_application.tsv").write_text("")
    with pytest.raises(UserError, match=r"has the table g_application twice, as g_application.tsv.zip and"):
        made(folder)
    with pytest.raises(UserError, match=r"is not a folder; give the folder that holds PatentsView's tables"):
        made(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("corpus", "problem"),
    [
        ({"ipr_types": ["DP"]}, "corpus.ipr_types: .* a source of kind patentsview has nothing to tell that by"),
        ({"language": "de"}, "corpus.language: .* a source of kind patentsview"),
        ({"classification": "nace"}, "corpus.classification: PatentsView has ipc, cpc, wipo35 alone"),
        ({"text": ["abstract", "description"]}, "corpus.text: 'description' cannot be part of texts"),
    ],
)
def test_what_patentsview_cannot_serve_is_refused_by_name(corpus, problem):
    with pytest.raises(UserError, match=problem):
        load({"source": {"kind": "patentsview"}, "corpus": corpus})
    load({"source": {"kind": "patentsview"}, "corpus": {"first_year": 2000, "ipc_values": ["I"], "kinds": ["B2"]}})
