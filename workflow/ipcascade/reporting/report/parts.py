"""The files beside the code that the page is made of, for the workflow to watch. Imports nothing."""

from pathlib import Path

HERE = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = HERE / "page.html.j2", HERE / "page.css", HERE / "page.js"
CAPTIONS_FOLDER = HERE.parent / "captions"
CAPTIONS = tuple(sorted(CAPTIONS_FOLDER.glob("*.rst")))
PARTS = (TEMPLATE, STYLE, SCRIPT, *CAPTIONS)
