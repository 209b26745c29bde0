"""Where commands that read a source put tables that do not fit in memory."""

import hashlib
from pathlib import Path

from ipcascade.core.paths import expanded
from ipcascade.sources.options import SourceOptions


def scratch_folder(options: SourceOptions, output: Path) -> Path:
    """A folder of this command alone: in source.scratch, or beside the output where that is null.

    A run that was killed left it, and the next one deletes it.
    """
    if options.scratch is None:
        return output.with_name(f".{output.name}.scratch")
    # Other runs may use the folder, too: those of other output files have other names there.
    name = hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16]
    return expanded("source.scratch", options.scratch) / f"ipcascade-{name}"
