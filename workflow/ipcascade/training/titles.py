"""Titles of labels as training documents beside those of the corpus."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ipcascade.core.label_tree import LabelTree
from ipcascade.core.title_examples import title_examples
from ipcascade.encoder.tokenizer import load_tokenizer
from ipcascade.encoder.tokens import TokenCache
from ipcascade.training.loop import TrainingData


def with_titles(data: TrainingData, table: LabelTree, encoder: Path) -> TrainingData:
    """The data, with the titles in `table` (`title_examples`) after all documents and among those to train on.

    encoder: its folder, for the tokenizer. Token ids are copied into memory, 2 or 4 bytes each.
    Raises UserError as `title_examples` does.
    """
    texts, truth = title_examples(table, data.trained_tree)
    titles = TokenCache.of_texts(load_tokenizer(encoder, data.cache.facts["max_length"]), texts)
    documents = len(data.truth)
    return replace(
        data,
        cache=data.cache.followed_by(titles),
        truth=np.concatenate([data.truth, truth]),
        train=np.concatenate([data.train, np.arange(documents, documents + len(texts))]),
    )
