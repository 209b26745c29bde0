"""What is at a path that a user may give as a source: in seconds, from names, headers and the first rows of each table.

Says which kind of source it is, what of it is there and what is missing, the first things that are wrong, and what to
write into the config.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import polars as pl
import yaml

from ipcascade.core.classifications import TREES, Classification
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import silent
from ipcascade.core.symbols import leaf_of
from ipcascade.core.user_table_files import suffix_of, table_files
from ipcascade.core.user_tables import Role, UserTable
from ipcascade.sources.base import Source
from ipcascade.sources.kinds import PATENTSVIEW_SYMBOLS, PATSTAT_SYMBOLS, TABLE_FILTERS
from ipcascade.sources.options import TableOptions
from ipcascade.sources.patentsview.files import PATENTS, find_tables
from ipcascade.sources.patentsview.source import open_patentsview
from ipcascade.sources.patstat.delivery import TABLES, Contents, find, needed_tables, tables_in
from ipcascade.sources.patstat.source import open_patstat
from ipcascade.sources.table import open_table

SYMBOL_TABLES = {table: classification for classification, (table, _) in PATSTAT_SYMBOLS.items()}
# Names that columns of tables often have, by what they hold, the likeliest first.
USUAL_NAMES = {
    "id": "id document_id doc_id publication_number patent_id appln_id application_number patent_number lens_id uid",
    "abstract": "abstract text appln_abstract patent_abstract abstract_text summary",
    "labels": "labels label subclasses ipc ipc_codes ipcs ipcr_labels subclass_labels cpc cpc_codes cpcs classes codes",
    "title": "title invention_title patent_title appln_title",
    "first_claim": "first_claim claim claims",
    "description": "description background",
    "language": "language lang",
    "family": "family family_id docdb_family_id",
    "group": "group group_id text_group",
    "office": "office country appln_auth authority country_code",
    "kind": "kind kind_code",
    "year": "year filing_year appln_filing_year publication_year",
}
ROLES = {"id": Role.ID, "labels": Role.TEXTS, "family": Role.ID, "group": Role.ID, "year": Role.NUMBER}
SEPARATORS = (";", "|", ",")
EXAMINED_ROWS = 2000


def inspect(path: Path) -> str:
    """A description of what is at a path, ending with what to write into the config.

    Raises UserError where there is nothing that is a source.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    with silent():
        if path.is_dir() and tables_in(path):
            lines = list(_patstat(path))
        elif path.is_dir() and any(path.glob(f"{PATENTS}.tsv*")):
            lines = list(_patentsview(path))
        elif not path.is_dir() or any(suffix_of(file) for file in path.iterdir()):
            lines = list(_table(path))
        else:
            raise UserError(
                f"{path} holds nothing that is known: no PATSTAT delivery (tls201_appln_part01.zip), no tables of "
                f"PatentsView ({PATENTS}.tsv.zip), no table (.csv, .tsv, .jsonl, .parquet)"
            )
    return "\n".join(lines)


def _patstat(folder: Path) -> Iterator[str]:
    tables = tables_in(folder)
    editions = {match[0] for path in folder.iterdir() if (match := re.search(r"20\d\d_(Spring|Autumn)", path.name))}
    yield f"{folder}: a PATSTAT Global delivery{''.join(f', {edition}' for edition in sorted(editions))}"
    yield ""
    problems = []
    for table in tables:
        try:
            contents = find(folder, [table])
        except UserError as error:
            problems.append(str(error))
            continue
        yield f"  {table}  {_described(table, contents)}"
    classifications = [SYMBOL_TABLES[table] for table in SYMBOL_TABLES if table in tables]
    for table in needed_tables(titles=True, classification=(classifications or ["ipc"])[0]):
        if table not in tables:
            what = "titles cannot be part of texts" if table == "tls202" else "it is needed"
            problems.append(f"{table} ({TABLES[table]}) is missing: {what}")
    if not classifications:
        problems.append(f"none of {', '.join(SYMBOL_TABLES)} is there: there are no labels")
    if classifications:
        titles = "tls202" in tables
        problems += _first_problems(lambda: open_patstat(folder, titles, classifications[0]), titles)
    problems += _notes(folder, tables)
    yield from _problems(problems)
    keys: dict[str, object] = {"source": {"kind": "patstat_bulk", "path": str(folder)}}
    if classifications and classifications[0] != "ipc":
        keys["corpus"] = _labelled_by(classifications[0])
    yield from _config(keys)
    yield f"  corpus.classification can be {', '.join(classifications) or 'none'}"


def _described(table: str, contents: Contents) -> str:
    parts = contents.parts[table]
    size = sum(path.stat().st_size for path in {part.disk for part in parts}) / 2**20
    rows = contents.row_counts.get(table)
    words = [f"{len(parts)} part{'s' if len(parts) > 1 else ''}", f"{size:,.1f} MiB"]
    if rows is not None:
        words.append(f"{rows:,} rows by RowCount")
    return f"{TABLES.get(table, 'not used'):22} {', '.join(words)}"


def _notes(folder: Path, tables: list[str]) -> tuple[str, ...]:
    try:
        return find(folder, [table for table in tables if table in TABLES]).notes
    except UserError:
        return ()


def _patentsview(folder: Path) -> Iterator[str]:
    yield f"{folder}: PatentsView's tables of US patents"
    yield ""
    for file in sorted(folder.glob("g_*.tsv*")):
        yield f"  {file.name:32} {file.stat().st_size / 2**20:,.1f} MiB"
    present = [c for c, (table, _) in PATENTSVIEW_SYMBOLS.items() if any(folder.glob(f"{table}.tsv*"))]
    claims = any(folder.glob("g_claims_*.tsv*"))
    problems = []
    if not present:
        needed = ", ".join(table for table, _ in PATENTSVIEW_SYMBOLS.values())
        problems.append(f"none of {needed} is there: there are no labels")
    else:
        try:
            find_tables(folder, [], present[0])
        except UserError as error:
            problems.append(str(error))
        else:
            problems += _first_problems(lambda: open_patentsview(folder, [], present[0]), True, applications=False)
    yield from _problems(problems)
    keys: dict[str, object] = {"source": {"kind": "patentsview", "path": str(folder)}}
    if present and present[0] != "ipc":
        keys["corpus"] = _labelled_by(present[0])
    yield from _config(keys)
    texts = "abstract, title" + (", first_claim" if claims else "")
    yield f"  corpus.classification can be {', '.join(present) or 'none'}; corpus.text can have {texts}"


def _table(path: Path) -> Iterator[str]:
    files = table_files(path, "tables of documents")
    table = UserTable.open(path, "tables of documents")
    size = sum(file.stat().st_size for file in files) / 2**20
    yield f"{path}: a table of {len(files)} file{'s' if len(files) > 1 else ''}, {size:,.1f} MiB"
    yield ""
    width = max(map(len, table.columns), default=0)
    yield from (f"  {name:{width}}  {kind}" for name, kind in table.files[0].columns.items())
    found = _usual_columns(table)
    problems = [f"no column is called like {field}s" if field != "id" else "no column is called like ids"
                for field in ("id", "abstract", "labels") if field not in found]  # fmt: skip
    keys: dict[str, object] = {"source": {"kind": "table", "path": str(path), "table": found}}
    if not problems:
        labels = _labels(table, found["labels"])
        if labels is not None:
            separator, shares = labels
            if separator is not None:
                found["separator"] = separator
            name, levels = max(shares, key=lambda key: shares[key])
            if shares[name, levels] == 0:
                problems.append(f"no label in {found['labels']!r} is of a label tree that is shipped; give yours")
                keys["corpus"] = {"label_tree": "TREE.tsv", "levels": ["LEVEL"]}
            else:
                keys["corpus"] = {"classification": name, "levels": list(levels)}
            fitting = ", ".join(
                f"{name}, {levels[-1]} ({100 * share:.0f}%)" for (name, levels), share in shares.items() if share
            )
            yield ""
            where = f"{found['labels']!r} (first {EXAMINED_ROWS:,} rows)"
            yield f"  of the labels in {where} are codes of {fitting or 'no tree'}"
        options = TableOptions(**found)
        problems += _first_problems(lambda: open_table(path, options), False)
    yield from _problems(problems)
    yield from _config(keys)
    served = [key for key, column in TABLE_FILTERS.items() if column in found]
    yield (
        f"  documents can be chosen by corpus.{', corpus.'.join(served)}"
        if served
        else ("  documents cannot be chosen by office, year, kind or language: no column is called like that")
    )


def _usual_columns(table: UserTable) -> dict[str, str]:
    """The columns by what they probably hold, by their names and types; each once."""
    found: dict[str, str] = {}
    for field, names in USUAL_NAMES.items():
        by_name = {name.casefold(): name for name in table.columns if name not in found.values()}
        for name in names.split():
            if name in by_name and _fits(table, by_name[name], ROLES.get(field, Role.TEXT)):
                found[field] = by_name[name]
                break
    return found


def _fits(table: UserTable, column: str, role: Role) -> bool:
    try:
        table.check({column: role})
    except UserError:
        return False
    return True


Shares = dict[tuple[Classification, tuple[str, ...]], float]
"""By classification and levels, from the top down: which share of some labels is of them."""


def _labels(table: UserTable, column: str) -> tuple[str | None, Shares] | None:
    """What separates labels (None in lists), and which share of the first ones is in each tree; None without any."""
    try:
        piece = next(iter(table.pieces({column: Role.TEXTS})))
    except (UserError, StopIteration):
        return None
    values = piece.frame[column].head(EXAMINED_ROWS).drop_nulls()
    if values.dtype == pl.String:
        counts = {separator: int(values.str.count_matches(separator, literal=True).sum()) for separator in SEPARATORS}
        separator = max(SEPARATORS, key=lambda candidate: counts[candidate]) if any(counts.values()) else None
        symbols = values.str.split(separator or SEPARATORS[0]).explode().str.strip_chars()
    else:
        separator, symbols = None, values.explode()
    symbols = symbols.drop_nulls()
    if symbols.is_empty():
        return None
    shares: Shares = {}
    for name, path in TREES.items():
        tree = LabelTree.read(path)
        for depth in range(len(tree.levels), 0, -1):  # the deepest first, which is taken where others fit as well
            levels = tree.levels[:depth]
            shares[name, levels] = _share(symbols, tree.select(levels))
    return separator, shares


def _labelled_by(classification: Classification) -> dict[str, object]:
    """The keys of the config for labels of a classification, on its first two levels."""
    return {"classification": classification, "levels": list(LabelTree.read(TREES[classification]).levels[:2])}


def _share(symbols: pl.Series, tree: LabelTree) -> float:
    known = {symbol: leaf_of(symbol, tree) is not None for symbol in symbols.unique()}
    return sum(known[symbol] for symbol in symbols) / len(symbols)


def _first_problems(open_source: Callable[[], Source], titles: bool, applications: bool = True) -> list[str]:
    """What is wrong with the first rows of each table: one sentence per table at most.

    applications: whether those can be had without reading other tables to their end.
    """
    problems = []
    try:
        source = open_source()
    except UserError as error:
        return [str(error)]
    readers: tuple[Callable[[], Iterator[pl.DataFrame]], ...] = (
        *([lambda: source.applications(0)] if applications else []),
        lambda: source.symbols(0),
        lambda: source.texts("abstract", 0),
        *([lambda: source.texts("title", 0)] if titles else []),
    )
    for read in readers:
        try:
            list(islice(read(), 1))
        except UserError as error:
            problems.append(str(error))
    return problems


def _problems(problems: list[str]) -> Iterator[str]:
    yield ""
    if problems:
        yield "Problems:"
        yield from (f"  - {problem}" for problem in dict.fromkeys(problems))
    else:
        yield "No problem in names, headers and first rows; the rows after these are checked when they are read."


def _config(keys: Mapping[str, object]) -> Iterator[str]:
    yield ""
    yield "To write into the config:"
    yield ""
    text = yaml.safe_dump(dict(keys), sort_keys=False, allow_unicode=True, width=120)
    yield from (f"  {line}" for line in text.splitlines())
    yield ""
