"""ipcascade: from a patent database to a trained, measured, reproducible classifier of a label tree."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipcascade.inference.options import ScoringOptions
    from ipcascade.inference.prediction import TextClassifier

__version__ = "0.2.0"


def load(folder: str | Path, options: "ScoringOptions | None" = None) -> "TextClassifier":
    """A released model, in memory: `load(folder).predict(texts).labels`.

    folder: as the target results/release/manifest.json makes it, or hub:OWNER/NAME@COMMIT; options: how texts are
    scored (batching, precision, accelerator). Raises ipcascade.core.errors.UserError where a file is missing or is not
    the one that was released.
    """
    # Here, since every command imports this module, and few of them need torch.
    from ipcascade.inference.model_files import ModelFiles
    from ipcascade.inference.options import ScoringOptions
    from ipcascade.inference.prediction import TextClassifier
    from ipcascade.inference.released import released_folder

    return TextClassifier.read(ModelFiles.of_release(released_folder(str(folder))), options or ScoringOptions())
