"""The files of the demo delivery, as the workflow names them too: nothing but the standard library is imported here."""

from pathlib import Path

# Words by kind, and sentences with slots for them.
TEXT = Path(__file__).with_name("text.tsv")

PROJECTS = "results/demo_projects.csv"
"""The table of demo projects, where the workflow makes it."""

# Parts of each table.
PARTS = {"tls201_appln": 1, "tls202_appln_title": 1, "tls203_appln_abstr": 2, "tls209_appln_ipc": 2}
ROW_COUNTS = "RowCount.txt"
DELIVERY_FILES: tuple[str, ...] = (
    *(f"{table}_part{part:02d}.zip" for table, parts in PARTS.items() for part in range(1, parts + 1)),
    ROW_COUNTS,
)
