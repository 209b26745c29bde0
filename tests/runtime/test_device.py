"""Which device is chosen, and the message where torch sees no GPU."""

import pytest
import torch

from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.runtime.device import choose_device

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "LOCAL_WORLD_SIZE", "LOCAL_RANK")


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
def test_a_job_without_a_gpu_is_recognised_in_several_ways(monkeypatch, value):
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


@pytest.mark.parametrize("command", ["train", "score", "predict"])
def test_commands_look_for_the_gpu_before_they_read_anything(command, monkeypatch, tmp_path, capsys):
    """No input exists, so a command that read first would complain about that."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    documents = ["--corpus", "none", "--splits", "none", "--tokens", "none"]
    files = {
        "train": [
            *documents,
            "--encoder",
            "none",
            "--checkpoints",
            "none",
            "--model",
            "none",
            "--epochs",
            "none",
            "--validation-scores",
            "none",
        ],
        "score": [*documents, "--model", "none", "--split", "val", "--scores", "none", "--vectors", "none"],
        "predict": [
            "--texts",
            "none",
            "--model",
            "none",
            "--thresholds",
            "none",
            "--predictions",
            "none",
            "--combiner",
            "none",
        ],
    }
    monkeypatch.chdir(tmp_path)
    assert main([command, *files[command]]) == 1
    assert "this job was given a GPU (CUDA_VISIBLE_DEVICES=0)" in capsys.readouterr().err
