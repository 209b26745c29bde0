"""The classifications whose label trees the package ships."""

from pathlib import Path
from typing import Literal

from ipcascade.core.label_tree import IPC

Classification = Literal["ipc", "cpc", "wipo35", "nace"]
TREES: dict[Classification, Path] = {
    "ipc": IPC,
    "cpc": IPC.with_name("cpc.tsv"),
    "wipo35": IPC.with_name("wipo35.tsv"),
    "nace": IPC.with_name("nace.tsv"),
}
SYMBOL_NAMES: dict[Classification, str] = {
    "ipc": "IPC symbol",
    "cpc": "CPC symbol",
    "wipo35": "field of technology",
    "nace": "NACE code",
}
"""What an application has of each, in words."""
