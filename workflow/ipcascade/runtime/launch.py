"""How the processes (ranks) of one training are started on this machine."""

import os
import signal
from collections.abc import Sequence

from ipcascade.core.errors import UserError
from ipcascade.core.names import LAUNCHED
from ipcascade.runtime.torch_private import KilledRank, run_torchrun

# After SIGTERM the first rank may still have a checkpoint to write.
SECONDS_TO_SAVE = 120


def launch_ranks(count: int, words: Sequence[str]) -> int:
    """Run `ipcascade WORDS` as `torchrun --standalone` does, in `count` processes; return the exit code.

    Raises UserError where a signal ended one of them.
    """
    options = ["--standalone", "--nproc-per-node", str(count), "--shutdown-timeout", str(SECONDS_TO_SAVE), "-m"]
    os.environ[LAUNCHED] = "1"
    try:
        # After `--` torchrun's parser does not read our words, some of which look like abbreviations of its options.
        return run_torchrun([*options, "--", "ipcascade", *words])
    except KilledRank as killed:
        raise UserError(
            f"rank {killed.rank} was killed by {signal.Signals(killed.signal).name} (SIGKILL often means that the job "
            "had too little memory); submitted again, training goes on from its last checkpoint"
        ) from None


def is_rank() -> bool:
    """Whether this process is one of those that `launch_ranks` started."""
    return "LOCAL_RANK" in os.environ
