"""Tables in parts on disk: what was added comes back, in its order, from the parts that it was added to."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import ipcascade.corpus.scratch as module
from ipcascade.corpus.scratch import PARTS, Scratch, parts_of, ranges_of


def rows(seed, amount):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-(2**40), 2**40, amount)
    return pl.DataFrame(
        {
            "number": numbers,
            "text": [None if n % 7 == 0 else f"text {n} é" for n in numbers.tolist()],
            "codes": [[str(n % 3)] * (n % 4) for n in np.abs(numbers).tolist()],
        },
        schema={"number": pl.Int64, "text": pl.String, "codes": pl.List(pl.String)},
    )


@pytest.mark.parametrize("waiting", [1, 3000, 1 << 30])
def test_what_was_added_comes_back(tmp_path, monkeypatch, waiting):
    monkeypatch.setattr(module, "_WAITING_BYTES", waiting)
    scratch = Scratch(tmp_path)
    batches = [rows(seed, amount) for seed, amount in enumerate((100, 0, 1, 250))]
    for batch in batches:
        scratch.add("a table", batch, parts_of(batch["number"]))
        scratch.add("another", batch.select("number").slice(0, 1), parts_of(batch["number"].slice(0, 1)))
    together = pl.concat(batches)
    for parts in (range(PARTS), range(3, 40), [5]):
        found = scratch.read("a table", parts)
        part = pl.Series(parts_of(together["number"]))
        expected = pl.concat([together.filter(part == number) for number in parts])
        assert_frame_equal(found, expected, check_row_order=False)
    assert scratch.rows == {"a table": 351, "another": 3}
    assert scratch.read("another", range(PARTS)).height == 3
    assert_frame_equal(
        scratch.read("a table", range(PARTS), ["codes", "number"]), together.select("codes", "number"),
        check_row_order=False,
    )  # fmt: skip
    scratch.drop("a table")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("a table")]


def test_an_empty_table_has_its_columns(tmp_path):
    scratch = Scratch(tmp_path)
    scratch.add("empty", rows(1, 0), np.empty(0, dtype=np.int64))
    assert scratch.read("empty", range(PARTS)).schema == rows(1, 1).schema


def test_a_filtered_text_does_not_keep_all_others_in_memory(tmp_path):
    texts = pl.DataFrame({"text": ["x" * 1000] * 1000})
    scratch = Scratch(tmp_path)
    scratch.add("texts", texts[:2], np.zeros(2))
    ((table, _),) = scratch._waiting["texts"]
    assert table.get_total_buffer_size() < 10_000


def test_numbers_and_their_negatives_meet():
    numbers = pl.Series([1, 127, 128, 10**15], dtype=pl.Int64)
    assert (parts_of(numbers) == parts_of(-numbers)).all()
    assert parts_of(numbers).tolist() == [1, 127, 0, 10**15 % 128]
    assert parts_of(pl.Series([2**64 - 1], dtype=pl.UInt64)).tolist() == [127]


@pytest.mark.parametrize(("total", "most"), [(10, 1), (10**9, 1 << 30), (1000, 64_000), (0, 10)])
def test_units_are_all_parts_once_and_fit(tmp_path, total, most):
    units = list(Scratch(tmp_path).units(total, 100, most))
    assert [part for unit in units for part in unit] == list(range(PARTS))
    assert all(len(unit) == 1 or len(unit) * total * 100 / PARTS <= most for unit in units)


@pytest.mark.parametrize("waiting", [1, 1 << 30])
def test_tables_of_several_writers_are_one(tmp_path, monkeypatch, waiting):
    monkeypatch.setattr(module, "_WAITING_BYTES", waiting)
    batches = [rows(seed, amount) for seed, amount in enumerate((100, 0, 30))]
    for number, batch in enumerate(batches):
        writer = Scratch(tmp_path / str(number))
        for half in (batch[::2], batch[1::2]):
            writer.add("a table", half, parts_of(half["number"]))
        if number == 2:
            writer.add("its own", batch, parts_of(batch["number"]))
        writer.close()
    together = pl.concat(batches)
    scratch = Scratch(tmp_path / "here")
    scratch.add("a table", batches[0], parts_of(batches[0]["number"]))
    for number in range(3):
        scratch.adopt(tmp_path / str(number))
    together = pl.concat([together, batches[0]])
    assert scratch.rows == {"a table": 230, "its own": 30}
    for parts in (range(PARTS), range(0, 50)):
        expected = together.filter(pl.Series(np.isin(parts_of(together["number"]), parts)))
        assert_frame_equal(scratch.read("a table", parts), expected, check_row_order=False)
    assert_frame_equal(scratch.read("its own", range(PARTS)), batches[2], check_row_order=False)
    scratch.drop("a table")
    assert "a table" not in scratch.rows
    again = Scratch(tmp_path / "here")
    again.adopt(tmp_path / "0")
    assert again.read("a table", range(PARTS)).height == 100, "what was adopted is there for the next"


def test_ranges_are_in_the_order_of_the_numbers():
    ordered = np.arange(0, 3000, 3)
    found = ranges_of(ordered, pl.Series(ordered))
    assert (np.diff(found) >= 0).all() and found[0] == 0 and found[-1] == PARTS - 1
    assert np.ptp(np.bincount(found)) <= 1, "as many in each"
    assert ranges_of(np.array([], dtype=np.int64), pl.Series([], dtype=pl.Int64)).size == 0
