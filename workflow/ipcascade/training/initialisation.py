"""The classifier at the start of training: a pre-trained encoder and new heads."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream_seed
from ipcascade.model.compatibility import use_batching
from ipcascade.model.export import load_encoder
from ipcascade.model.network import Classifier
from ipcascade.training.options import TrainingOptions


def new_classifier(
    encoder_folder: Path, tree: LabelTree, truth: np.ndarray, options: TrainingOptions, seed: int, max_length: int
) -> Classifier:
    """A classifier with pre-trained encoder and new heads: Xavier-uniform weights, biases as the options say.

    truth: bool [training documents, labels]; max_length: most tokens per document.
    Raises UserError as `load_encoder` and `use_batching` do.
    """
    encoder = load_encoder(encoder_folder, options.attention_dropout)
    model = Classifier(encoder, tree.sizes, options.dropout, max_length)
    use_batching(model, options.batching)
    bias = prior_bias(truth) if options.head_bias == "prior" else np.full(len(tree.labels), options.head_bias)
    generator = torch.Generator().manual_seed(stream_seed(seed, "heads"))
    with torch.no_grad():
        for head, columns in zip(model.heads, tree.columns.values(), strict=True):
            nn.init.xavier_uniform_(head.weight, generator=generator)  # type: ignore[arg-type]
            head.bias.copy_(torch.from_numpy(bias[columns].astype(np.float32)))  # type: ignore[operator]
    return model


def prior_bias(truth: np.ndarray) -> np.ndarray:
    """The log-odds of each label's share: float32 [labels] from a truth matrix [documents, labels].

    Half a document is added to either side, so that a label without documents has a finite bias.
    """
    share = (truth.sum(axis=0) + 0.5) / (len(truth) + 1)
    return np.log(share / (1 - share)).astype(np.float32)
