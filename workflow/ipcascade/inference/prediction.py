"""New texts in, labels and probabilities out, through the same tokenizer, model, evidence, thresholds and decoding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.options import DecodingOptions
from ipcascade.evaluation.selective import confidences
from ipcascade.evaluation.thresholds import Thresholds, read_thresholds
from ipcascade.evidence.combiner import Combiner, read_combiner
from ipcascade.evidence.sources import Evidence, NetworkOutput
from ipcascade.inference.model_files import ModelFiles
from ipcascade.inference.options import PredictionOptions, ScoringOptions
from ipcascade.inference.scoring import score
from ipcascade.model.export import load_model
from ipcascade.model.network import Classifier
from ipcascade.runtime.device import choose_device


class PredictedLabel(NamedTuple):
    """A label of a text: code, level and title of the label tree; its probability."""

    code: str
    level: str
    title: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """Labels of texts, [texts, ...] in their order.

    predicted (bool) and probabilities (float32): [texts, labels] in the order of `tree`. cut_off: float32 [texts], the
    share of a text's characters that is beyond the model's maximum length and was not read. neighbours: the ids of the
    nearest training documents, the nearest first; similarities: float32 [texts, neighbours], their cosines; both None
    where neighbours are no source.
    """

    predicted: np.ndarray
    probabilities: np.ndarray
    tree: LabelTree
    cut_off: np.ndarray
    neighbours: list[list[str]] | None
    similarities: np.ndarray | None

    @cached_property
    def confidences(self) -> np.ndarray:
        """float32 [texts]: the smallest probability of a text's labels; 0 where it has none (evaluation/selective)."""
        return confidences(self.predicted, self.probabilities).astype(np.float32)

    def classifiable(self, options: PredictionOptions) -> np.ndarray:
        """bool [texts]: which texts have at least the confidence and the similarity that the options ask for.

        Raises UserError where a similarity is asked for and there is none.
        """
        enough: np.ndarray = self.confidences >= options.least_confidence
        if options.least_similarity > -1:
            if self.similarities is None or not self.similarities.shape[1]:
                raise UserError(
                    "prediction.least_similarity needs similarities: a model with neighbours among its sources of "
                    "evidence, and prediction.neighbours of at least 1"
                )
            enough &= self.similarities[:, 0] >= options.least_similarity
        return enough

    @cached_property
    def labels(self) -> list[list[PredictedLabel]]:
        """The labels of each text, level by level from the top down, in each the most probable first."""
        tree = self.tree
        level_of = [level for level, size in zip(tree.levels, tree.sizes, strict=True) for _ in range(size)]
        rank = {level: place for place, level in enumerate(tree.levels)}
        found = []
        for predicted, probabilities in zip(self.predicted, self.probabilities, strict=True):
            labels = [
                PredictedLabel(tree.labels[column], level_of[column], tree.titles[column], float(probabilities[column]))
                for column in np.flatnonzero(predicted)
            ]
            found.append(sorted(labels, key=lambda label: (rank[label.level], -label.probability)))
        return found


@dataclass(frozen=True)
class TextClassifier:
    """A trained model with its evidence and thresholds, in memory, on a device: labels texts as the workflow does.

    `ipcascade.load` gives that of a released model.
    """

    model: Classifier
    tree: LabelTree
    tokenizer: Any
    evidence: Evidence
    combiner: Combiner
    thresholds: Thresholds
    decoding: DecodingOptions
    options: ScoringOptions
    device: torch.device

    @classmethod
    def read(cls, files: ModelFiles, options: ScoringOptions) -> "TextClassifier":
        """Raises UserError where files are missing, damaged, or not of one model, and as `choose_device` does."""
        device = choose_device(options.accelerator, "scoring")
        model, tree, treatment = load_model(files.model, options.batching)
        files.check()
        thresholds, decoding = read_thresholds(files.thresholds, tree)
        combiner, neighbour_options = read_combiner(files.combiner, tree)
        evidence = Evidence.read(combiner.sources, neighbour_options, tree, files.linear, files.neighbours)
        tokenizer = load_tokenizer(files.model, treatment["max_length"])
        return cls(model, tree, tokenizer, evidence, combiner, thresholds, decoding, options, device)

    def predict(
        self, texts: Sequence[str], named: int = 5, advance: Callable[[int], None] = lambda count: None
    ) -> Prediction:
        """Label texts.

        named: how many neighbours per text are named; advance: called with the number of texts after each micro-batch.
        A label brings its ancestors along, also where they alone would stay below their thresholds. Raises UserError as
        `score` does, TypeError for a single text in place of a sequence of them, and ValueError for none.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one text; give a list of texts")
        if not len(texts):
            raise ValueError("there are no texts")
        cache = TokenCache.of_texts(self.tokenizer, texts)
        network = NetworkOutput(*score(self.model, cache, np.arange(len(texts)), self.options, self.device, advance))
        scores, nearest = self.evidence.scores(network, texts, self.device)
        probabilities = self.combiner.probabilities(scores, self.tree)
        predicted = decode(probabilities, self.thresholds.values, self.tree, self.decoding)
        index = self.evidence.neighbours
        return Prediction(
            self.tree.close(predicted), probabilities, self.tree, self._cut_off(texts, cache),
            index.named(nearest, named) if index and nearest else None,
            nearest.similarities[:, :named] if nearest else None,
        )  # fmt: skip

    def _cut_off(self, texts: Sequence[str], cache: TokenCache) -> np.ndarray:
        """The share of each text's characters behind its last token that was read."""
        shares = np.zeros(len(texts), dtype=np.float32)
        longest = np.flatnonzero(cache.lengths == cache.facts["max_length"])
        for position in longest.tolist():
            encoding = self.tokenizer.backend_tokenizer.encode(texts[position])
            if encoding.overflowing:
                shares[position] = 1 - max(end for _, end in encoding.offsets) / len(texts[position])
        return shares
