"""The sample: documents with the smallest hashes of their numbers, so a smaller one is a subset of a larger one."""

import numpy as np
import polars as pl


def draw(documents: pl.DataFrame, amount: int | None, seed: int) -> pl.DataFrame:
    """The `amount` documents (None: all) with the smallest hashes of their numbers, sorted by them."""
    if amount is not None and amount < documents.height:
        order = _splitmix64(documents["application"].to_numpy(), seed)
        documents = documents[np.argpartition(order, amount)[:amount]]
    return documents.sort("application")


def _splitmix64(ids: np.ndarray, seed: int) -> np.ndarray:
    """uint64 [ids]: one step of SplitMix64 (Steele, Lea, Flood 2014) from each id; distinct ids never collide."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
