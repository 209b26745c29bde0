"""What each kind of source can have: which keys of the section `corpus` it can serve, and which texts."""

from ipcascade.core.classifications import Classification

_PATSTAT = ("sources.patstat.source", "sources.patstat.tables")
READERS = {
    "patstat_bulk": (*_PATSTAT, "sources.patstat.delivery", "sources.patstat.row_counts", "core.archives"),
    "patstat_sql": (*_PATSTAT, "sources.patstat.database"),
    "patentsview": ("sources.patentsview", "core.archives"),
    "table": ("sources.table", "core.user_tables", "core.user_table_files"),
}
"""The folders and modules of the package that read each kind, and not all others."""
PATSTAT_FILTERS = ("ipr_types", "kinds", "offices", "first_year", "last_year", "language", "ipc_values", "least_weight")
TABLE_FILTERS = {
    "kinds": "kind", "offices": "office", "first_year": "year", "last_year": "year", "language": "language",
}  # fmt: skip
"""Filters that a table can serve, and the column that each of them needs."""
PATENTSVIEW_FILTERS = ("kinds", "offices", "first_year", "last_year", "ipc_values")
PATENTSVIEW_TEXTS = ("abstract", "title", "first_claim")
PATENTSVIEW_SYMBOLS: dict[Classification, tuple[str, tuple[str, ...]]] = {
    "ipc": ("g_ipc_at_issue", ("section", "ipc_class", "subclass")),
    "cpc": ("g_cpc_current", ("cpc_group",)),
    "wipo35": ("g_wipo_technology", ("wipo_field_id",)),
}
"""The tables of PatentsView that have the labels of a classification, and the columns whose texts make a symbol."""
PATSTAT_SYMBOLS: dict[Classification, tuple[str, str]] = {
    "ipc": ("tls209", "ipc_class_symbol"),
    "cpc": ("tls224", "cpc_class_symbol"),
    "wipo35": ("tls230", "techn_field_nr"),
    "nace": ("tls229", "nace2_code"),
}
"""The tables and columns of PATSTAT that have the labels of a classification."""
PATSTAT_TEXTS = {"abstract": ("tls203", "appln_abstract"), "title": ("tls202", "appln_title")}
"""Fields of the text in PATSTAT, with their tables and columns."""
