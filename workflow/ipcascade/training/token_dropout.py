"""Token dropout: in each step other tokens of a text are left out.

No single word can be relied on, so training learns less by heart (word dropout, as in Iyyer et al. 2015, there
of the mean of word vectors). And texts get shorter, so that a step takes less time.
"""

import numpy as np

from ipcascade.encoder.tokens import TokenCache, offsets_of


def without_some_tokens(
    cache: TokenCache, documents: np.ndarray, share: float, random: np.random.Generator
) -> TokenCache:
    """The documents, in memory, without each of their tokens with the probability `share`.

    documents: positions in the cache. The first and the last token, which are special ones, stay.
    """
    lengths = cache.lengths_of(documents)
    starts = np.cumsum(lengths) - lengths
    ids = np.concatenate([cache.ids[cache.offsets[place] : cache.offsets[place + 1]] for place in documents])
    kept = random.random(len(ids)) >= share
    kept[starts] = kept[starts + lengths - 1] = True
    left = np.add.reduceat(kept, starts, dtype=np.int64)
    return TokenCache(ids[kept], offsets_of([left]), cache.facts)
