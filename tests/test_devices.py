"""Devices and ranks: what is said where torch sees no GPU, and two processes that train like one."""

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

from ipcascade.cli import main
from ipcascade.devices import choose_device
from ipcascade.errors import UserError
from ipcascade.ranks import Ranks
from support import OF_THE_MACHINE, Files, step_of

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "LOCAL_WORLD_SIZE", "LOCAL_RANK")
OPTIONS = {
    "epochs": 3, "batch_size": 4, "encoder_learning_rate": 1e-3, "head_learning_rate": 1e-2, "dropout": 0,
    "precision": "fp32",
}  # fmt: skip


@pytest.fixture(autouse=True)
def outside_of_a_job(monkeypatch):
    for name in GPU_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_a_gpu_the_cpu_is_taken():
    assert choose_device("auto", "training") == choose_device("cpu", "training") == torch.device("cpu")


@pytest.mark.parametrize("variable", ["CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS"])
def test_a_job_with_a_gpu_that_torch_does_not_see_is_refused(monkeypatch, variable):
    monkeypatch.setenv(variable, "0")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(
        UserError, match=rf"given a GPU \({variable}=0\), but torch .* sees none: it is a build without"
    ):
        choose_device("auto", "training")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(
        UserError, match=r"built for CUDA 13\.0; see whether `nvidia-smi` shows .* scoring\.accelerator: cpu"
    ):
        choose_device("auto", "scoring")
    assert choose_device("cpu", "training") == torch.device("cpu")


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_a_job_without_a_gpu_says_so_in_several_ways(monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert choose_device("auto", "training") == torch.device("cpu")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(
        UserError, match=r"training\.accelerator is cuda, .* the rule needs gres gpu:1 in a GPU partition"
    ):
        choose_device("cuda", "training")


def test_fewer_gpus_than_devices_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"training.devices is 2, but torch sees 1 GPU.*gres gpu:2"):
        choose_device("auto", "training")


@pytest.mark.parametrize("step", ["train", "score", "predict"])
def test_steps_look_for_the_gpu_before_they_read_anything(step, monkeypatch, tmp_path, capsys):
    """No input exists, so that a step which read first would complain about that."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    documents = ["--taxonomy", "none", "--corpus", "none", "--splits", "none", "--tokens", "none"]
    files = {
        "train": [*documents, "--encoder", "none", "--checkpoints", "none", "--model", "none", "--history", "none"],
        "score": [*documents, "--model", "none", "--split", "val", "--scores", "none"],
        "predict": ["--texts", "none", "--model", "none", "--thresholds", "none", "--predictions", "none"],
    }
    monkeypatch.chdir(tmp_path)
    assert main([step, *files[step]]) == 1
    assert "this job was given a GPU (CUDA_VISIBLE_DEVICES=0)" in capsys.readouterr().err


def test_a_single_rank_agrees_with_itself():
    alone = Ranks(0, 1, torch.device("cpu"))
    items = np.arange(5)
    assert alone.first and alone.largest(3) == 3 and alone.mean(torch.tensor(2.0)) == 2
    np.testing.assert_array_equal(alone.joined(alone.share(items), 5), items)
    model = torch.nn.Linear(2, 2)
    with alone.synchronised(model, last=False):
        pass
    assert alone.parallel(model) is model


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
    return [
        sys.executable, "-m", "ipcascade", "train", *files.arguments(), "--encoder", str(files.encoder),
        "--checkpoints", str(folder / "checkpoints"), "--model", str(folder / "model"), "--log", str(folder / "log"),
        "--history", str(folder / "history.parquet"), "--threads", "2", "--options",
        json.dumps({"training": {**OPTIONS, "devices": devices, **options}}),
    ]  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in GPU_VARIABLES} | more


def trained(files: Files, folder: Path, devices: int) -> pl.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(command(files, folder, devices), check=True, env=environment(), capture_output=True)
    history = pl.read_parquet(folder / "history.parquet")
    return history.drop(*OF_THE_MACHINE, "padding_efficiency")  # each rank rounds up its own passes


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
from ipcascade import cli, training
from ipcascade.model import CascadeModel
training.can_compile = lambda model, batching: True
CascadeModel.compile = lambda self, **options: torch.nn.Module.compile(self, backend="aot_eager", **options)
sys.exit(cli.main())
"""


def test_two_ranks_of_a_compiled_model_give_the_same_curve(without_dropout, of_two_ranks, tmp_path):
    """As on GPUs, but for the code generator: compiled within what exchanges gradients."""
    folder, plain = of_two_ranks
    ranks_running(COMPILED, command(without_dropout, tmp_path, 2))
    history = pl.read_parquet(tmp_path / "history.parquet")
    assert history["compiled"].all()
    np.testing.assert_allclose(history["train_loss"], plain["train_loss"], rtol=1e-4)
    weights, other = (load_file(f / "model/model.safetensors") for f in (tmp_path, folder))
    for name, tensor in weights.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


SLOW_SAVE = """
import sys, time
from ipcascade import checkpoint, cli
save = checkpoint.save
def slowly(*arguments):
    time.sleep(4)
    save(*arguments)
checkpoint.save = slowly
sys.exit(cli.main())
"""


def test_four_ranks_out_of_time_resume_to_the_same_bytes(without_dropout, tmp_path):
    """Stopped by the clock of the job, then told to end mid-epoch, and finished by a third start.

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
    deadline = time.monotonic() + 60
    while step_of(checkpoint) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    assert process.returncode != 0 and 40 <= step_of(checkpoint) < 105
    subprocess.run(command(without_dropout, cut, 4), env=in_job, check=True, capture_output=True)
    one, other = ((folder / "model/model.safetensors").read_bytes() for folder in (whole, cut))
    assert one == other


def test_ranks_stay_until_the_first_one_has_saved(without_dropout, tmp_path):
    """Its writing takes longer than another rank keeps silent; one that left would end the first amid its writing."""
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
            env=environment(**variables), capture_output=True, text=True, check=False,
        )  # fmt: skip
