"""Counts of technologies against loops over units, and properties that any count must have."""

import numpy as np
import pytest

from ipcascade.matrices.counts import MEASURES, Block, Units, count, of_labels


def case(seed, texts=60, units=25, rows=4, labels=5, alone=False):
    """Texts of units in any order, with labels that follow loosely from their probabilities."""
    random = np.random.default_rng(seed)
    unit_of = (
        np.arange(texts) if alone else np.concatenate([np.arange(units), random.integers(0, units, texts - units)])
    )
    random.shuffle(unit_of)
    amount = unit_of.max() + 1
    made = Units(unit_of, random.integers(0, rows, amount), random.integers(0, 9, amount) / 2, rows)
    probabilities = random.random((texts, labels)).astype(np.float32)
    return made, Block(probabilities > random.random((texts, labels)), probabilities)


def cut(block, size):
    for start in range(0, len(block.predicted), size):
        yield of_labels(Block(*(part[start : start + size] for part in block)))


def by_loops(units, block):
    """The definition in words, one unit at a time."""
    found = {measure: np.zeros((units.rows, block.predicted.shape[1])) for measure in MEASURES}
    for unit, (row, weight) in enumerate(zip(units.row_of, units.weights, strict=True)):
        texts = np.flatnonzero(units.unit_of == unit)
        for label in range(block.predicted.shape[1]):
            shares = [1 / block.predicted[text].sum() if block.predicted[text, label] else 0.0 for text in texts]
            found["expected"][row, label] += weight * float(np.mean(block.probabilities[texts, label], dtype=float))
            found["fractional"][row, label] += weight * float(np.mean(shares))
            found["whole"][row, label] += weight * float(block.predicted[texts, label].any())
    return found


@pytest.mark.parametrize("size", [1, 7, 60])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_definition(seed, alone, size):
    units, block = case(seed, alone=alone)
    found = count(units, cut(block, size), 0, 0.95, 42)
    for measure, values in by_loops(units, block).items():
        assert found.values[measure] == pytest.approx(values, abs=1e-9)
    assert found.low is None and found.high is None


def test_a_unit_counts_once_however_many_texts_it_has():
    units, block = case(1)
    twice = Units(np.tile(units.unit_of, 2), units.row_of, units.weights, units.rows)
    again = Block(*(np.concatenate([part, part]) for part in block))
    once, doubled = (count(*args, 0, 0.95, 42) for args in ((units, cut(block, 9)), (twice, cut(again, 9))))
    for measure in MEASURES:
        assert doubled.values[measure] == pytest.approx(once.values[measure], abs=1e-9)


def test_fractional_counts_of_labelled_units_sum_to_their_weights():
    units, block = case(2, alone=True)
    block.predicted[:, 0] = True
    found = count(units, cut(block, 9), 0, 0.95, 42)
    assert found.values["fractional"].sum(axis=1) == pytest.approx(units.totals)


def test_the_order_in_which_texts_are_cut_changes_no_byte():
    units, block = case(3)
    one, other = (count(units, cut(block, size), 20, 0.9, 42) for size in (1, 60))
    for found, expected in ((one.values, other.values), (one.low, other.low), (one.high, other.high)):
        for measure in MEASURES:
            assert np.array_equal(found[measure], expected[measure])


def test_intervals_are_those_of_drawing_texts_of_units():
    """One unit of two texts beside one of one text: what is drawn is 0, 1 or 2 times the first, binomially."""
    units = Units(np.array([0, 0, 1]), np.array([0, 0]), np.array([3.0, 1.0]), 1)
    probabilities = np.array([[0.9], [0.1], [0.5]], np.float32)
    found = count(units, iter([of_labels(Block(probabilities > 0.4, probabilities))]), 4000, 0.4, 42)
    assert found.values["expected"][0, 0] == pytest.approx(3 * 0.5 + 0.5)
    # Quarters: both the first (3.2), one each (2.0, twice as often), both the second (0.8); 30% and 70% are the middle.
    assert found.low["expected"][0, 0] == pytest.approx(2.0, abs=1e-6)
    assert found.high["expected"][0, 0] == pytest.approx(2.0, abs=1e-6)
    wide = count(units, iter([of_labels(Block(probabilities > 0.4, probabilities))]), 4000, 0.9, 42)
    assert wide.low["expected"][0, 0] == pytest.approx(0.8, abs=1e-6)
    assert wide.high["expected"][0, 0] == pytest.approx(3.2, abs=1e-6)
    assert (wide.low["whole"][0, 0], wide.high["whole"][0, 0]) == (1.0, 4.0)


def test_intervals_hold_the_counts_and_only_of_rows_with_units_of_several_texts_they_have_width():
    units, block = case(4, texts=30, units=28)
    found = count(units, cut(block, 9), 300, 0.95, 42)
    several = units.texts > 1
    moving = np.isin(np.arange(units.rows), units.row_of[several & (units.weights > 0)])
    for measure in ("expected", "fractional"):
        assert (found.low[measure] <= found.values[measure] + 1e-9).all()
        assert (found.high[measure] >= found.values[measure] - 1e-9).all()
    assert ((found.high["expected"] - found.low["expected"]).max(axis=1) > 0).tolist() == moving.tolist()
