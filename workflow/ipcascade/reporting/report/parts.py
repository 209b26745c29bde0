"""The files beside the code that the page is made of, for the workflow to watch. Imports nothing."""

from pathlib import Path

HERE = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = HERE / "page.html.j2", HERE / "page.css", HERE / "page.js"
CAPTIONS = HERE.parent / "captions"
PARTS = (TEMPLATE, STYLE, SCRIPT, *sorted(CAPTIONS.glob("*.rst")))
