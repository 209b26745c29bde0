"""Parts of tables read by one process or several: the same corpus; what a killed run had read is not read again."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import ipcascade.corpus.reading as module
from built import build
from deliveries import abstract, application, random_tables, symbol, write_delivery
from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.applications import read_applications
from ipcascade.corpus.build import CorpusBuild
from ipcascade.corpus.funnel import Funnel
from ipcascade.corpus.options import CorpusOptions
from ipcascade.corpus.reading import kept_numbers, reading
from ipcascade.sources.patentsview.source import open_patentsview
from ipcascade.sources.patstat.source import open_patstat
from patentsview_tables import small, write_tables
from support import config_file

TREE = LabelTree.read(IPC).select(["section", "class"])
OPTIONS = CorpusOptions(documents=30, text=["title", "abstract"], minimum_words=1)
LONG = "one two three four five six seven eight nine ten"


@pytest.fixture
def delivery(tmp_path):
    return write_delivery(tmp_path / "delivery", random_tables(3, 400), parts=3)


def made_by(folder: Path, delivery: Path, processes: int, options=OPTIONS, share=0.0, identity=None):
    """The corpus and its funnel, with tables in a folder; identity: of the run."""
    reopen = partial(open_patstat, delivery, True, malformed_share=share)
    with reading(reopen(), folder, identity or {}, reopen, processes) as reader:
        corpus = CorpusBuild(reader, TREE, options, 1, None, 1 << 30)
        documents = pl.concat(list(corpus.documents()))
        return documents, corpus.funnel(), reader.source.quarantine.lines()


def test_the_corpus_is_the_same_however_many_processes_read(tmp_path, delivery, monkeypatch):
    monkeypatch.setattr(module, "SMALL_BYTES", 0)
    expected, funnel = build(open_patstat(delivery, True), TREE, OPTIONS, 1)
    assert expected.height == 30 and funnel["tables"]["tls203"]["checked"]
    for processes in (1, 3):
        documents, facts, left_out = made_by(tmp_path / "scratch", delivery, processes)
        assert_frame_equal(documents, expected)
        assert facts == funnel and left_out == []
        assert not (tmp_path / "scratch").exists()


def test_malformed_rows_of_all_processes_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALL_BYTES", 0)
    tables = random_tables(3, 400)
    for row in (390, 20, 300, 301):
        tables["tls201"][row] = {**tables["tls201"][row], "appln_filing_year": "no year"}
    folder = write_delivery(tmp_path / "delivery", tables, parts=3)
    (alone, funnel, listed), (together, facts, also_listed) = [
        made_by(tmp_path / "scratch", folder, processes, share=0.1) for processes in (1, 3)
    ]
    assert len(listed) == 4 and listed == also_listed and funnel == facts
    assert_frame_equal(alone, together)
    with pytest.raises(UserError, match=r"line 2\d: appln_filing_year is 'no year'"):
        made_by(tmp_path / "scratch", folder, 3)
    assert not (tmp_path / "scratch").exists(), "an error leaves nothing"


def test_faults_across_parts_are_found_by_several_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALL_BYTES", 0)
    tables = {
        "tls201": [application(i) for i in range(1, 9)],
        "tls202": [],
        "tls203": [abstract(i, f"{LONG} {i}") for i in range(1, 9)],
        "tls209": [symbol(i, "A01B  33/00") for i in range(1, 9)],
    }
    folder = write_delivery(tmp_path / "twice", {**tables, "tls201": [*tables["tls201"], application(1)]}, parts=3)
    with pytest.raises(UserError, match="tls201 has appln_id 1 more than once"):
        made_by(tmp_path / "scratch", folder, 2)
    folder = write_delivery(tmp_path / "short", tables, parts=3)
    (folder / "RowCount.txt").write_text("tls201_appln 9\ntls203_appln_abstr 8\ntls209_appln_ipc 8\n")
    with pytest.raises(UserError, match=r"tls201 has 8 rows where .* has 9"):
        made_by(tmp_path / "scratch", folder, 2)


def test_parts_that_were_read_are_not_read_again(tmp_path, delivery, monkeypatch):
    read, stop_at = [], [("labels", 1)]
    read_part = module._read_part

    def interrupted(source, work, part, folder):
        if (work.stage, part) in stop_at:
            raise KeyboardInterrupt
        read.append((work.stage, part))
        return read_part(source, work, part, folder)

    monkeypatch.setattr(module, "_read_part", interrupted)
    scratch = tmp_path / "scratch"
    with pytest.raises(KeyboardInterrupt):
        made_by(scratch, delivery, 1, identity={"a": 1})
    before, stop_at[:] = list(read), []
    assert ("applications", 2) in before
    read.clear()
    documents, facts, _ = made_by(scratch, delivery, 1, identity={"a": 1})
    assert not set(before) & set(read) and ("labels", 1) in read
    expected, funnel = build(open_patstat(delivery, True), TREE, OPTIONS, 1)
    assert_frame_equal(documents, expected)
    assert facts == funnel


@pytest.mark.parametrize("other", ["options", "source"])
def test_parts_of_something_else_are_read_again(tmp_path, delivery, monkeypatch, other):
    scratch, read = tmp_path / "scratch", []
    read_part = module._read_part

    def interrupted(source, work, part, folder):
        if work.stage == "abstracts":
            raise KeyboardInterrupt
        read.append((work.stage, part))
        return read_part(source, work, part, folder)

    monkeypatch.setattr(module, "_read_part", interrupted)
    for identity in ({"a": 1}, {"a": 2} if other == "options" else {"a": 1}):
        read.clear()
        with pytest.raises(KeyboardInterrupt):
            made_by(scratch, delivery, 1, identity=identity)
        assert {("applications", part) for part in range(3)} <= set(read)
        if other == "source":
            write_delivery(delivery, random_tables(4, 400), parts=3)


def test_a_killed_command_is_resumed_and_makes_the_same_bytes(tmp_path):
    """Killed without warning while several processes read, none of which goes on."""
    config = config_file(tmp_path, source={"kind": "demo", "demo": {"documents": 3000}}, corpus={"documents": None})
    assert main(["demo_delivery", "--folder", str(tmp_path / "delivery"), "--config", str(config)]) == 0
    words = ["corpus", "--source", tmp_path / "delivery", "--config", config, "--threads", "2"]

    def command(name: str) -> list[str]:
        files = ["--corpus", tmp_path / name / "corpus.parquet", "--funnel", tmp_path / name / "funnel.json"]
        started = f"import ipcascade.corpus.reading as m; m.SMALL_BYTES = 0; {SLOWLY}" if name == "killed" else "pass"
        run = f"{started}\nimport sys\nfrom ipcascade.cli import main\nif __name__ == '__main__': sys.exit(main())"
        script = tmp_path / f"{name}.py"
        script.write_text(run)
        return [sys.executable, str(script), *map(str, [*words, *files])]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    scratch = tmp_path / "killed" / ".corpus.parquet.scratch"
    until(lambda: list(scratch.glob("read/applications/*/facts.json")) and list(scratch.glob("read/labels/*")))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert children
    until(lambda: not any(is_running(child) for child in children))
    done = {path: path.stat().st_mtime_ns for path in scratch.glob("read/applications/*/facts.json")}
    assert done
    assert main([str(word) for word in command("killed")[2:]]) == 0
    for name in ("corpus.parquet", "funnel.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not scratch.exists()


# Parts of labels take a second each, so that a kill comes between them.
SLOWLY = (
    "import time; from ipcascade.corpus.labels import ReadLabels as r; of = r.__call__; "
    "r.__call__ = lambda *a: (time.sleep(1), of(*a))[1]"
)


def until(holds, seconds=60):
    """Wait for something to hold."""
    stop = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < stop
        time.sleep(0.02)


def is_running(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_cancelled_job_ends_with_all_its_processes(tmp_path):
    """As a cluster cancels one: every process gets the signal, those that read maybe first."""
    config = config_file(tmp_path, source={"kind": "demo", "demo": {"documents": 3000}}, corpus={"documents": None})
    assert main(["demo_delivery", "--folder", str(tmp_path / "delivery"), "--config", str(config)]) == 0
    files = ["--corpus", tmp_path / "out" / "corpus.parquet", "--funnel", tmp_path / "out" / "funnel.json"]
    words = ["corpus", "--source", tmp_path / "delivery", "--config", config, "--threads", "2", *files]
    script = tmp_path / "run.py"
    script.write_text(
        f"import ipcascade.corpus.reading as m; m.SMALL_BYTES = 0; {SLOWLY}\nimport sys\n"
        "from ipcascade.cli import main\nif __name__ == '__main__': sys.exit(main())"
    )
    command = [sys.executable, str(script), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    scratch = tmp_path / "out" / ".corpus.parquet.scratch"
    until(lambda: (scratch / "applications.npy").exists())
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: len(children.read_text().split()) >= 3)
    time.sleep(1)  # so that they wait for what ends them
    readers = children.read_text().split()
    for child in readers:
        os.kill(int(child), signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in (1, 128 + signal.SIGTERM)
    until(lambda: not any(is_running(child) for child in readers))
    assert (scratch / "identity").is_file() and not (tmp_path / "out" / "corpus.parquet").exists()


@pytest.mark.parametrize("damage", ["cut", "gone", "index"])
def test_a_part_whose_tables_are_damaged_is_read_again(tmp_path, delivery, monkeypatch, damage):
    scratch = tmp_path / "scratch"
    expected, _ = build(open_patstat(delivery, True), TREE, OPTIONS, 1)
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched:
        patched.setattr("ipcascade.corpus.build.measure_abstracts", interrupted)
        made_by(scratch, delivery, 1)
    folder = scratch / "read" / "labels" / "000001"
    (table,) = folder.glob("labels*.arrow")
    if damage == "cut":
        table.write_bytes(table.read_bytes()[:-1])
    elif damage == "gone":
        table.unlink()
    else:
        (folder / "tables.json").write_text("")
    documents, _, _ = made_by(scratch, delivery, 1)
    assert_frame_equal(documents, expected)


def interrupted(*_):
    raise KeyboardInterrupt


def test_notes_of_a_killed_run_are_not_lost(tmp_path, monkeypatch):
    tables = small("10000001", "10000002")
    tables["g_application"][1]["filing_date"] = "never"
    write_tables(tmp_path / "tables", tables)
    reopen = partial(open_patentsview, tmp_path / "tables", ["abstract"], "ipc")
    for last in (False, True):
        with reading(reopen(), tmp_path / "scratch", {}, reopen, 1) if last else stopped(reopen, tmp_path) as reader:
            read_applications(reader, CorpusOptions(), Funnel())
            assert len(reader.source.notes) == 1 and "filing dates are none" in reader.source.notes[0]


@contextmanager
def stopped(reopen, folder):
    """A reader of a run that is interrupted at the end."""
    with pytest.raises(KeyboardInterrupt), reading(reopen(), folder / "scratch", {}, reopen, 1) as reader:
        yield reader
        raise KeyboardInterrupt


def test_a_process_that_is_ended_from_outside_is_a_sentence(tmp_path, delivery, monkeypatch):
    monkeypatch.setattr(module, "SMALL_BYTES", 0)
    scratch = tmp_path / "scratch"
    reopen = partial(open_patstat, delivery, True)
    with (
        pytest.raises(UserError, match="a process that read tls201 was ended from outside"),
        reading(reopen(), scratch, {}, reopen, 2) as reader,
    ):
        reader.read(Dies(), "read the applications")
    assert (scratch / "identity").is_file(), "what was read stays"


class Dies:
    """Work in which a process is killed, as for want of memory."""

    what = stage = "applications"

    def __call__(self, source, part, scratch):
        os.kill(os.getpid(), signal.SIGKILL)


def test_numbers_are_kept_in_a_file(tmp_path, delivery):
    with reading(open_patstat(delivery), tmp_path / "scratch", {}, lambda: None, 1) as reader:
        path = reader.keep("some", np.array([3, 5, 2**40]))
        assert kept_numbers(path).tolist() == [3, 5, 2**40]


def test_what_is_in_the_way_is_one_sentence(tmp_path, delivery):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="tables cannot be put there"),
        reading(open_patstat(delivery), tmp_path / "file" / "scratch", {}, lambda: None, 1),
    ):
        pass
