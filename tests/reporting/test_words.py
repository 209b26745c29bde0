"""Names of levels, plurals, counts and lists."""

import pytest

from ipcascade.reporting.words import capitalised, count, level_name, listed, plural


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
