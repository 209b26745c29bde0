import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ipcascade.corpus.text import measure, measure_ascii, measure_unicode, normalise, with_title

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
    found = rows.select(with_title(pl.col("title"), pl.col("abstract"))).to_series()
    assert found.to_list() == ["Plough. It ploughs.", "It sows."]
