"""From sections to one HTML page that opens without a network.

The template is filled by Jinja2, which escapes all that comes from data. Tables are sorted and searched by DataTables,
which the package itables carries as a file: well kept, usable by keyboard, and far smaller than a library of plots,
which the figures do not need. All of it is inside the page, whose policy lets a browser fetch nothing.
"""

import base64
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ipcascade.reporting.report.elements import Section
from ipcascade.reporting.report.parts import SCRIPT, STYLE, TEMPLATE


def render(title: str, subtitle: str, sections: Sequence[Section], version: str) -> str:
    """The page as HTML; version: that of ipcascade."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = _tables()
    return environment.get_template(TEMPLATE.name).render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        version=version,
        style=Markup(STYLE.read_text("utf-8")),
        script=Markup(SCRIPT.read_text("utf-8")),
        table_style=Markup(style),
        table_script=Markup(script),
    )


def _tables() -> tuple[str, str]:
    """DataTables: its module as a data URL, and its style."""
    found = find_spec("itables")
    assert found is not None and found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "html"
    script = base64.b64encode((folder / "dt_bundle.js").read_bytes()).decode()
    return f"data:text/javascript;base64,{script}", (folder / "dt_bundle.css").read_text("utf-8")
