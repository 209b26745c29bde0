"""The workflow on every kind of source: its files are inputs, its own code counts, what is missing is told at once."""

import json
import re

import numpy as np
import pytest

from patentsview_tables import small, write_tables
from projects import edited

pytestmark = pytest.mark.workflow
WORDS = "pump valve seal acid polymer antenna signal laser wheel engine brake loom yarn furnace alloy sensor".split()

LABELS = ("A01B", "C07D", "G06F", "H04L")
RUN = ("--profile", "profiles/local", "--configfile", "mine.yaml", "--")


def write_table(path, documents=120):
    """Documents whose words tell their section."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(documents):
        topic = int(rng.integers(4))
        words = rng.choice(WORDS[4 * topic : 4 * topic + 4], 14)
        rows.append({"id": f"d{number}", "text": f"{' '.join(words)} {number}", "ipc": [LABELS[topic]]})
    path.write_text("\n".join(map(json.dumps, rows)))
    return rows


def test_a_table_goes_through_the_whole_chain(fresh):
    write_table(fresh.folder / "texts.jsonl")
    source = {"kind": "table", "path": "texts.jsonl", "table": {"abstract": "text", "labels": "ipc"}}
    fresh.configure(source=source, corpus={"levels": ["section", "class", "subclass"]})
    ran = fresh.run("results/metrics/test.json", "results/report/index.html")
    assert {"corpus", "splits", "train", "metrics", "report"} <= ran and "demo_delivery" not in ran
    measures = json.loads((fresh.folder / "results/metrics/test.json").read_text())["measures"]
    assert measures["subclass"]["f1_micro"] > 0.5  # words tell the class
    assert (fresh.folder / "results/corpus/quarantine.csv").read_text() == "table,file,line,reason\n"
    assert fresh.planned("results/metrics/test.json") == set()
    # Other content, or code of this source, makes the corpus again; code of another source does not.
    sources = fresh.folder / "workflow/ipcascade/sources"
    with edited(sources / "patentsview/source.py", lambda text: text.replace("LAST_YEAR = 1900", "LAST_YEAR = 1")):
        assert fresh.planned("results/corpus/corpus.parquet") == set()
    with edited(sources / "table.py", lambda text: text.replace("LAST_YEAR = 1000", "LAST_YEAR = 1")):
        assert "corpus" in fresh.planned("results/corpus/corpus.parquet")
    write_table(fresh.folder / "texts.jsonl", 121)
    assert "corpus" in fresh.planned("results/corpus/corpus.parquet")


def test_tables_of_patentsview_are_inputs(fresh):
    write_tables(fresh.folder / "tables", small(*[str(10_000_000 + n) for n in range(30)]))
    fresh.configure(source={"kind": "patentsview", "path": "tables"})
    assert fresh.run("results/corpus/corpus.parquet") == {"corpus"}
    (fresh.folder / "tables/g_us_rel_doc.tsv.zip").rename(fresh.folder / "tables/elsewhere")
    done = fresh.snakemake(*RUN, "all", check=False)
    assert done.returncode == 1 and "tables has no file g_us_rel_doc.tsv.zip; fetch it" in done.stdout


def test_a_database_has_no_files(fresh):
    fresh.configure(source={"kind": "patstat_sql", "postgres": {"service": "nowhere"}})
    assert "corpus" in fresh.planned("results/corpus/corpus.parquet")
    done = fresh.snakemake(*RUN, "results/corpus/corpus.parquet", check=False)
    assert done.returncode == 1
    assert re.search(r"ipcascade corpus: the database of the service 'nowhere' cannot be reached: .*", done.stdout)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"kind": "table", "path": "nowhere.csv"}, "nowhere.csv does not exist"),
        ({"kind": "table"}, "source.path is not set; give the table or folder of tables"),
        ({"kind": "patentsview"}, "source.path is not set; give the folder of PatentsView's tables"),
        ({"kind": "patentsview", "path": "config"}, "config has no file g_patent.tsv.zip"),
    ],
)
def test_what_is_missing_is_told_at_once(fresh, source, sentence):
    fresh.configure(source=source)
    done = fresh.snakemake(*RUN, "all", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert sentence in done.stdout.strip().splitlines()[-1]
