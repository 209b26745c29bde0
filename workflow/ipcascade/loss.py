"""What training minimises: a weighted sum of two levels' binary cross-entropies."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .config import TrainingOptions
from .model import inverse_frequency_weights
from .taxonomy import Taxonomy


class Loss:
    """The weighted sum of the two levels' binary cross-entropies, averaged over documents."""

    def __init__(self, options: TrainingOptions, taxonomy: Taxonomy, truth: np.ndarray, device: torch.device) -> None:
        self.options = options
        self.columns = taxonomy.columns
        self.parents = torch.from_numpy(taxonomy.parent_index).to(device)
        self.positive_weights: dict[str, Tensor | None] = dict.fromkeys(self.columns)
        if options.label_weights == "inverse_frequency":
            for level, columns in self.columns.items():
                weights = inverse_frequency_weights(truth[:, columns])
                self.positive_weights[level] = torch.from_numpy(weights).to(device)

    def __call__(self, section_logits: Tensor, class_logits: Tensor, truth: Tensor, of: int) -> Tensor:
        """The loss of some documents' part in a step `of` so many: over all of its passes, parts add up to the mean.

        Takes logits [documents, sections], [documents, classes] and truth float [documents, labels]; gives a scalar.
        """
        section_logits, class_logits = section_logits.float(), class_logits.float()
        if (mask := self.options.soft_mask) is not None:
            implausible = torch.sigmoid(section_logits)[:, self.parents] <= mask.confidence
            class_logits = torch.where(implausible, class_logits * mask.factor, class_logits)
        section, classes = self._level("section", section_logits, truth), self._level("class", class_logits, truth)
        return (self.options.section_weight * section + self.options.class_weight * classes) / of

    def _level(self, level: str, logits: Tensor, truth: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy_with_logits(
            logits, truth[:, self.columns[level]], pos_weight=self.positive_weights[level], reduction="none"
        )
        a_document = losses.sum(dim=1) if self.options.loss_reduction == "sum" else losses.mean(dim=1)
        return a_document.sum()

    def of_probabilities(self, scores: np.ndarray, truth: np.ndarray) -> float:
        """The mean over documents, without label weights and soft mask, from scores and truth [documents, labels]."""
        clipped = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
        losses = -np.where(truth, np.log(clipped), np.log1p(-clipped))
        weights = {"section": self.options.section_weight, "class": self.options.class_weight}
        total = 0.0
        for level, columns in self.columns.items():
            of_level = losses[:, columns]
            a_document = of_level.sum(axis=1) if self.options.loss_reduction == "sum" else of_level.mean(axis=1)
            total += weights[level] * float(a_document.mean())
        return total
