"""Trainings on the small corpus of the fixture `files`: their options and the arguments of the command."""

from pathlib import Path

import polars as pl

from support import Files, config_file

OPTIONS = {
    "epochs": 6, "batch_size": 2, "encoder_learning_rate": 1e-3, "head_learning_rate": 1e-2, "dropout": 0.1,
    "precision": "fp32", "title_examples": False, "finer_level_weight": 0, "token_dropout": 0,
}  # fmt: skip


def arguments(files: Files, folder: Path, seed: int = 42, **options: object) -> list[str]:
    """Of a training in a folder, with some options of training besides `OPTIONS`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        "train", *files.arguments(), "--encoder", str(files.encoder),
        "--checkpoints", str(folder / "checkpoints"), "--model", str(folder / "model"),
        "--epochs", str(folder / "epochs.parquet"), "--validation-scores", str(folder / "validation.parquet"),
        "--threads", "1", "--config", str(config_file(folder, seed=seed, training={**OPTIONS, **options})),
    ]  # fmt: skip


def epochs_of(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "epochs.parquet")
