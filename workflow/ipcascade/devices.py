"""Where a process computes, and how several processes of one training are started.

Nothing here changes a result but through the precision that a device brings along.
"""

import logging
import os
import signal
from collections.abc import Sequence

import torch

from .errors import UserError


def choose_device(accelerator: str, section: str) -> torch.device:
    """The device of this process.

    accelerator: `auto`, `cuda` or `cpu`, from the config's `section` (for the message). `auto` takes CUDA where torch
    sees it and the CPU elsewhere, but not in a job that was given a GPU: a day on its CPU is no answer.
    Raises UserError where a GPU is wanted and torch sees none, or fewer than there are ranks.
    """
    if accelerator == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        ranks, seen = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
        if ranks > seen:
            raise UserError(
                f"{section}.devices is {ranks}, but torch sees {seen} GPU(s); give the job as many "
                f"(on Slurm: gres gpu:{ranks}) or set {section}.devices: {seen}"
            )
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        return device
    given = _given_gpus()
    if accelerator == "cuda" or given:
        whose = f"this job was given a GPU ({given})" if given else f"{section}.accelerator is cuda"
        raise UserError(
            f"{whose}, but torch {torch.__version__} sees none: {_why_not(given)}; "
            f"or set {section}.accelerator: cpu to do without"
        )
    return torch.device("cpu")


def _given_gpus() -> str | None:
    """How the scheduler says that the job has a GPU, as NAME=VALUE; None where it says nothing of the kind."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS"):
        value = os.environ.get(name, "")
        if value not in ("", "-1", "NoDevFiles"):
            return f"{name}={value}"
    return None


def _why_not(given: str | None) -> str:
    if torch.version.cuda is None:
        return (
            "it is a build without CUDA; install the CUDA build of the same version into this environment "
            "(docs/stanage.md, 'A GPU that torch does not see')"
        )
    if given is None:
        return "no GPU was asked for; on Slurm the rule needs gres gpu:1 in a GPU partition"
    return (
        f"it was built for CUDA {torch.version.cuda}; see whether `nvidia-smi` shows the GPU inside a job, and whether "
        "its driver is new enough for that CUDA"
    )


# After SIGTERM the first rank may still have a checkpoint to write.
SECONDS_TO_SAVE = 120


def launch_ranks(count: int, words: Sequence[str]) -> int:
    """Run `ipcascade WORDS` as `torchrun --standalone` does, in `count` processes of this machine; the exit code.

    In this process rather than by its command, whose answer to a rank's exit code is a page of traceback.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        options = ["--standalone", "--nproc-per-node", str(count), "--shutdown-timeout", str(SECONDS_TO_SAVE), "-m"]
        # After `--` its parser leaves the words alone: ours look like abbreviations of its own.
        torchrun([*options, "--", "ipcascade", *words])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            raise UserError(
                f"rank {rank} was killed by {name} (SIGKILL often means that the job had too little memory); "
                "submitted again, training goes on from its last checkpoint"
            ) from None
        return failure.exitcode
    except SignalException as told:
        return 128 + told.sigval
    return 0


def is_rank() -> bool:
    """Whether this process is one of those that `launch_ranks` started."""
    return "LOCAL_RANK" in os.environ
