"""The files that label texts: one by one as the workflow makes them, or together in the folder of a released model.

Each knows what it was fitted with: thresholds their combiner, a combiner the weights of its sources. So files of
different models are never used together, whichever way they are given.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ipcascade import __version__
from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum, folder_written_whole, read_json, write_json
from ipcascade.core.names import (
    COMBINER,
    INDEXED_DOCUMENTS,
    LABELS,
    LINEAR_WEIGHTS,
    MANIFEST,
    MODEL_CARD,
    MODEL_CONFIG,
    THRESHOLDS,
    VECTORS,
    VOCABULARY,
    WEIGHTS,
)
from ipcascade.core.schemas import FittedCombiner, FittedThresholds, ReleaseManifest
from ipcascade.evidence.options import LINEAR, NEIGHBOURS, NETWORK

EVIDENCE = {LINEAR: (LINEAR_WEIGHTS, VOCABULARY), NEIGHBOURS: (VECTORS, INDEXED_DOCUMENTS)}
"""The files of each source beside the network, the one that combiners know first. A release has a folder of each."""
ONE_MODEL = "take all files of one model"


@dataclass(frozen=True)
class ModelFiles:
    """What texts are labelled with: folders of the exported model and, where they are sources of evidence, of the
    linear model and the neighbours; combiner.json; thresholds.json."""

    model: Path
    combiner: Path
    thresholds: Path
    linear: Path | None = None
    neighbours: Path | None = None

    @classmethod
    def of_release(cls, folder: Path) -> "ModelFiles":
        """The files of a released model. Raises UserError where one is missing or is not the one that was released."""
        if not folder.is_dir():
            raise UserError(f"{folder} is not the folder of a released model: there is no such folder")
        if not (folder / MANIFEST).is_file():
            raise UserError(
                f"{folder} is not the folder of a released model: it has no {MANIFEST}; the target "
                f"results/release/{MANIFEST} makes one"
            )
        for name, checksum in read_json(folder / MANIFEST, ReleaseManifest)["files"].items():
            path = folder / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise UserError(f"{folder / MANIFEST} names {name!r}, which is not inside the folder")
            if not path.is_file():
                raise UserError(f"{path} is missing from the released model; take the whole folder")
            if file_checksum(path) != checksum:
                raise UserError(
                    f"{path} is not the file that was released (its SHA-256 is not the one in {MANIFEST}); take the "
                    "folder as it was released"
                )
        given = {source: folder / source for source in EVIDENCE if (folder / source).is_dir()}
        return cls(folder, folder / COMBINER, folder / THRESHOLDS, given.get(LINEAR), given.get(NEIGHBOURS))

    def evidence(self) -> dict[str, Path]:
        """The folders of the sources beside the network that are given, by source."""
        folders = {LINEAR: self.linear, NEIGHBOURS: self.neighbours}
        return {source: folder for source, folder in folders.items() if folder}

    def deciding(self) -> dict[str, Path]:
        """The files that decide predictions, by role, for the provenance and for what belongs to them."""
        files = {
            "weights": self.model / WEIGHTS,
            "labels": self.model / LABELS,
            "combiner": self.combiner,
            "thresholds": self.thresholds,
        }
        for source, folder in self.evidence().items():
            files[source] = folder / EVIDENCE[source][0]
        return files

    def check(self) -> None:
        """Raise UserError where a file is missing that others need, or where some were made with others than these."""
        combiner = read_json(self.combiner, FittedCombiner)
        if read_json(self.thresholds, FittedThresholds).get("combiner") != file_checksum(self.combiner):
            raise UserError(
                f"{self.thresholds} and {self.combiner} do not belong together: the thresholds were fitted on other "
                f"probabilities; {ONE_MODEL}"
            )
        folders = {NETWORK: self.model, **self.evidence()}
        for source in combiner["sources"]:
            if source not in folders:
                raise UserError(
                    f"{self.combiner} combines {', '.join(combiner['sources'])}: give the folder of {source}, too"
                )
        for source, checksum in combiner["files"].items():
            path = folders[source] / (WEIGHTS if source == NETWORK else EVIDENCE[source][0])
            if not path.is_file():
                raise UserError(f"{path} does not exist")
            if file_checksum(path) != checksum:
                raise UserError(
                    f"{self.combiner} and {path} do not belong together: it was fitted with another {source}; "
                    f"{ONE_MODEL}"
                )


def write_release(files: ModelFiles, folder: Path, described: Mapping[str, str]) -> None:
    """Write the folder of a released model whole: all that prediction needs, and a manifest of it.

    described: further files that tell of the model, by name, as text. The manifest has their checksums, too, but for
    the card, which people edit. Raises UserError as `ModelFiles.check` does.
    """
    files.check()
    sources = read_json(files.combiner, FittedCombiner)["sources"]
    with folder_written_whole(folder) as part:
        copies = {path.name: path for path in sorted(files.model.iterdir()) if _is_needed(path)}
        copies |= {COMBINER: files.combiner, THRESHOLDS: files.thresholds}
        for source, its_folder in files.evidence().items():
            if source in sources:
                copies |= {f"{source}/{name}": its_folder / name for name in EVIDENCE[source]}
        for name, path in copies.items():
            (part / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, part / name)
        for name, text in described.items():
            (part / name).write_text(text, encoding="utf-8")
        checksums = {name: file_checksum(part / name) for name in (*copies, *described) if name != MODEL_CARD}
        write_json(part / MANIFEST, {"ipcascade": __version__, "files": checksums})


def _is_needed(path: Path) -> bool:
    """Whether a file of an exported model decides predictions: weights, labels, and those of config and tokenizer."""
    is_ours = path.name in (WEIGHTS, MODEL_CONFIG, LABELS)
    return is_ours or (
        path.suffix in (".json", ".txt") and path.name != MODEL_CARD and not path.name.endswith("provenance.json")
    )
