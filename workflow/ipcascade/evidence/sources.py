"""What each source says of documents: one score per label, for the combiner; the same for splits and for new texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ipcascade.core.label_tree import LabelTree
from ipcascade.evidence.linear import LinearModel
from ipcascade.evidence.log_odds import log_odds
from ipcascade.evidence.neighbours import NeighbourIndex, Neighbours
from ipcascade.evidence.options import LINEAR, NEIGHBOURS, NETWORK, NeighbourOptions


class NetworkOutput(NamedTuple):
    """What the network says of documents: probabilities, float32 [documents, labels]; its [CLS] vectors, [documents,
    hidden size]."""

    probabilities: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """The sources that are used: linear and neighbours are None where they are not.

    neighbour_options: how the neighbours' labels are weighed.
    """

    network: bool
    linear: LinearModel | None
    neighbours: NeighbourIndex | None
    neighbour_options: NeighbourOptions

    @classmethod
    def read(
        cls,
        sources: Sequence[str],
        options: NeighbourOptions,
        tree: LabelTree,
        linear: Path | None,
        neighbours: Path | None,
    ) -> "Evidence":
        """The sources of these names, from their folders. Raises UserError where a folder is not complete."""
        return cls(
            NETWORK in sources,
            LinearModel.read(linear, len(tree.labels)) if linear and LINEAR in sources else None,
            NeighbourIndex.read(neighbours, tree) if neighbours and NEIGHBOURS in sources else None,
            options,
        )

    def scores(
        self,
        network: NetworkOutput | None,
        texts: Sequence[str],
        device: torch.device,
        advance: Callable[[int], None] = lambda count: None,
    ) -> tuple[dict[str, np.ndarray], Neighbours | None]:
        """The scores of documents by source, each float32 [documents, labels]; and their neighbours, if a source.

        network: its output, where it or the neighbours are a source; texts: of the documents, where the linear model
        is one; advance: called with the numbers of documents whose neighbours were found.
        """
        found, nearest = {}, None
        if self.network and network:
            found[NETWORK] = log_odds(network.probabilities)
        if self.linear:
            found[LINEAR] = self.linear.decisions(texts)
        if self.neighbours and network:
            nearest = self.neighbours.search(network.vectors, self.neighbour_options.count, device, advance)
            found[NEIGHBOURS] = self.neighbours.scores(nearest, self.neighbour_options.temperature)
        return found, nearest
