"""A page of the report from its elements: long tables are in pages, which paper has none of."""

import pytest
from playwright.sync_api import expect

from chromium import needs_chromium, opened
from ipcascade.reporting.report.elements import Cell, Code, Column, Facts, Section, Table, Text, percent, whole
from ipcascade.reporting.report.page import render


@pytest.fixture
def page(tmp_path):
    rows = [[Cell(f"label {number}"), whole(number * 1000)] for number in range(300)]
    parts = [
        Text("a < b"),
        Facts([("n", "1")]),
        Code("settings", "a: <b>"),
        Table("t", "Rows", [Column("a"), Column("b", True)], rows),
    ]
    (tmp_path / "page.html").write_text(render("a & b", "", [Section("s", "S", parts)], "1"))
    return tmp_path / "page.html"


@needs_chromium
def test_long_tables_are_in_pages_and_whole_on_paper(page):
    with opened(page) as shown:
        rows = shown.page.locator("#table-t tbody tr")
        expect(rows).to_have_count(100)
        shown.page.locator("#table-t").get_by_text("3", exact=True).click()
        expect(rows.first).to_contain_text("label 200")
        shown.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        expect(rows).to_have_count(300)
        assert shown.page.locator("details").get_attribute("open") is not None
        shown.page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(rows).to_have_count(100)


@needs_chromium
def test_numbers_with_separators_sort_as_numbers(page):
    with opened(page) as shown:
        heading = shown.page.locator("#table-t thead th").nth(1)
        heading.click()
        heading.click()
        expect(heading).to_have_attribute("aria-sort", "descending")
        expect(shown.page.locator("#table-t tbody tr").first).to_contain_text("299,000")


def test_text_is_escaped_everywhere(page):
    html = page.read_text()
    for text in ("a &lt; b", "a: &lt;b&gt;", "<title>a &amp; b</title>"):
        assert text in html


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_no_number_is_a_dash_below_all_numbers(value):
    cell = percent(value)
    assert cell.text == "–" and cell.order < percent(-1e9).order
