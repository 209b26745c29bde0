"""The files of a table of a user, by their names: nothing is read, so that the workflow can ask when it starts."""

from pathlib import Path

from ipcascade.core.errors import UserError

COMPRESSED = ".gz"
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")
"""Endings of the names of tables, which tell their format."""


def table_files(path: Path, what: str, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """The files of a table: the path itself, or those of its kind in the folder, sorted; looks at names only.

    Raises UserError where there are none, or of several kinds.
    """
    allowed = suffixes or SUFFIXES
    listed = ", ".join(allowed)
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if not path.is_dir():
        if suffix_of(path) not in allowed:
            raise UserError(f"{path}: {what} come as {listed}, or as a folder of such files")
        return [path]
    files = sorted(file for file in path.iterdir() if suffix_of(file) in allowed and file.is_file())
    files = [file for file in files if not file.name.startswith((".", "_"))]
    if not files:
        raise UserError(f"{path} could not be read: it has no file that ends in {listed}")
    kinds = sorted({suffix_of(file).removesuffix(COMPRESSED) for file in files})
    if len(kinds) > 1:
        raise UserError(f"{path} has files of several kinds ({', '.join(kinds)}); keep those of the table alone there")
    return files


def suffix_of(path: Path) -> str:
    """The ending that tells the format, `.gz` included; empty where it is none of ours."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")
