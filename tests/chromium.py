"""Debian's Chromium without a window, for tests of pages. Tests that need it are skipped where it is not installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (tests/chromium-install)")


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for since it was opened."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def opened(file: Path, **options: object) -> Iterator[Opened]:
    """A file in the browser; options: those of a Playwright page, as viewport and color_scheme."""
    # The sandbox of a browser that root starts cannot be set up; the page is our own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*arguments, "--disable-gpu"])
        try:
            page = browser.new_page(**options)
            shown = Opened(page)
            page.on("console", lambda message: shown.said.append(message.text))
            page.on("pageerror", lambda error: shown.said.append(str(error)))
            page.on("request", lambda request: shown.asked.append(request.url))
            page.goto(file.as_uri())
            page.wait_for_function("document.querySelectorAll('table.dataTable').length")
            yield shown
        finally:
            browser.close()
