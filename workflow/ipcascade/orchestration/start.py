"""What happens when a run starts, after its jobs are known and before the first of them."""

from collections.abc import Callable
from typing import Any


def at_start(workflow: Any, function: Callable[[], None]) -> None:
    """Call `function` when a run starts, but not in a dry run nor in the processes of jobs.

    As `onstart`, of which Snakemake runs only that of the main Snakefile, not that of a module.
    """
    others = workflow._onstart

    def start(log: Any) -> None:
        function()
        others(log)

    workflow._onstart = start
