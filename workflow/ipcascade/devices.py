"""Where tensors live: one device a process, and the processes of one training when there are several.

`launch_ranks` starts one process (rank) a device and tells each its place through environment variables. Ranks then do
the same steps on their own share of each batch and agree on all that must not differ between them: gradients, the loss
shown, and whether to stop. With a single process every agreement is its own.
"""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn

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


def launch_ranks(count: int, words: Sequence[str]) -> int:
    """Run `ipcascade WORDS` as `torchrun --standalone` does, in `count` processes of this machine; the exit code.

    In this process rather than by its command, whose answer to a rank's exit code is a page of traceback.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        # After `--` its parser leaves the words alone: ours look like abbreviations of its own.
        torchrun(["--standalone", "--nproc-per-node", str(count), "-m", "--", "ipcascade", *words])
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


@dataclass(frozen=True)
class Ranks:
    """The processes of one training: this one's number, how many there are, and what they exchange.

    Every method that exchanges must be called by all ranks, in the same order.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files."""
        return self.rank == 0

    def share(self, items: np.ndarray) -> np.ndarray:
        """This rank's share of `items`: every size-th, from its own number on."""
        return items[self.rank :: self.size]

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model such that backward averages gradients over ranks. Its weights are those of rank 0 from now on."""
        if self.size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over ranks of a tensor of any shape."""
        if self.size == 1:
            return value
        summed = value.clone()
        distributed.all_reduce(summed)
        return summed / self.size

    def largest(self, number: int) -> int:
        """The largest of the ranks' numbers. Waits for no GPU: it goes from host to host."""
        if self.size == 1:
            return number
        found = torch.tensor(number)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def wait(self) -> None:
        """Until all ranks have come here."""
        self.largest(0)

    def joined(self, rows: np.ndarray, count: int) -> np.ndarray:
        """The float rows [count, ...] of items, put together from what each rank has of its `share` of them."""
        if self.size == 1:
            return rows
        whole = torch.zeros((count, *rows.shape[1:]), dtype=torch.from_numpy(rows).dtype)
        whole[self.rank :: self.size] = torch.from_numpy(rows)
        distributed.all_reduce(whole)  # exact: of every row all ranks but one hold zeros
        return whole.numpy()


@contextmanager
def ranks_of(device: torch.device) -> Iterator[Ranks]:
    """This process among those that `launch_ranks` started; alone where it was started by itself."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(0, 1, device)
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield Ranks(distributed.get_rank(), size, device)
    # Only after success: a rank that fails must not wait for the others, which the launcher ends.
    distributed.destroy_process_group()
