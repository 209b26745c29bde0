"""PatentsView's bulk tables as a source of documents: US patents, each known by its number.

Columns are found by the names in the header, since their order has changed between releases. The TSV is read strictly
(`core/strict_csv.py`), in place.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import polars as pl

from ipcascade.core.archives import READ_ERRORS, damage, errors_as_sentences, opened
from ipcascade.core.classifications import SYMBOL_NAMES, Classification
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum
from ipcascade.core.strict_csv import NOT_UTF8, CsvBlock, CsvFile, shown
from ipcascade.sources.base import APPLICATIONS, SYMBOLS, OwnFilter, PartRead, Source, SymbolFact
from ipcascade.sources.kinds import PATENTSVIEW_FILTERS, PATENTSVIEW_SYMBOLS
from ipcascade.sources.patentsview.families import families
from ipcascade.sources.patentsview.files import ABSTRACTS, CLAIMS, FILINGS, PATENTS, RELATED, Tables, find_tables
from ipcascade.sources.patentsview.ids import id_of, numbers_of

REMEDY = "fetch the file again"
FIRST_YEAR, LAST_YEAR = 1900, 2100
TEXTS = {"abstract": (ABSTRACTS, "patent_abstract"), "title": (PATENTS, "patent_title")}


def open_patentsview(
    folder: Path, fields: Sequence[str], classification: Classification, malformed_share: float = 0.0
) -> Source:
    """The tables in a folder, with some fields of the text and labels of a classification.

    malformed_share: as of `open_patstat`. Raises UserError as `find_tables` does.
    """
    return _PatentsView(find_tables(folder, fields, classification), classification, malformed_share)


class _PatentsView(Source):
    id_name = "patent_id"
    start = ("g_patent", "patents")
    filters = frozenset(PATENTSVIEW_FILTERS)
    own_filters = (
        OwnFilter("utility patent", (pl.col("type") == "utility").fill_null(False)),
        OwnFilter("not withdrawn", pl.col("withdrawn").is_null() | pl.col("withdrawn").is_in(["", "0"])),
    )

    def __init__(self, tables: Tables, classification: Classification, malformed_share: float) -> None:
        super().__init__(malformed_share)
        self.place = str(tables.folder)
        self.symbol_name = SYMBOL_NAMES[classification]
        self._tables = tables
        self._symbols, self._columns_of_symbols = PATENTSVIEW_SYMBOLS[classification]

    def parts(self, what: str) -> list[int]:
        return [file.stat().st_size for file in self._tables.files[self.table_of(what)]]

    def applications(self, part: int) -> Iterator[pl.DataFrame]:
        filings = self._filings()
        related = self._related(filings)
        for batch in self._read(PATENTS, {"patent_type": "type", "wipo_kind": "kind", "withdrawn": "withdrawn"}):
            yield (
                batch.join(filings.select("application", "date"), on="application", how="left", maintain_order="left")
                .join(related, on="application", how="left", maintain_order="left")
                .select(
                    "application",
                    "kind",
                    "date",
                    "family",
                    "type",
                    "withdrawn",
                    office=pl.lit("US"),
                    right=pl.lit("PI"),
                    year=pl.col("date").dt.year(),
                    link=pl.lit(None, pl.Int64),
                )
            )

    def symbols(self, part: int, also: Sequence[SymbolFact] = ()) -> Iterator[pl.DataFrame]:
        columns = {name: name for name in self._columns_of_symbols} | (
            {"classification_value": "value"} if "value" in also else {}
        )
        for batch in self._read(self._symbols, columns):
            first, *others = [pl.col(name).fill_null("") for name in self._columns_of_symbols]
            # The class of an IPC symbol has two digits, written with one in some years.
            parts = [part.str.zfill(2) if name == "ipc_class" else part for name, part in
                     zip(self._columns_of_symbols[1:], others, strict=True)]  # fmt: skip
            yield batch.select("application", *also, symbol=pl.concat_str([first, *parts]))

    def texts(self, field: str, part: int) -> Iterator[pl.DataFrame]:
        if field == "first_claim":
            yield from self._first_claims(self._tables.files[CLAIMS][part])
            return
        table, column = TEXTS[field]
        for batch in self._read(table, {column: "text"}):
            yield batch.select("application", "text", language=pl.lit(None, pl.String))

    def table_of(self, what: str) -> str:
        own = {APPLICATIONS: PATENTS, SYMBOLS: self._symbols, "first_claim": CLAIMS}
        return own[what] if what in own else TEXTS[what][0]

    def file_of(self, read: PartRead) -> CsvFile:
        return _tsv(next(file for file in self._tables.all_files if _table_name(file) == read.table))

    def document_ids(self, batch: pl.DataFrame) -> pl.Series:
        return pl.Series([id_of(number) for number in batch["application"]], dtype=pl.String)

    def family_names(self, families: np.ndarray) -> Iterator[pl.DataFrame]:
        """The smallest patent of a family; `patent-` and the patent where it is alone."""
        names = [id_of(family) if family > 0 else f"patent-{id_of(-family)}" for family in families.tolist()]
        yield pl.DataFrame({"family": families, "name": pl.Series(names, dtype=pl.String)})

    def refuse_double(self, table: str, application: int) -> NoReturn:
        raise UserError(f"{self.place}: {table} has the patent {id_of(application)} more than once; {REMEDY}")

    def checksum(self) -> str:
        digest = hashlib.sha256()
        for file in self._tables.all_files:
            digest.update(f"{file.name} {file_checksum(file)}\n".encode())
        return digest.hexdigest()

    def _filings(self) -> pl.DataFrame:
        """application, number of its filing (text) and date (null where it is not known) of each patent."""
        columns = {"application_id": "number", "filing_date": "date"}
        filings = pl.concat(list(self._read(FILINGS, columns)))
        date = pl.col("date").str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        dated = filings.with_columns(
            date=pl.when(date.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).then(date), given=pl.col("date")
        )
        unknown = dated.filter(pl.col("date").is_null() & pl.col("given").is_not_null())
        if len(unknown):
            id_, given = id_of(unknown["application"][0]), shown(unknown["given"][0])
            self.notes.append(f"{len(unknown):,} filing dates are none and count as unknown ({given} of {id_} first)")
        doubles = dated.filter(pl.col("application").is_duplicated())
        if len(doubles):
            self.refuse_double(FILINGS, doubles["application"][0])
        return dated.drop("given")

    def _related(self, filings: pl.DataFrame) -> pl.DataFrame:
        """application and family of the patents that have relatives."""
        columns = {"related_doc_number": "number", "related_doc_type": "type", "related_doc_kind": "kind"}
        related = pl.concat(batch.drop_nulls("number") for batch in self._read(RELATED, columns))
        found = families(
            filings.select(patent="application", application="number"), related.rename({"application": "patent"})
        )
        return found.rename({"patent": "application"})

    def _first_claims(self, file: Path) -> Iterator[pl.DataFrame]:
        """The claims that come first. Of a patent all claims are in one file, in any order."""
        order = {"claim_sequence": "order"}
        firsts = pl.concat([batch.drop_nulls() for batch in self._read_file(file, order)]).with_columns(
            pl.col("order").cast(pl.Int64, strict=False)
        )
        firsts = firsts.group_by("application").agg(pl.col("order").min())
        self.reads.pop()  # the same file follows
        for batch in self._read_file(file, order | {"claim_text": "text"}):
            batch = batch.with_columns(pl.col("order").cast(pl.Int64, strict=False))
            yield batch.join(firsts, on=["application", "order"], how="semi", maintain_order="left").select(
                "application", "text", language=pl.lit(None, pl.String)
            )

    def _read(self, table: str, columns: dict[str, str]) -> Iterator[pl.DataFrame]:
        """application and some columns, under their new names, of a table of one file."""
        yield from self._read_file(self._tables.files[table][0], columns)

    def _read_file(self, path: Path, columns: dict[str, str]) -> Iterator[pl.DataFrame]:
        file, table = _tsv(path), _table_name(path)
        rows = 0
        for block in file.blocks(["patent_id", *columns]):
            frame, problems = _typed(block, {"patent_id": "application", **columns})
            rows += block.rows
            self.advance(block.rows)
            if problems:
                self.quarantine.add(table, file, [(block.first + row, problems[row]) for row in sorted(problems)])
                frame = frame[np.setdiff1d(np.arange(block.rows), list(problems))]
            yield frame
        self.reads.append(PartRead(table, 0, rows, malformed=self.quarantine.of_file(table, file)))


def _table_name(file: Path) -> str:
    """g_patent of g_patent.tsv.zip"""
    return file.name.partition(".")[0]


def _typed(block: CsvBlock, names: dict[str, str]) -> tuple[pl.DataFrame, dict[int, str]]:
    """Columns of a block under new names, patents as numbers; and what is wrong with some rows of it, from 0."""
    columns, problems = [], dict[int, str]()
    for old, new in names.items():
        texts, not_text = block.text_or_none(old)
        for row in not_text:
            problems.setdefault(row, NOT_UTF8.format(old))
        columns.append(pl.Series(new, texts, dtype=pl.String).str.strip_chars())
    frame = pl.DataFrame(columns)
    frame = frame.with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))
    ids = frame["application"]
    numbers = numbers_of(ids)
    for row in numbers.is_null().arg_true():
        problems.setdefault(row, f"patent_id is {shown(ids[row] or '')}, not a number of a US patent")
    return frame.with_columns(numbers), problems


def _tsv(file: Path) -> CsvFile:
    return CsvFile(
        str(file), lambda: _content(file), REMEDY, any_case=True, read_errors=READ_ERRORS, damage=damage, delimiter="\t"
    )


@contextmanager
def _content(file: Path) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        with errors_as_sentences(file):
            content, _ = stack.enter_context(opened(file, [], lambda archive: _only_table(file, archive)))
        yield content


def _only_table(file: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if member.filename.lower().endswith(".tsv")]
    if len(members) != 1:
        raise UserError(f"{file} holds {len(members)} .tsv files, not one; {REMEDY}")
    return members[0]
