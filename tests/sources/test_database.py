"""PATSTAT in a real PostgreSQL: the corpus is that of the zips; nothing is written there; no secret is needed here."""

import numpy as np
import pytest
import yaml
from polars.testing import assert_frame_equal

import postgres
from built import build, texts_of
from deliveries import LONG, NAMES, abstract, application, csv_rows, random_tables, symbol, title, write_delivery
from ipcascade.cli import main
from ipcascade.config import load
from ipcascade.core.classifications import TREES
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.options import PostgresOptions
from ipcascade.sources.patstat.source import open_patstat, open_postgres

pytestmark = pytest.mark.skipif(postgres.PROGRAMS is None, reason="PostgreSQL is not installed")
TREE = LabelTree.read(IPC).select(["section", "class"])


@pytest.fixture(scope="module")
def server():
    with postgres.running() as running:
        yield running


@pytest.fixture(autouse=True)
def _reached(server, monkeypatch):
    for name, value in (("PGHOST", str(server.folder)), ("PGUSER", "postgres"), ("PGDATABASE", "postgres")):
        monkeypatch.setenv(name, value)


def tables_of(seed):
    """Missing values as a database has them, too: NULL where a loader did not keep the placeholders."""
    return {"tls202": [], **random_tables(seed)}


@pytest.mark.parametrize(
    "options",
    [
        CorpusOptions(documents=None),
        CorpusOptions(documents=60, text=["title", "abstract"], ipc_values=["I"]),
        CorpusOptions(documents=None, offices=["EP", "US"], kinds=["A"], first_year=1995, last_year=2015),
    ],
)
@pytest.mark.parametrize("seed", [3, 4])
def test_the_corpus_is_that_of_the_zips(tmp_path, server, seed, options):
    tables = tables_of(seed)
    server.load(tables)
    folder = write_delivery(tmp_path, tables)
    corpus, funnel = build(open_patstat(folder, titles=True), TREE, options, 1)
    found, facts = build(open_postgres(PostgresOptions(), options), TREE, options, 1)
    assert_frame_equal(found, corpus)
    assert facts["steps"] == funnel["steps"]
    # Rows of applications that cannot be kept are not asked for, so that of the symbols fewer are seen.
    assert {k: v for k, v in facts["symbols"].items() if k not in ("read", "of_other_applications")} == {
        k: v for k, v in funnel["symbols"].items() if k not in ("read", "of_other_applications")
    }
    assert facts["symbols"]["read"] <= funnel["symbols"]["read"]
    assert "could not be checked" in facts["notes"][0]


def test_weights_are_those_of_the_zips(tmp_path, server):
    tables = tables_of(5)
    rng = np.random.default_rng(5)
    tables["tls229"] = [
        {"appln_id": row["appln_id"], "nace2_code": code, "weight": float(rng.random() / 2)}
        for row in tables["tls201"] for code in ("28.29", "28.3", "62")
    ]  # fmt: skip
    server.load(tables)
    options = CorpusOptions(
        documents=None, classification="nace", levels=["section", "division"], least_weight=0.3, minimum_words=1
    )
    tree = LabelTree.read(TREES["nace"])
    corpus, funnel = build(open_patstat(write_delivery(tmp_path, tables), classification="nace"), tree, options, 1)
    found, facts = build(open_postgres(PostgresOptions(), options), tree, options, 1)
    assert_frame_equal(found, corpus)
    assert facts["symbols"]["dropped_by_weight"] == funnel["symbols"]["dropped_by_weight"] > 0


def test_filters_are_applied_in_the_database(tmp_path, server):
    tables = tables_of(5)
    server.load(tables)
    few = CorpusOptions(documents=None, offices=["EP"], first_year=2005)
    source = open_postgres(PostgresOptions(), few)
    build(source, TREE, few, 1)
    kept = {
        row["appln_id"] for row in csv_rows(tables)["tls201"]
        if row["appln_auth"].strip() == "EP" and row["ipr_type"].strip() == "PI"
        and int(row["appln_filing_year"]) >= 2005
    }  # fmt: skip
    expected = sum(row["appln_id"] in kept for row in csv_rows(tables)["tls203"])
    assert source.counts["tls203"].rows == expected < len(tables["tls203"])
    assert source.counts["tls201"].rows == len(tables["tls201"])


def test_every_text_is_that_of_the_zips(tmp_path, server):
    import polars as pl

    tables, options = tables_of(6), CorpusOptions(text=["title", "abstract"])
    server.load(tables)
    none = pl.DataFrame(schema={"family_id": pl.String, "split": pl.String})
    texts = texts_of(open_patstat(write_delivery(tmp_path, tables), titles=True), options, none)
    found = texts_of(open_postgres(PostgresOptions(), options), options, none)
    assert_frame_equal(found.sort("document_id"), texts.sort("document_id"))


SMALL = {
    "tls201": [application(1), application(2, appln_auth="'\\", docdb_family_id=0)],
    "tls202": [title(1, "T")],
    "tls203": [abstract(1, f"{LONG} 1"), abstract(2, f'{LONG} "2"\n\\N')],
    "tls209": [symbol(1, "A01B  33/00"), symbol(2, "H04L   9/00")],
}


def test_schemas_names_and_either_case(server):
    server.load(SMALL)
    corpus, _ = build(open_postgres(PostgresOptions(), CorpusOptions()), TREE, CorpusOptions(), 1)
    assert corpus["text"].to_list() == [f"{LONG} 1", f'{LONG} "2"\n\\N']
    names = NAMES | {"tls203": 'odd "name" é'}
    server.load({**SMALL, "tls203": []}, "a schema", {**names, "tls203": "tls203_appln_abstr"}, upper=True)
    server.load(SMALL, "a schema", {table: f"x_{table}" for table in names}, upper=True)
    options = PostgresOptions(in_schema="a schema", tables={table: f"x_{table}" for table in SMALL})
    found, _ = build(open_postgres(options, CorpusOptions()), TREE, CorpusOptions(), 1)
    assert_frame_equal(found, corpus)


def test_values_of_the_config_are_texts_in_sql(server):
    server.load(SMALL)
    options = CorpusOptions(offices=["'\\"])
    corpus, _ = build(open_postgres(PostgresOptions(), options), TREE, options, 1)
    assert corpus["document_id"].to_list() == ["2"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DROP TABLE tls203_appln_abstr", "the database has no table 'tls203_appln_abstr' in the schema 'public'"),
        (
            "ALTER TABLE tls209_appln_ipc DROP ipc_class_symbol",
            "tls209_appln_ipc has no column 'ipc_class",
        ),
        ("INSERT INTO tls201_appln SELECT * FROM tls201_appln", "tls201 has appln_id [12] more than once"),
        ("INSERT INTO tls201_appln (appln_auth) VALUES ('EP')", "tls201 has a row without appln_id"),
        ("UPDATE tls201_appln SET appln_filing_year = 20 WHERE appln_id = 1", "tls201 has 20 as appln_filing_year"),
        ("UPDATE tls201_appln SET docdb_family_id = -3 WHERE appln_id = 1", "tls201 has -3 as docdb_family_id"),
        (
            "ALTER TABLE tls201_appln ALTER appln_filing_date TYPE text USING 'yesterday or so'",
            "the database: .*invalid input syntax for type date",
        ),
    ],
)
def test_what_is_wrong_in_the_database_is_one_sentence(server, change, problem):
    server.load(SMALL)
    server.sql(change)
    with pytest.raises(UserError, match=problem):
        build(open_postgres(PostgresOptions(), CorpusOptions()), TREE, CorpusOptions(), 1)


def test_years_as_text_and_materialized_views(server):
    server.load(SMALL)
    corpus, _ = build(open_postgres(PostgresOptions(), CorpusOptions()), TREE, CorpusOptions(), 1)
    server.sql(
        "ALTER TABLE tls201_appln ALTER appln_filing_year TYPE text",
        "ALTER TABLE tls203_appln_abstr RENAME TO abstracts",
        "CREATE MATERIALIZED VIEW tls203_appln_abstr AS SELECT * FROM abstracts",
    )
    options = CorpusOptions(first_year=2000, last_year=2002)
    found, _ = build(open_postgres(PostgresOptions(), options), TREE, options, 1)
    assert_frame_equal(found, corpus)
    server.sql("DROP MATERIALIZED VIEW tls203_appln_abstr")


def test_databases_of_another_encoding(server, monkeypatch):
    server.sql("CREATE DATABASE latin ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    monkeypatch.setenv("PGDATABASE", "latin")
    server.load({**SMALL, "tls203": [abstract(1, f"{LONG} caf\u00e9")]})
    for encoding in (None, "LATIN1"):
        if encoding:
            monkeypatch.setenv("PGCLIENTENCODING", encoding)
        corpus, _ = build(open_postgres(PostgresOptions(), CorpusOptions()), TREE, CorpusOptions(), 1)
        assert corpus["text"].to_list() == [f"{LONG} caf\u00e9"]


def test_nothing_can_be_written(server):
    from ipcascade.sources.patstat.database import Database

    database = Database(PostgresOptions(), CorpusOptions())
    with pytest.raises(UserError, match="cannot execute CREATE TABLE in a read-only transaction"):
        list(database._batches("CREATE TABLE mine (a int)"))


def test_the_command_reads_what_a_service_says(tmp_path, server, monkeypatch):
    server.load(SMALL)
    for name in ("PGHOST", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name)
    service = tmp_path / "services.conf"
    service.write_text(f"[patstat]\nhost={server.folder}\nuser=postgres\ndbname=postgres\npassword=very secret\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    config = {"source": {"kind": "patstat_sql", "postgres": {"service": "patstat"}}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    words = ["--corpus", tmp_path / "c.parquet", "--funnel", tmp_path / "f.json", "--config", tmp_path / "c.yaml"]
    assert main(["corpus", *map(str, words), "--log", str(tmp_path / "log")]) == 0
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != service:
            assert b"very secret" not in path.read_bytes()


def test_a_database_that_is_not_there_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PGHOST", str(tmp_path))
    (tmp_path / "c.yaml").write_text("source: {kind: patstat_sql}")
    words = ["--corpus", tmp_path / "c.parquet", "--funnel", tmp_path / "f.json", "--config", tmp_path / "c.yaml"]
    assert main(["corpus", *map(str, words)]) == 1
    said = capsys.readouterr().err
    assert "the database cannot be reached: " in said and "PGHOST, PGDATABASE and PGUSER" in said
    assert "Traceback" not in said and said.count("\n") == 1
    assert not (tmp_path / "c.parquet").exists()


def test_only_tables_of_patstat_can_be_named():
    with pytest.raises(UserError, match=r"source\.postgres\.tables"):
        load({"source": {"kind": "patstat_sql", "postgres": {"tables": {"tls999": "x"}}}})
