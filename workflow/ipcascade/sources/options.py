"""Options of the sources."""

from typing import Literal

from ipcascade.core.options import Count, Section, Text


class DemoOptions(Section):
    """The synthetic delivery."""

    documents: Count = 2400
    """Applications with an abstract to write, family members and non-English ones included."""


class SourceOptions(Section):
    """Where documents come from."""

    kind: Literal["patstat_bulk", "demo"] = "patstat_bulk"
    """patstat_bulk: a PATSTAT Global delivery, read in place. demo: a synthetic delivery, written to
    results/delivery/."""
    path: Text | None = None
    """Folder of the delivery: zips (2025 on), nested zips (2018 to 2024) or extracted CSVs. Needed for patstat_bulk."""
    demo: DemoOptions = DemoOptions()
