"""Vectors of documents on disk: in half precision, with whose they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ipcascade.core.errors import UserError
from ipcascade.core.tensors import check_finite, load_tensors, save_tensors
from ipcascade.encoder.tokens import documents_key

REMEDY = "delete it and make it again"


def write_vectors(path: Path, ids: Sequence[str], vectors: np.ndarray) -> None:
    """Write vectors, [documents, size], in half precision, and whose they are."""
    half = torch.from_numpy(vectors.astype(np.float16, copy=False))
    save_tensors(path, {"vectors": half, "documents": _key(ids)})


def read_vectors(path: Path, ids: Sequence[str]) -> np.ndarray:
    """The vectors of documents: float16 [documents, size].

    Raises UserError where the file is not one that `write_vectors` wrote for these documents in this order.
    """
    tensors = load_tensors(path, REMEDY)
    vectors, key = (tensors.get(name) for name in ("vectors", "documents"))
    if vectors is None or key is None or vectors.dtype != torch.float16 or vectors.ndim != 2:
        raise UserError(f"{path} does not hold the vectors of documents; {REMEDY}")
    if len(vectors) != len(ids) or not torch.equal(key, _key(ids)):
        raise UserError(f"{path} holds the vectors of other documents; {REMEDY}")
    check_finite(path, {"vectors": vectors}, REMEDY)
    return vectors.numpy()


def _key(ids: Sequence[str]) -> Tensor:
    return torch.tensor(list(bytes.fromhex(documents_key(ids))), dtype=torch.uint8)
