"""The pre-trained encoder: found or fetched once, checked, and laid down as one local folder.

Every later step reads that folder and nothing else, so jobs need no internet and no hub cache. Weights that come as a
PyTorch pickle (SciBERT's do) are read with `weights_only=True` here, and only here, and laid down as safetensors.
"""

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

from .config import EncoderOptions
from .doors import file_checksum
from .errors import UserError

WEIGHTS = "model.safetensors"
PICKLED_WEIGHTS = "pytorch_model.bin"
COMPANIONS = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def lay_down(options: EncoderOptions, target: Path) -> dict[str, Any]:
    """Copy the encoder that `options` name into the new folder `target`; return what it is.

    Raises UserError where it cannot be found or fetched, where a file is missing, or where the checksum differs.
    """
    folder = locate(options)
    weights = _checked_weights(folder, options)
    target.mkdir(parents=True)
    for name in COMPANIONS:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    if weights.name == WEIGHTS:
        shutil.copyfile(weights, target / WEIGHTS)
    else:
        _convert(weights, target / WEIGHTS)
    if not (target / "tokenizer.json").is_file():
        _complete_tokenizer(target)
    return {"name": options.name, "revision": options.revision, "sha256": file_checksum(weights)}


def locate(options: EncoderOptions) -> Path:
    """The folder that holds the encoder, fetched from the hub where `options.name` is a hub id."""
    name = options.name
    if name.startswith("package:"):
        return _package_folder(name.removeprefix("package:"))
    if Path(name).is_dir():
        return Path(name)
    if name.startswith(("/", ".", "~")) or name.count("/") != 1:
        raise UserError(f"encoder.name: the folder {name} does not exist")
    return _fetch(name, options.revision)


def folder_checksum(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        digest.update(f"{path.name} {file_checksum(path)}\n".encode())
    return digest.hexdigest()


def _package_folder(place: str) -> Path:
    package, _, inside = place.partition("/")
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise UserError(f"encoder.name: there is no Python package {package!r}; `make install` installs the demo's")
    folder = Path(found.submodule_search_locations[0], inside)
    if not folder.is_dir():
        raise UserError(f"encoder.name: the Python package {package!r} has no folder {inside!r}")
    return folder


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if revision is None:
        raise UserError(
            f"encoder.revision: a hub id ({name}) needs the commit to fetch, so that every run gets the same"
        )
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*COMPANIONS, WEIGHTS]))
        if not (folder / WEIGHTS).exists():
            snapshot_download(name, revision=revision, allow_patterns=[PICKLED_WEIGHTS])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"encoder.name: {name} at revision {revision} could not be fetched from the hub ({type(error).__name__}); "
            "fetch it where there is internet, or give a local folder"
        ) from error
    return folder


def _checked_weights(folder: Path, options: EncoderOptions) -> Path:
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"encoder.name: {folder} is not an encoder folder: it has no config.json") from None
    except ValueError:
        raise UserError(f"encoder.name: {folder}/config.json is not valid JSON") from None
    if "model_type" not in described:
        raise UserError(f"encoder.name: {folder}/config.json names no model_type, so it is no transformers encoder")
    weights = next((folder / name for name in (WEIGHTS, PICKLED_WEIGHTS) if (folder / name).is_file()), None)
    if weights is None:
        raise UserError(f"encoder.name: {folder} has no weights ({WEIGHTS} or {PICKLED_WEIGHTS})")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt", "vocab.json")):
        raise UserError(f"encoder.name: {folder} has no tokenizer (tokenizer.json, vocab.txt or vocab.json)")
    if options.sha256 is not None and file_checksum(weights) != options.sha256:
        raise UserError(
            f"encoder.sha256: {weights} has the SHA-256 {file_checksum(weights)}, not {options.sha256}; "
            "the download is broken or these are other weights"
        )
    return weights


def _convert(pickled: Path, target: Path) -> None:
    import torch

    from .tensors import save_tensors

    try:
        state = torch.load(pickled, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds here; all mean the same to a user
        raise UserError(f"encoder.name: the weights {pickled} cannot be read safely: {error}") from error
    # Weights that share storage (tied embeddings) are laid down as copies, which safetensors requires.
    save_tensors(target, {name: tensor.clone() for name, tensor in state.items()})


def _complete_tokenizer(folder: Path) -> None:
    """Lay down a tokenizer.json where the encoder came with a vocabulary alone, as SciBERT does."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"encoder.name: no fast tokenizer can be made from the vocabulary: {reason}") from error
