"""The pre-trained encoder: found or fetched once, checked, and copied into one local folder.

Every later command reads that folder and nothing else, so jobs need no internet and no hub cache. Weights that come as
a PyTorch pickle (SciBERT's do) are read with `weights_only=True` here, and only here, and written as safetensors.
"""

import importlib.util
import json
import logging
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from ipcascade.core.errors import UserError
from ipcascade.core.files import file_checksum
from ipcascade.core.names import MODEL_CONFIG, TOKENIZER, WEIGHTS
from ipcascade.core.paths import expanded
from ipcascade.encoder.hub import fetch
from ipcascade.encoder.options import EncoderOptions

log = logging.getLogger(__name__)
PICKLED_WEIGHTS = "pytorch_model.bin"
# Each of these sets of files makes a tokenizer.
TOKENIZERS = ((TOKENIZER,), ("vocab.txt",), ("vocab.json", "merges.txt"))
COMPANIONS = (
    MODEL_CONFIG,
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


class EncoderSource(NamedTuple):
    """An encoder that was found and checked.

    name: as given; of a local folder its last part, since equal encoders in two places are the same. revision: as
    given, None for a local folder. weights: the weights file in its folder; sha256: that file's SHA-256.
    """

    name: str
    revision: str | None
    weights: Path
    sha256: str


def find_encoder(options: EncoderOptions) -> EncoderSource:
    """Find the encoder, fetched from the hub where `options.name` is a hub id, and check it.

    Raises UserError where it cannot be found or fetched, where a file is missing or broken, or where the checksum of
    the weights differs from `options.sha256`.
    """
    folder = locate(options)
    weights, checksum = _checked_weights(folder, options)
    if folder == _local(options.name):
        return EncoderSource(folder.resolve().name, None, weights, checksum)
    return EncoderSource(options.name, options.revision, weights, checksum)


def prepare_encoder(source: EncoderSource, target: Path) -> dict[str, Any]:
    """Copy an encoder into the empty folder `target`, with weights as safetensors and a tokenizer.json.

    Returns the facts of encoder.json: `name`, `revision` and `sha256` of the source; `weights`, the name of its weights
    file; and `files`, the SHA-256 of each file in `target`.
    Raises UserError where weights or tokenizer cannot be read.
    """
    folder = source.weights.parent
    for name in COMPANIONS:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    if source.weights.name == WEIGHTS:
        shutil.copyfile(source.weights, target / WEIGHTS)
    else:
        _convert(source.weights, target / WEIGHTS)
    if not (target / TOKENIZER).is_file():
        _complete_tokenizer(target)
    _check_tokenizer(target / TOKENIZER, folder)
    return {
        "name": source.name,
        "revision": source.revision,
        "weights": source.weights.name,
        "sha256": source.sha256,
        "files": {path.name: file_checksum(path) for path in sorted(target.iterdir())},
    }


def locate(options: EncoderOptions) -> Path:
    """The folder that holds the encoder, fetched from the hub where `options.name` is a hub id."""
    name = options.name
    if name.startswith("package:"):
        return _package_folder(name.removeprefix("package:"))
    if _local(name).is_dir():
        return _local(name)
    if name.startswith(("/", ".", "~")) or name.count("/") != 1:
        raise UserError(f"encoder.name: the folder {name} does not exist, and a hub id is OWNER/NAME")
    return fetch(name, options.revision, _needed)


def _local(name: str) -> Path:
    return expanded("encoder.name", name)


def _package_folder(place: str) -> Path:
    package, _, inside = place.partition("/")
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise UserError(f"encoder.name: there is no Python package {package!r}; `make install` installs the demo's")
    folder = Path(found.submodule_search_locations[0], inside)
    if not folder.is_dir():
        raise UserError(f"encoder.name: the Python package {package!r} has no folder {inside!r}")
    return folder


def _needed(names: Collection[str]) -> list[str]:
    """Which of an encoder's files to take, the weights last: safetensors where there are any, no other framework's.

    Raises LookupError saying what is missing.
    """
    if MODEL_CONFIG not in names:
        raise LookupError(f"no {MODEL_CONFIG}")
    if not any(set(files) <= set(names) for files in TOKENIZERS):
        raise LookupError(f"no tokenizer ({', '.join(' and '.join(files) for files in TOKENIZERS)})")
    weights = next((name for name in (WEIGHTS, PICKLED_WEIGHTS) if name in names), None)
    if weights is None:
        raise LookupError(f"no weights ({WEIGHTS} or {PICKLED_WEIGHTS})")
    return [*(name for name in COMPANIONS if name in names), weights]


def _checked_weights(folder: Path, options: EncoderOptions) -> tuple[Path, str]:
    """The weights file of an encoder folder, and its SHA-256."""
    try:
        weights = folder / _needed([path.name for path in folder.iterdir() if path.is_file()])[-1]
        described = json.loads((folder / MODEL_CONFIG).read_text(encoding="utf-8"))
    except LookupError as lack:
        raise UserError(f"encoder.name: {folder} is not an encoder folder: it has {lack}") from None
    except ValueError:
        raise UserError(f"encoder.name: {folder}/{MODEL_CONFIG} is not valid JSON") from None
    if not isinstance(described, dict) or "model_type" not in described:
        raise UserError(f"encoder.name: {folder}/{MODEL_CONFIG} has no model_type: it is not a transformers encoder")
    checksum = file_checksum(weights)
    if options.sha256 is not None and checksum != options.sha256:
        raise UserError(
            f"encoder.sha256: {weights} has the SHA-256 {checksum}, not {options.sha256}; "
            "the download is broken or these are other weights"
        )
    if weights.name == WEIGHTS:
        _check_whole(weights)
    return weights, checksum


def _check_whole(weights: Path) -> None:
    """Raise UserError where a safetensors file is cut off, or a Git LFS pointer: better here than in a GPU job."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, "numpy"):
            pass
    except SafetensorError as error:
        raise UserError(f"encoder.name: {weights} is not a complete safetensors file: {error}") from error


def _check_tokenizer(path: Path, folder: Path) -> None:
    """Raise UserError where a tokenizer.json, which came from `folder`, cannot be read."""
    from tokenizers import Tokenizer

    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # its only kind
        raise UserError(f"encoder.name: the {TOKENIZER} of {folder} cannot be read: {error}") from error


def _convert(pickled: Path, target: Path) -> None:
    import torch

    from ipcascade.core.tensors import save_tensors

    try:
        state = torch.load(pickled, map_location="cpu", weights_only=True)
        # Weights that share storage (tied embeddings) are written as copies, which safetensors requires.
        tensors = {name: tensor.clone() for name, tensor in state.items()}
    except Exception as error:  # torch raises many kinds here; all mean the same to a user
        log.debug("", exc_info=True)
        raise UserError(
            f"encoder.name: the weights {pickled} cannot be read safely ({type(error).__name__}): they are cut off, "
            "not PyTorch weights, or contain code"
        ) from error
    save_tensors(target, tensors)


def _complete_tokenizer(folder: Path) -> None:
    """Write a tokenizer.json where the encoder came with a vocabulary alone, as SciBERT does."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"encoder.name: no fast tokenizer can be made from the vocabulary: {reason}") from error
