"""What training minimises: a weighted sum of the levels' binary cross-entropies."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.options import by_level
from ipcascade.training.options import TrainingOptions


class Loss:
    """The weighted binary cross-entropies of the levels, averaged over documents; training minimises their sum."""

    def __init__(
        self,
        options: TrainingOptions,
        tree: LabelTree,
        truth: np.ndarray,
        device: torch.device,
        has_finer_level: bool = False,
    ) -> None:
        """truth: bool [training documents, labels], for label weights; has_finer_level: the last of tree is one."""
        self.reduction, self.soft_mask = options.loss_reduction, options.soft_mask
        self.columns = list(tree.columns.values())
        reported = tree.levels[:-1] if has_finer_level else tree.levels
        self.weights = list(by_level(options.loss_weights, reported).values())
        if has_finer_level:
            self.weights.append(options.finer_level_weight)
        # Of each level below the first: the position of each label's parent within the level above.
        self.parents = [
            torch.from_numpy(tree.parent[columns] - above.start).to(device)
            for above, columns in zip(self.columns, self.columns[1:], strict=False)
        ]
        self.positive_weights: list[Tensor | None] = [None] * len(self.columns)
        if options.label_weights == "inverse_frequency":
            self.positive_weights = [
                torch.from_numpy(inverse_frequency_weights(truth[:, columns])).to(device) for columns in self.columns
            ]

    def __call__(self, logits: Sequence[Tensor], truth: Tensor, of: int) -> Tensor:
        """The losses of one micro-batch in a step `of` so many documents: over all of these they add up to the means.

        logits: per level [documents, labels of the level]; truth: float [documents, labels]. Returns [levels].
        """
        masked = self._masked([part.float() for part in logits])
        of_levels = [
            weight * self._level(level, of_level, truth)
            for level, (weight, of_level) in enumerate(zip(self.weights, masked, strict=True))
        ]
        return torch.stack(of_levels) / of

    def _masked(self, logits: list[Tensor]) -> list[Tensor]:
        """The published soft mask: logits below implausible parents are scaled, level by level."""
        if self.soft_mask is None:
            return logits
        masked = logits[:1]
        for above, below, parents in zip(logits, logits[1:], self.parents, strict=False):
            implausible = torch.sigmoid(above)[:, parents] <= self.soft_mask.confidence
            masked.append(torch.where(implausible, below * self.soft_mask.factor, below))
        return masked

    def _level(self, level: int, logits: Tensor, truth: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy_with_logits(
            logits, truth[:, self.columns[level]], pos_weight=self.positive_weights[level], reduction="none"
        )
        per_document = losses.sum(dim=1) if self.reduction == "sum" else losses.mean(dim=1)
        return per_document.sum()


def inverse_frequency_weights(truth: np.ndarray) -> np.ndarray:
    """Weights of positives, N / (n + 1) per label, normalised to mean 1 (the published system's): float32 [labels]."""
    weights = len(truth) / (truth.sum(axis=0) + 1)
    return (weights / weights.mean()).astype(np.float32)
