"""Demo projects: a table that can be labelled and counted, of the delivery's vocabulary and none of its texts."""

import csv
from collections import defaultdict

from test_demo import read_table

from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.sources.demo.delivery import write_delivery
from ipcascade.sources.demo.projects import COLUMNS, FUNDERS, write_projects
from support import read_texts

TREE = LabelTree.read(IPC)


def written(folder, seed=42, documents=800):
    texts = write_projects(folder / "projects.csv", documents, seed, TREE)
    with (folder / "projects.csv").open(newline="") as content:
        rows = list(csv.DictReader(content, strict=True))
    assert len(rows) == texts
    return rows


def test_the_table_can_be_labelled_and_counted(tmp_path):
    rows = written(tmp_path)
    assert list(rows[0]) == list(COLUMNS)
    assert read_texts(tmp_path / "projects.csv")["document_id"].to_list() == [row["document_id"] for row in rows]
    of_project = defaultdict(list)
    for row in rows:
        of_project[row["project"]].append((row["funder"], row["year"], row["budget"]))
    assert all(len(set(facts)) == 1 for facts in of_project.values()), "a project has one funder, year and budget"
    assert {len(facts) for facts in of_project.values()} >= {1, 2}
    assert {row["funder"] for row in rows} == set(FUNDERS)
    assert all(len(row["text"].split()) > 5 for row in rows)


def test_its_words_are_those_of_the_delivery_and_its_texts_are_not(tmp_path):
    rows = written(tmp_path)
    write_delivery(tmp_path / "delivery", 800, 42, TREE)
    abstracts = {row["appln_abstract"] for row in read_table(tmp_path / "delivery", "tls203_appln_abstr")}
    assert not abstracts & {row["text"] for row in rows}
    known = {word.strip('.,"').lower() for text in abstracts for word in text.split()}
    used = {word.strip('.,"').lower() for row in rows for word in row["text"].split()}
    assert len(used - known) < 0.05 * len(used)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    contents = []
    for seed in (42, 42, 43):
        written(tmp_path, seed)
        contents.append((tmp_path / "projects.csv").read_bytes())
    assert contents[0] == contents[1] != contents[2]
