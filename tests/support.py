"""What several test files share beside fixtures: places, and a small corpus whose labels follow from its words."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ipcascade.taxonomy import IPC_SCHEME

REPOSITORY = Path(__file__).parents[1]
WORDS = "a an the of for and with device method acid engine antibody circuit signal polymer valve seed fabric".split()


# Columns of the history that tell of speed and machine; all others are the same wherever a training runs.
OF_THE_MACHINE = (
    "seconds", "documents_per_second", "tokens_per_second", "tflops_per_device", "model_flop_utilisation",
    "data_wait_share", "peak_memory_mib",
)  # fmt: skip


@dataclass(frozen=True)
class Files:
    """The inputs of the training step."""

    corpus: Path
    splits: Path
    tokens: Path
    encoder: Path

    def arguments(self) -> list[str]:
        return [
            "--taxonomy", str(IPC_SCHEME), "--corpus", str(self.corpus), "--splits", str(self.splits),
            "--tokens", str(self.tokens),
        ]  # fmt: skip


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, also of one that is being replaced: safetensors opens a file twice, this does once."""
    with checkpoint.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["ipcascade"])["step"]


def corpus_frame(documents: int) -> pl.DataFrame:
    """A corpus whose labels follow from its words."""
    random = np.random.default_rng(1)
    topics = {"A61": "antibody", "C07": "acid", "F02": "engine", "H01": "circuit", "H04": "signal"}
    rows = []
    for number in range(documents):
        classes = sorted(random.choice(list(topics), size=random.integers(1, 3), replace=False))
        fillers = random.choice(WORDS[:9], size=random.integers(8, 40))
        words = [*(topics[code] for code in classes), *fillers]
        rows.append(
            {
                "document_id": str(1000 + number),
                "family_id": str(number),
                "group_id": str(number),
                "words": len(words),
                "text": " ".join(words),
                "sections": sorted({code[0] for code in classes}),
                "classes": [str(code) for code in classes],
            }
        )
    return pl.DataFrame(rows)
