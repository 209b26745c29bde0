"""The processes (ranks) of one training, one per device.

`launch_ranks` starts them and gives each its place through environment variables. They do the same steps on their own
share of each batch and agree on all that must not differ between them: gradients, the loss shown, and whether to stop.
With a single process every exchange is with itself.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed, nn


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
        """This rank's share of `items`, dealt back and forth: where they are sorted, every rank gets similar ones."""
        return items[self._dealt(len(items)) == self.rank]

    def _dealt(self, count: int) -> np.ndarray:
        rounds, places = np.divmod(np.arange(count), self.size)
        return np.where(rounds % 2, self.size - 1 - places, places)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model such that backward averages gradients over ranks. Its weights are those of rank 0 from now on."""
        if self.size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        # Nothing is unused, but only so are gradients summed in the same order in the first step after a restart:
        # otherwise they are put together anew after that step, in the order in which they came.
        return nn.parallel.DistributedDataParallel(
            model, device_ids=devices, find_unused_parameters=True, forward_sync_buffers=False
        )  # the only buffers are constants

    def gradients_averaged(self, model: nn.Module, last: bool) -> AbstractContextManager[None]:
        """The context of one of a step's micro-batches: gradients are averaged over ranks in the `last` one only."""
        return nullcontext() if self.size == 1 or last else model.no_sync()  # type: ignore[operator]

    def all_reduce_mean(self, value: Tensor) -> Tensor:
        """The mean over ranks of a tensor of any shape."""
        if self.size == 1:
            return value
        summed = value.clone()
        distributed.all_reduce(summed)
        return summed / self.size

    def all_reduce_max(self, number: int) -> int:
        """The largest of the ranks' numbers. Waits for no GPU: it goes from host to host."""
        if self.size == 1:
            return number
        found = torch.tensor(number)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def barrier(self) -> None:
        """Wait until all ranks have come here; on the host, so that it waits for no GPU."""
        self.all_reduce_max(0)

    def all_gather_rows(self, rows: np.ndarray, count: int) -> np.ndarray:
        """The float rows [count, ...] of items, from what each rank has of its `share` of them."""
        if self.size == 1:
            return rows
        whole = torch.zeros((count, *rows.shape[1:]), dtype=torch.from_numpy(rows).dtype)
        whole[torch.from_numpy(self._dealt(count) == self.rank)] = torch.from_numpy(rows)
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
