"""What several test files share beside fixtures: places, and a small corpus whose labels follow from its words."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from ipcascade.core.files import write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.inference.texts import TextTable

REPOSITORY = Path(__file__).parents[1]
WORDS = "a an the of for and with device method acid engine antibody circuit signal polymer valve seed fabric".split()
# Seconds to wait for what another process does, on a busy machine too; a test as a whole has `timeout` of pytest.
PATIENCE = 600

# Columns of the history that depend on speed and machine; all others are the same wherever a training runs.
OF_THE_MACHINE = (
    "seconds", "documents_per_second", "tokens_per_second", "tflops_per_device", "model_flop_utilisation",
    "data_wait_share", "peak_memory_mib",
)  # fmt: skip


@dataclass(frozen=True)
class Files:
    """The inputs of the command `train`."""

    corpus: Path
    splits: Path
    tokens: Path
    encoder: Path

    def documents(self) -> list[str]:
        """The arguments of every command that reads labelled documents."""
        return ["--corpus", str(self.corpus), "--splits", str(self.splits)]

    def arguments(self) -> list[str]:
        return [
            *self.documents(), "--tokens", str(self.tokens),
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
                "section": sorted({code[0] for code in classes}),
                "class": [str(code) for code in classes],
                "subclass": [f"{code}B" for code in classes],
            }
        )
    return pl.DataFrame(rows)


def write_corpus(path: Path, corpus: pl.DataFrame, tree: LabelTree) -> None:
    """A corpus file as the command `corpus` writes it."""
    write_parquet(path, corpus, {"label_tree": tree.to_json(), "text": "abstract"})


def config_file(folder: Path, **sections: object) -> Path:
    """A config file, in a folder, with some sections (or keys) of the config."""
    path = folder / f"config-{len(list(folder.glob('config-*.yaml')))}.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


def classifier(encoder: Path, tree: LabelTree, *, batching: str = "packed", **options: object):
    """A classifier with new heads, whose biases are 0, for documents of at most 40 tokens."""
    from ipcascade.training.initialisation import new_classifier
    from ipcascade.training.options import TrainingOptions

    given = {"dropout": 0.0, "head_bias": 0.0, **options}
    nothing = np.zeros((1, len(tree.labels)), dtype=bool)
    return new_classifier(encoder, tree, nothing, TrainingOptions(batching=batching, **given), 1, 40)


def read_texts(path: Path) -> pl.DataFrame:
    """Ids and texts of a whole table of new texts, checked as `predict` checks it."""
    table = TextTable.open(path)
    rows = table.check()
    found = pl.concat(list(table.blocks())).select("document_id", "text")
    assert len(found) == rows
    return found
