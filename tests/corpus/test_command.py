"""The commands `demo_delivery` and `corpus`: the files that they write, and which label tree they take."""

import pytest

from deliveries import abstract, application, symbol, write_delivery
from ipcascade.cli import main
from ipcascade.commands._reading import scratch_folder
from ipcascade.core.documents import read_tree
from ipcascade.core.files import file_checksum, read_facts, read_json, read_parquet
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.core.provenance import read_provenance
from ipcascade.sources.demo.files import DELIVERY_FILES
from ipcascade.sources.options import SourceOptions
from support import config_file

THREE_LEVELS = {"levels": ["section", "class", "subclass"]}
OTHER_TREE = "code\tparent\tlevel\ttitle\nA\t\tsection\tone\nA01\tA\tclass\ttwo\n"


def make(folder, *arguments, **corpus):
    """Run `corpus` on two applications; its exit code."""
    tables = {
        "tls201": [application(1), application(2)],
        "tls202": [],
        "tls203": [abstract(i, f"one two three four five six seven eight nine {i}") for i in (1, 2)],
        "tls209": [symbol(1, "A01B  33/00"), symbol(2, "H04L   9/00")],
    }
    there = (folder / "delivery").is_dir()
    delivery = folder / "delivery" if there else write_delivery(folder / "delivery", tables)
    files = ["--source", delivery, "--corpus", folder / "corpus.parquet", "--funnel", folder / "funnel.json"]
    config = config_file(folder, corpus=corpus)
    return main([str(word) for word in ["corpus", *files, "--config", config, *arguments]])


def test_the_corpus_carries_its_tree_and_how_its_texts_were_made(tmp_path):
    assert make(tmp_path, text=["title", "abstract"], **THREE_LEVELS) == 0
    corpus = tmp_path / "corpus.parquet"
    assert read_tree(corpus) == LabelTree.read(IPC)
    assert read_facts(corpus) == {"label_tree": LabelTree.read(IPC).to_json(), "text": "title_and_abstract"}
    assert read_parquet(corpus).columns[-3:] == ["section", "class", "subclass"]
    assert read_parquet(corpus)["subclass"].to_list() == [["A01B"], ["H04L"]]


def test_what_could_not_be_checked_is_a_warning_and_in_the_funnel(tmp_path, capsys):
    assert make(tmp_path) == 0
    assert "RowCount" not in capsys.readouterr().err
    (tmp_path / "delivery" / "RowCount.txt").write_text("see the handbook")
    assert make(tmp_path) == 0
    (note,) = read_json(tmp_path / "funnel.json")["notes"]
    assert "no row count was understood in RowCount.txt" in note and str(tmp_path) not in note
    assert note in capsys.readouterr().err


def test_provenance_is_beside_the_files_and_not_in_them(tmp_path):
    assert make(tmp_path) == 0
    for name in ("corpus.parquet", "funnel.json"):
        provenance = read_provenance(tmp_path / name)
        assert provenance["inputs"]["label_tree"] == file_checksum(IPC)
        assert len(provenance["inputs"]["source"]) == 64
        assert provenance["options"].keys() == {
            "seed", "corpus", "source.table", "source.postgres", "source.malformed_share",
        }  # fmt: skip
    assert "provenance" not in read_json(tmp_path / "funnel.json")


def test_the_bytes_do_not_depend_on_memory(tmp_path):
    sums = []
    config = config_file(tmp_path, source={"kind": "demo", "demo": {"documents": 1500}}, corpus={"documents": None})
    assert main(["demo_delivery", "--folder", str(tmp_path / "delivery"), "--config", str(config)]) == 0
    for megabytes in (1, 500):
        source = {"kind": "demo", "memory_mb": megabytes, "scratch": str(tmp_path / "scratch")}
        config = config_file(tmp_path, source=source, corpus={"documents": None})
        words = ["corpus", "--source", tmp_path / "delivery", "--corpus", tmp_path / "c.parquet"]
        assert main([str(word) for word in [*words, "--funnel", tmp_path / "f.json", "--config", config]]) == 0
        sums.append(file_checksum(tmp_path / "c.parquet"))
        assert list((tmp_path / "scratch").iterdir()) == []
    assert sums[0] == sums[1]


def test_scratch_folders_of_outputs_are_their_own(tmp_path):
    options = SourceOptions(scratch=str(tmp_path))
    outputs = [
        tmp_path / "run_1" / "c.parquet",
        tmp_path / "run" / "1" / "c.parquet",
        tmp_path / ("x" * 250) / "c.parquet",
    ]
    folders = [scratch_folder(options, output) for output in outputs]
    assert len(set(folders)) == 3 and all(len(folder.name) < 40 for folder in folders)
    assert scratch_folder(SourceOptions(), outputs[0]) == tmp_path / "run_1" / ".c.parquet.scratch"


def test_a_scratch_folder_that_cannot_be_made_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    config = config_file(tmp_path, source={"scratch": str(tmp_path / "file")})
    write_delivery(tmp_path / "delivery", {"tls201": [application(1)], "tls203": [], "tls209": []})
    words = ["corpus", "--source", tmp_path / "delivery", "--corpus", tmp_path / "c.parquet"]
    assert main([str(word) for word in [*words, "--funnel", tmp_path / "f.json", "--config", config]]) == 1
    assert "file/ipcascade-" in (said := capsys.readouterr().err) and "tables cannot be put there" in said


@pytest.mark.parametrize("by", ["argument", "config"])
def test_another_label_tree(tmp_path, by):
    table = tmp_path / "tree.tsv"
    table.write_text(OTHER_TREE)
    code = make(tmp_path, "--label-tree", table) if by == "argument" else make(tmp_path, label_tree=str(table))
    assert code == 0
    assert read_tree(tmp_path / "corpus.parquet").labels == ("A", "A01")
    assert read_json(tmp_path / "funnel.json")["symbols"]["most_frequent_dropped_codes"] == [
        {"code": "H04", "symbols": 1}
    ]


def test_a_level_that_the_tree_does_not_have_is_one_sentence(tmp_path, capsys):
    table = tmp_path / "tree.tsv"
    table.write_text(OTHER_TREE)
    assert make(tmp_path, "--label-tree", table, **THREE_LEVELS) == 1
    assert "corpus.levels: the label tree has no level 'subclass'" in capsys.readouterr().err
    assert not (tmp_path / "corpus.parquet").exists()


def test_the_demo_can_be_learned_at_three_levels(tmp_path):
    config = config_file(tmp_path, source={"kind": "demo", "demo": {"documents": 300}}, corpus=THREE_LEVELS)
    delivery, corpus = tmp_path / "delivery", tmp_path / "corpus.parquet"
    assert main(["demo_delivery", "--folder", str(delivery), "--config", str(config)]) == 0
    assert {path.name for path in delivery.iterdir()} == {*DELIVERY_FILES, "provenance.json"}
    words = ["corpus", "--source", delivery, "--corpus", corpus, "--funnel", tmp_path / "f.json", "--config", config]
    assert main([str(word) for word in words]) == 0
    words = ["splits", "--corpus", corpus, "--splits", tmp_path / "s.parquet", "--audit", tmp_path / "a.json"]
    assert main([str(word) for word in [*words, "--config", config]]) == 0
