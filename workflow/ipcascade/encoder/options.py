"""Options of the encoder and the token cache."""

from typing import Annotated

from pydantic import Field

from ipcascade.core.options import WHOLE, Section, Text

COMMIT = r"[0-9a-f]{40}"
"""The full hash of a commit, as `revision` needs it for a hub id."""


class EncoderOptions(Section):
    """The pre-trained encoder."""

    name: Text = "allenai/scibert_scivocab_uncased"
    """A hub id, a local folder, or package:NAME/FOLDER for a folder inside an installed Python package."""
    revision: Text | None = "24f92d32b1bfb0bcaf9ab193ff3ad01e87732fc1"
    """Full commit hash (40 digits) of the hub repository; required for a hub id, unused otherwise."""
    sha256: Text | None = None
    """SHA-256 of the weights file, checked before use where it is given."""


class TokenOptions(Section):
    """The token cache."""

    max_length: Annotated[int, Field(ge=8, le=1_000_000), WHOLE] = 512
    """Longest document in tokens, special tokens included; what is beyond is cut off and counted."""
