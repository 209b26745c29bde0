"""Ranks: several processes that train like one, and stop and go on together."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from ipcascade.core.names import LAUNCHED
from ipcascade.training.distributed import Ranks
from support import OF_THE_MACHINE, PATIENCE, Files, config_file, step_of

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "LOCAL_WORLD_SIZE", "LOCAL_RANK")
OPTIONS = {
    "epochs": 3, "batch_size": 4, "encoder_learning_rate": 1e-3, "head_learning_rate": 1e-2, "dropout": 0,
    "precision": "fp32", "title_examples": False, "finer_level_weight": 0, "token_dropout": 0,
}  # fmt: skip


def test_a_single_rank_agrees_with_itself():
    alone = Ranks(0, 1, torch.device("cpu"))
    items = np.arange(5)
    assert alone.first and alone.all_reduce_max(3) == 3 and alone.all_reduce_mean(torch.tensor(2.0)) == 2
    np.testing.assert_array_equal(alone.all_gather_rows(alone.share(items), 5), items)
    model = torch.nn.Linear(2, 2)
    with alone.gradients_averaged(model, last=False):
        pass
    assert alone.parallel(model) is model


class Reduced:
    """Stands for the exchange of ranks in one process: each rank's tensor becomes the sum of what all ranks gave."""

    def __init__(self):
        self.given, self.total = [], None

    def all_reduce(self, tensor, operation=None):
        self.given.append(tensor.clone())
        if self.total is not None:
            tensor.copy_(self.total)


@pytest.mark.parametrize(("count", "size"), [(7, 2), (12, 5), (3, 3)])
def test_rows_of_all_ranks_come_together_in_order(monkeypatch, count, size):
    rows = np.random.default_rng(1).random((count, 4)).astype(np.float32)
    ranks = [Ranks(rank, size, torch.device("cpu")) for rank in range(size)]
    exchange = Reduced()
    monkeypatch.setattr("ipcascade.training.distributed.distributed", exchange)
    for rank in ranks:
        rank.all_gather_rows(rank.share(rows), count)
    assert [(given != 0).any(dim=1).sum() for given in exchange.given] == [len(rank.share(rows)) for rank in ranks]
    exchange.total = torch.stack(exchange.given).sum(dim=0)
    for rank in ranks:
        found = rank.all_gather_rows(rank.share(rows), count)
        assert found.dtype == np.float32 and np.array_equal(found, rows)
        assert rank.all_reduce_mean(torch.ones(count, 4)).numpy() == pytest.approx(rows / size)


@pytest.mark.parametrize(("count", "size"), [(8, 2), (12, 4), (13, 4), (3, 4), (1, 2)])
def test_shares_are_all_items_once_and_alike(count, size):
    items = np.arange(count)
    shares = [Ranks(rank, size, torch.device("cpu")).share(items) for rank in range(size)]
    assert sorted(np.concatenate(shares)) == items.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    if count % (2 * size) == 0:
        assert len({share.sum() for share in shares}) == 1, "of sorted items no rank gets larger ones than another"


@pytest.fixture(scope="module")
def without_dropout(files, tmp_path_factory) -> Files:
    """Dropout draws differ between shares of a batch, so that curves can only be compared without it."""
    folder = tmp_path_factory.mktemp("encoders") / "encoder"
    shutil.copytree(files.encoder, folder)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**described, "hidden_dropout_prob": 0.0}))
    return Files(files.corpus, files.splits, files.tokens, folder)


def command(files: Files, folder: Path, devices: int, **options) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        sys.executable, "-m", "ipcascade", "train", *files.arguments(), "--encoder", str(files.encoder),
        "--checkpoints", str(folder / "checkpoints"), "--model", str(folder / "model"), "--log", str(folder / "log"),
        "--epochs", str(folder / "epochs.parquet"), "--validation-scores", str(folder / "validation.parquet"),
        "--threads", "2", "--config",
        str(config_file(folder, training={**OPTIONS, "devices": devices, **options})),
    ]  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in GPU_VARIABLES} | more


def trained(files: Files, folder: Path, devices: int) -> pl.DataFrame:
    subprocess.run(command(files, folder, devices), check=True, env=environment(), capture_output=True)
    epochs = pl.read_parquet(folder / "epochs.parquet")
    return epochs.drop(*OF_THE_MACHINE, "padding_efficiency")  # each rank rounds up its own micro-batches


@pytest.fixture(scope="module")
def of_two_ranks(without_dropout, tmp_path_factory) -> tuple[Path, pl.DataFrame]:
    folder = tmp_path_factory.mktemp("ranks")
    return folder, trained(without_dropout, folder, devices=2)


def test_two_ranks_give_the_curve_of_one(without_dropout, of_two_ranks, tmp_path):
    folder, two = of_two_ranks
    one = trained(without_dropout, tmp_path, devices=1)
    assert one["train_loss"].is_sorted(descending=True) and one.height == 3
    assert two.columns == one.columns
    for name in one.columns:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
    weights, other = (load_file(f / "model/model.safetensors") for f in (tmp_path, folder))
    for name, tensor in weights.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    assert "training on 2 x CPU (1 threads)" in (folder / "log").read_text()


COMPILED = """
import sys
import torch
from ipcascade import cli
from ipcascade.training import loop
from ipcascade.model.network import Classifier
loop.can_compile = lambda model, batching: True
Classifier.compile = lambda self, **options: torch.nn.Module.compile(self, backend="aot_eager", **options)
sys.exit(cli.main())
"""


def test_two_ranks_of_a_compiled_model_give_the_same_curve(without_dropout, of_two_ranks, tmp_path):
    """As on GPUs, but for the code generator: compiled within the wrapper that exchanges gradients."""
    folder, plain = of_two_ranks
    ranks_running(COMPILED, command(without_dropout, tmp_path, 2))
    epochs = pl.read_parquet(tmp_path / "epochs.parquet")
    assert epochs["compiled"].all()
    np.testing.assert_allclose(epochs["train_loss"], plain["train_loss"], rtol=1e-4)
    weights, other = (load_file(f / "model/model.safetensors") for f in (tmp_path, folder))
    for name, tensor in weights.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


SLOW_SAVE = """
import sys, time
from ipcascade.training import checkpoint
from ipcascade import cli
save = checkpoint.save
def slowly(*arguments):
    time.sleep(4)
    save(*arguments)
checkpoint.save = slowly
sys.exit(cli.main())
"""


def test_four_ranks_out_of_time_resume_to_the_same_bytes(without_dropout, tmp_path):
    """Stopped by the clock of the job, then stopped by a signal mid-epoch, and finished by a third start.

    Four, because the order of a sum of two makes no difference.
    """
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trained(without_dropout, whole, devices=4)
    in_job = environment(IPCASCADE_SUBMITTED="1")
    limited = [*command(without_dropout, cut, 4), "--time-limit", "0.0001"]
    done = subprocess.run(limited, env=in_job, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("the time limit is near: stopped after step 1 of 105") == 1, (
        "the first rank speaks for all"
    )
    again = [*command(without_dropout, cut, 4), "--checkpoint-minutes", "0"]
    process = subprocess.Popen(again, env=in_job, stderr=subprocess.PIPE, text=True)
    (checkpoint,) = cut.glob("checkpoints/*/checkpoint.safetensors")
    deadline = time.monotonic() + PATIENCE
    while step_of(checkpoint) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    assert process.returncode != 0 and 40 <= step_of(checkpoint) < 105
    subprocess.run(command(without_dropout, cut, 4), env=in_job, check=True, capture_output=True)
    one, other = ((folder / "model/model.safetensors").read_bytes() for folder in (whole, cut))
    assert one == other


def test_ranks_stay_until_the_first_one_has_saved(without_dropout, tmp_path):
    """Its writing takes longer than another rank waits before it reports; one that left would end the first."""
    limited = [*command(without_dropout, tmp_path, 2), "--time-limit", "0.0001"]
    done = ranks_running(SLOW_SAVE, limited, IPCASCADE_SUBMITTED="1")
    assert done.stderr.count("the time limit is near: stopped after step 1 of 105") == 1
    assert "rank 1: " not in done.stderr
    (checkpoint,) = tmp_path.glob("checkpoints/*/checkpoint.safetensors")
    assert step_of(checkpoint) == 1


def ranks_running(script: str, words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Two ranks of a script that ends in the command line, with the words after `ipcascade`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.py"
        path.write_text(script)
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
        return subprocess.run(
            [*start, str(path), *words[words.index("train") :]],
            env=environment(**variables, **{LAUNCHED: "1"}), capture_output=True, text=True, check=False,
        )  # fmt: skip
