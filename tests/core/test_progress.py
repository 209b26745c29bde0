"""Progress: plain lines with a rate and an ETA in the log, no more often than asked."""

import logging

import pytest

from ipcascade.core import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def lines(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("ipcascade"), "propagate", True)
    caplog.set_level(logging.INFO, logger="ipcascade.core.progress")
    return lambda: [record.getMessage() for record in caplog.records]


def test_lines_show_rate_and_time_left(clock, lines):
    with progress.Progress("training", 1000, "documents", every=30) as bar:
        clock[0] += 10
        bar.advance(100)
        assert lines() == [], "30 seconds are not over"
        clock[0] += 30
        bar.note("epoch 1")
        bar.advance(100)
        clock[0] += 10
        bar.advance(50)
    assert lines() == [
        "training: 200 of 1,000 documents, 5.0 documents/s, ETA 2.7 min, epoch 1",
        "training: 250 of 1,000 documents, 5.0 documents/s, ETA 2.5 min, epoch 1",
    ]


def test_a_resumed_task_counts_only_its_own_work_in_the_rate(clock, lines):
    with progress.Progress("training", 1000, "documents", done=500) as bar:
        clock[0] += 10
        bar.advance(500)
    assert lines() == ["training: 1,000 of 1,000 documents, 50.0 documents/s"]


def test_a_failing_task_reports_no_end(clock, lines):
    with pytest.raises(RuntimeError), progress.Progress("reading", None, "rows"):
        raise RuntimeError
    assert lines() == []
