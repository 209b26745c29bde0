"""What a file was made of: package version, options, and a checksum per input; in a file of its own beside it.

It holds no time, host or path. Nothing is decided by it: what belongs together is checked on the content itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipcascade import __version__
from ipcascade.core.files import file_checksum, read_json, write_json
from ipcascade.core.schemas import Provenance


def write_provenance(
    path: Path, options: Mapping[str, Any], inputs: Mapping[str, Path], checksums: Mapping[str, str] | None = None
) -> None:
    """Write the provenance of the file (or folder) `path`.

    options: the sections of the config that went in; inputs: from a role ("corpus") to the file that filled it;
    checksums: those of inputs that are not one file, by role.
    """
    content = {
        "ipcascade": __version__,
        "options": dict(options),
        "inputs": {role: file_checksum(file) for role, file in inputs.items()} | dict(checksums or {}),
    }
    write_json(provenance_file(path), content)


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance of a file or folder. Raises UserError where there is none."""
    return read_json(provenance_file(path), Provenance)


def provenance_file(path: Path) -> Path:
    """Where the provenance of a file or folder is."""
    return path / "provenance.json" if path.is_dir() else path.with_name(f"{path.stem}.provenance.json")
