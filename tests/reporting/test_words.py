"""Names of levels, plurals, counts, lists and amounts."""

import pytest

from ipcascade.reporting.words import capitalised, count, duration, gibibytes, level_name, listed, plural


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("section", "sections"), ("class", "classes"), ("subclass", "subclasses"), ("category", "categories"),
        ("main_group", "main_groups"), ("branch", "branches"), ("index", "indexes"), ("key", "keys"),
        ("epoch", "epochs"),
    ],
)  # fmt: skip
def test_plurals(word, expected):
    assert plural(word) == expected


def test_counts_have_a_plural_but_for_one():
    assert [count(n, "class") for n in (0, 1, 2, 1000)] == ["0 classes", "1 class", "2 classes", "1,000 classes"]


def test_lists_read_as_in_a_sentence():
    assert [listed(list(items)) for items in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


def test_names():
    assert (level_name("main_group"), capitalised("iPC class")) == ("main group", "IPC class")


def test_amounts_have_two_digits_and_a_unit_that_suits_them():
    seconds = {0: "0 s", 59.4: "59 s", 59.5: "1 min", 3569: "59 min", 3570: "1.0 h", 35_819: "9.9 h", 35_821: "10 h"}
    assert {amount: duration(amount) for amount in seconds} == seconds
    memory = {0: "0.0 GiB", 1536: "1.5 GiB", 10_188: "9.9 GiB", 10_189: "10 GiB", 140 * 1024: "140 GiB"}
    assert {amount: gibibytes(amount) for amount in memory} == memory
