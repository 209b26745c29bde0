"""New texts in, labels and probabilities out, through the same tokenizer, model, thresholds and decoding."""

from pathlib import Path

import numpy as np
import polars as pl
import torch

from .config import ScoringOptions
from .decoding import decode
from .errors import UserError
from .model import load_model
from .progress import Progress
from .scoring import scores_of_released
from .taxonomy import Taxonomy
from .thresholds import read_thresholds
from .tokens import TokenCache, load_tokenizer


def read_texts(path: Path) -> pl.DataFrame:
    """A CSV or parquet table with the columns document_id and text, both as strings.

    Raises UserError for another format, a missing column, a missing id or text, or an id that stands there twice.
    """
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif path.suffix == ".csv":
            table = pl.read_csv(path, infer_schema=False)
        else:
            raise UserError(f"{path}: new texts come as .csv or .parquet")
        for name in ("document_id", "text"):
            if name not in table.columns:
                raise UserError(f"{path} lacks the column {name!r}; it has {', '.join(table.columns)}")
        table = table.select(pl.col("document_id").cast(pl.String), pl.col("text").cast(pl.String))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} could not be read: {str(error).splitlines()[0]}") from error
    for name in table.columns:
        if (row := table[name].is_null().arg_max()) is not None and table[name].null_count():
            raise UserError(f"{path}, row {row + 1}: {name} is missing")
    if table.is_empty():
        raise UserError(f"{path} has no rows")
    twice = table.filter(pl.col("document_id").is_duplicated())["document_id"]
    if len(twice):
        raise UserError(f"{path}: the document_id {twice[0]!r} stands there more than once")
    return table


def predict(
    texts: list[str], model_folder: Path, thresholds_file: Path, options: ScoringOptions, device: torch.device
) -> tuple[np.ndarray, np.ndarray, Taxonomy, int]:
    """Label texts with a released model and the thresholds fitted for it (a thresholds.json).

    Returns predicted (bool) and probabilities (float32), both [texts, labels], the label tree, and how many texts were
    cut off at the model's maximum length.
    """
    model, taxonomy, treatment = load_model(model_folder, options.batching)
    thresholds, decoding = read_thresholds(thresholds_file, taxonomy)
    cache = TokenCache.of_texts(load_tokenizer(model_folder, treatment["max_length"]), texts)
    with Progress("prediction", len(texts), "texts") as progress:
        scores = scores_of_released(model, cache, np.arange(len(texts)), options, device, progress.advance)
    # A class brings its section along, also where the section alone would stay below its threshold.
    predicted = taxonomy.close(decode(scores, thresholds.values, taxonomy, decoding))
    return predicted, scores, taxonomy, cache.facts["truncated_documents"]
