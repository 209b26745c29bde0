import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipcascade.corpus.text import compose, cut_fairly, measure, measure_ascii, measure_unicode, normalise

# Without letters that this Python does not know yet: polars has tables of a newer Unicode.
KNOWN_LETTERS = st.characters(exclude_categories=["Cs", "Cn"])


@given(st.text(KNOWN_LETTERS, max_size=30), st.text(KNOWN_LETTERS, max_size=30))
def test_equal_hashes_mean_equal_letters_and_digits(first, second):
    def plain(text):
        return "".join(
            letter
            for letter in unicodedata.normalize("NFKC", text).upper().lower()
            if unicodedata.category(letter)[0] in "LN"
        )

    hashes = measure(pl.Series([first, second, f"({first}) !"]))["text_hash"]
    assert (hashes[0] == hashes[1]) == (plain(first) == plain(second))
    assert hashes[0] == hashes[2]


@given(st.lists(st.text(st.characters(max_codepoint=127), max_size=20), max_size=8), st.integers(0, 3))
def test_ascii_texts_are_measured_as_all_others(texts, start):
    series = pl.Series(texts, dtype=pl.String)[start:]
    fast, general = pl.DataFrame(measure_ascii(series)), pl.DataFrame(measure_unicode(series))
    assert_frame_equal(fast, general)


@pytest.mark.parametrize(("first", "second"), [("Straße", "STRASSE"), ("ﬁne", "Fine"), ("ΟΔΟΣ", "οδος"), ("x²", "X 2")])
def test_hashes_know_no_case_and_no_compatibility_forms(first, second):
    hashes = measure(pl.Series([first, second]))["text_hash"]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" A  \n\t b\v\f\r\x1cc-d ", 3),  # a file separator is not a blank
        ("", 0),
        ("   ", 0),
        ("one", 1),
        ("a b", 2),
    ],
)
def test_words_are_what_blanks_separate(text, expected):
    for texts in ([text], ["before", text, "", text, "after "], [text, ""]):
        counted = measure(pl.Series(texts))["words"].to_list()
        assert [count for count, other in zip(counted, texts, strict=True) if other == text] == (
            [expected] * texts.count(text)
        )


def test_normalise_keeps_letters_and_digits_in_one_case():
    assert normalise("A ﬁne, 5 °C_Straße!") == "afine5cstrasse"
    assert normalise("µ-x²") == "μx2"
    assert normalise(" ,\n") == ""


@given(st.text(st.characters(max_codepoint=127), max_size=30), st.text(st.characters(max_codepoint=127), max_size=30))
def test_both_ways_to_compare_texts_agree(first, second):
    hashes = measure(pl.Series([first, second, first.swapcase() + "."]))["text_hash"]
    assert (hashes[0] == hashes[1]) == (normalise(first) == normalise(second))
    assert hashes[0] == hashes[2]


def test_a_title_is_put_before_the_abstract_where_there_is_one():
    rows = pl.DataFrame({"title": ["Plough", None], "abstract": ["It ploughs.", "It sows."]})
    found = rows.select(compose(["title", "abstract"])).to_series()
    assert found.to_list() == ["Plough. It ploughs.", "It sows."]


def test_a_text_is_of_the_fields_that_a_document_has_in_the_order_of_the_config():
    rows = pl.DataFrame({"title": ["T", None], "abstract": ["An abstract.", "Another."], "first_claim": [None, "1. A"]})
    found = rows.select(compose(["title", "abstract", "first_claim"])).to_series()
    assert found.to_list() == ["T. An abstract.", "Another. 1. A"]
    found = rows.select(compose(["first_claim", "abstract", "title"])).to_series()
    assert found.to_list() == ["An abstract. T.", "1. A Another."]


def fair(words, most):
    """One word at a time to each field in turn, the shortest first: what is left over goes to the longer ones."""
    order = sorted(range(len(words)), key=lambda field: words[field])
    shares = [0] * len(words)
    while most > 0 and any(share < amount for share, amount in zip(shares, words, strict=True)):
        open_ = [field for field in order if shares[field] < words[field]]
        for field in reversed(open_):  # the last ones get what cannot be shared
            if most > 0:
                shares[field] += 1
                most -= 1
    return shares


@pytest.mark.parametrize("most", [1, 2, 7, 12, 100])
def test_fields_of_long_texts_are_cut_alike(most):
    rng = np.random.default_rng(most)
    amounts = rng.integers(0, 12, (200, 3))
    fields = ["title", "abstract", "first_claim"]
    texts = pl.DataFrame(
        {f: [" ".join(f"{f}{n}" for n in range(a)) or None for a in amounts[:, i]] for i, f in enumerate(fields)}
    )
    cut = cut_fairly(texts, fields, most)
    for row, words in enumerate(amounts.tolist()):
        kept = [len((cut[f][row] or "").split()) for f in fields]
        assert sum(kept) == min(sum(words), most)
        assert sorted(kept) == sorted(fair(words, most))
        for f in fields:  # the beginnings stay, as they were written
            assert (texts[f][row] or "").startswith(cut[f][row] or "")


def test_a_text_that_is_cut_keeps_what_is_between_its_words():
    texts = pl.DataFrame({"abstract": ["  one\n two\tthree four"], "title": ["a b"]})
    cut = cut_fairly(texts, ["title", "abstract"], 5)
    assert cut.rows(named=True) == [{"abstract": "  one\n two\tthree", "title": "a b"}]
