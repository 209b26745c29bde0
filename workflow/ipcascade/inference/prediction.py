"""New texts in, labels and probabilities out, through the same tokenizer, model, evidence, thresholds and decoding."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.progress import Progress
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.thresholds import read_thresholds
from ipcascade.evidence.combiner import read_combiner
from ipcascade.evidence.options import LINEAR, NEIGHBOURS
from ipcascade.evidence.sources import Evidence, NetworkOutput
from ipcascade.inference.options import ScoringOptions
from ipcascade.inference.scoring import score
from ipcascade.model.export import load_model


@dataclass(frozen=True)
class ModelFiles:
    """What texts are labelled with: folders of the exported model and, where they are sources of evidence, of the
    linear model and the neighbours; combiner.json; thresholds.json."""

    model: Path
    combiner: Path
    thresholds: Path
    linear: Path | None = None
    neighbours: Path | None = None


@dataclass(frozen=True)
class Prediction:
    """Labels of texts: predicted (bool) and probabilities (float32), both [texts, labels] in the order of `tree`.

    truncated: texts that were cut off at the model's maximum length. neighbours: ids of the nearest training documents
    per text, the nearest first; None where they are no source.
    """

    predicted: np.ndarray
    probabilities: np.ndarray
    tree: LabelTree
    truncated: int
    neighbours: list[list[str]] | None


def predict(
    texts: Sequence[str], files: ModelFiles, options: ScoringOptions, device: torch.device, named: int
) -> Prediction:
    """Label texts with an exported model, and the evidence and thresholds fitted for it.

    named: how many neighbours per text are named. A label brings its ancestors along, also where they alone would stay
    below their thresholds.
    """
    model, tree, treatment = load_model(files.model, options.batching)
    thresholds, decoding = read_thresholds(files.thresholds, tree)
    combiner, neighbour_options = read_combiner(files.combiner, tree)
    for source, folder in ((LINEAR, files.linear), (NEIGHBOURS, files.neighbours)):
        if source in combiner.sources and folder is None:
            raise UserError(
                f"{files.combiner} combines {', '.join(combiner.sources)}: give the folder of {source}, too"
            )
    evidence = Evidence.read(combiner.sources, neighbour_options, tree, files.linear, files.neighbours)
    cache = TokenCache.of_texts(load_tokenizer(files.model, treatment["max_length"]), texts)
    with Progress("prediction", len(texts), "texts") as progress:
        network = NetworkOutput(*score(model, cache, np.arange(len(texts)), options, device, progress.advance))
    scores, nearest = evidence.scores(network, texts, device)
    probabilities = combiner.probabilities(scores, tree)
    predicted = tree.close(decode(probabilities, thresholds.values, tree, decoding))
    ids = evidence.neighbours.named(nearest, named) if evidence.neighbours and nearest else None
    return Prediction(predicted, probabilities, tree, cache.facts["truncated_documents"], ids)
