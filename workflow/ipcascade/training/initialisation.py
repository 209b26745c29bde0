"""The classifier at the start of training: a pre-trained encoder and new heads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.options import Batching
from ipcascade.core.random_streams import stream_seed
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.encoder.tokens import TokenCache
from ipcascade.model.batching import scoring_batches
from ipcascade.model.compatibility import use_batching
from ipcascade.model.export import finer_parents_of, load_encoder
from ipcascade.model.network import Classifier, inputs_of
from ipcascade.training.options import TrainingOptions

# Of queries at the start: attention then differs little from one token to the next, and is free to move.
QUERY_NORM = 2.0
TITLE_TOKENS_AT_ONCE = 4096


def new_classifier(
    encoder_folder: Path,
    tree: LabelTree,
    truth: np.ndarray,
    options: TrainingOptions,
    seed: int,
    max_length: int,
    has_finer_level: bool = False,
) -> Classifier:
    """A classifier with pre-trained encoder and new heads: Xavier-uniform weights, biases as the options say.

    Label-wise attention, where it is asked for, has the labels' titles as queries and adds nothing to the logits yet.
    tree: of all levels that are trained; truth: bool [training documents, labels]; max_length: most tokens per
    document; has_finer_level: whether the tree's last level is one.
    Raises UserError as `load_encoder` and `use_batching` do.
    """
    encoder = load_encoder(encoder_folder, options.attention_dropout)
    finer_parents = finer_parents_of(tree) if has_finer_level else None
    model = Classifier(encoder, tree.sizes, options.dropout, max_length, options.label_attention, finer_parents)
    use_batching(model, options.batching)
    bias = prior_bias(truth) if options.head_bias == "prior" else np.full(len(tree.labels), options.head_bias)
    generator = torch.Generator().manual_seed(stream_seed(seed, "heads"))
    with torch.no_grad():
        for head, columns in zip(model.heads, tree.columns.values(), strict=True):
            nn.init.xavier_uniform_(head.weight, generator=generator)  # type: ignore[arg-type]
            head.bias.copy_(torch.from_numpy(bias[columns].astype(np.float32)))  # type: ignore[operator]
        if model.label_attention is not None:
            titles = title_vectors(model, encoder_folder, tree.titles, options.batching)
            model.label_attention.queries.copy_(QUERY_NORM * nn.functional.normalize(titles - titles.mean(dim=0)))
    return model


@torch.inference_mode()
def title_vectors(model: Classifier, encoder_folder: Path, titles: Sequence[str], batching: Batching) -> Tensor:
    """The mean of each title's token states: float32 [titles, hidden size]. The model is on the CPU."""
    # Many trees have their titles in capitals, which texts have not.
    texts = [title.lower() for title in titles]
    cache = TokenCache.of_texts(load_tokenizer(encoder_folder, model.max_length), texts)
    vectors = torch.empty(len(texts), model.hidden_size)
    was_training = model.training
    model.eval()
    for rows, batch in scoring_batches(cache, np.arange(len(texts)), batching, TITLE_TOKENS_AT_ONCE, static=False):
        states = model.token_states(**inputs_of(batch, torch.device("cpu")))
        tokens = states.sums(torch.ones_like(states.hidden[..., :1]))
        vectors[torch.from_numpy(rows)] = states.sums(states.hidden) / tokens
    model.train(was_training)
    return vectors


def prior_bias(truth: np.ndarray) -> np.ndarray:
    """The log-odds of each label's share: float32 [labels] from a truth matrix [documents, labels].

    Half a document is added to either side, so that a label without documents has a finite bias.
    """
    share = (truth.sum(axis=0) + 0.5) / (len(truth) + 1)
    return np.log(share / (1 - share)).astype(np.float32)
