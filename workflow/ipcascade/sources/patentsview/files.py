"""The files of PatentsView's bulk tables, as they are published: a zip with one TSV per table, or the TSV itself.

Only names are looked at, so that the workflow can ask when it starts. What is known of them is in docs/sources.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ipcascade.core.errors import UserError
from ipcascade.sources.kinds import PATENTSVIEW_SYMBOLS

PATENTS, FILINGS, ABSTRACTS, RELATED = "g_patent", "g_application", "g_patent_abstract", "g_us_rel_doc"
CLAIMS = "g_claims"
"""Claims have a file per year of grant: g_claims_2024.tsv.zip."""
ENDINGS = (".tsv.zip", ".tsv")


@dataclass(frozen=True)
class Tables:
    """The files of each table that is needed: one each, of claims one per year."""

    folder: Path
    files: dict[str, list[Path]]

    @property
    def all_files(self) -> list[Path]:
        """All of them, sorted."""
        return sorted(file for files in self.files.values() for file in files)


def find_tables(folder: Path, fields: Sequence[str], classification: str) -> Tables:
    """The files that a corpus is made of, with some fields of the text and labels of a classification.

    Raises UserError where the folder or a file is not there, or a table is there twice.
    """
    if not folder.is_dir():
        raise UserError(f"source.path {str(folder)!r} is not a folder; give the folder that holds PatentsView's tables")
    if classification not in PATENTSVIEW_SYMBOLS:
        raise UserError(
            f"corpus.classification: PatentsView has no labels of {classification!r}; it has "
            f"{', '.join(PATENTSVIEW_SYMBOLS)}"
        )
    needed = [PATENTS, FILINGS, ABSTRACTS, PATENTSVIEW_SYMBOLS[classification][0], RELATED]
    files = {table: [_only(folder, table)] for table in needed}
    if "first_claim" in fields:
        files[CLAIMS] = _claims(folder)
    return Tables(folder, files)


def _only(folder: Path, table: str) -> Path:
    found = [folder / f"{table}{ending}" for ending in ENDINGS if (folder / f"{table}{ending}").is_file()]
    if not found:
        raise UserError(f"{folder} has no file {table}{ENDINGS[0]}; fetch it from where the other tables are (README)")
    if len(found) > 1:
        raise UserError(f"{folder} has the table {table} twice, as {found[0].name} and {found[1].name}; keep one")
    return found[0]


def _claims(folder: Path) -> list[Path]:
    pattern = re.compile(rf"({CLAIMS}_[0-9]{{4}})({'|'.join(map(re.escape, ENDINGS))})")
    names = sorted(match[1] for path in folder.iterdir() if (match := pattern.fullmatch(path.name)))
    if not names:
        raise UserError(f"{folder} has no file like {CLAIMS}_2024{ENDINGS[0]}, which first_claim in corpus.text needs")
    return [_only(folder, name) for name in dict.fromkeys(names)]
