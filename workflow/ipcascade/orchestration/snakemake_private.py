"""All private parts of Snakemake that ipcascade touches: how records of jobs are kept, and what happens at a start.

Records of jobs say what outputs were made with. Two changes concern `PersistenceBase.finished`, which writes them; they
are made only where Snakemake is as expected (`differences`).

- Snakemake records a job that failed like one that succeeded (snakemake#3808). Where the outputs of later rules exist
  from an earlier run, the failed job is then never run again: its options are those on record, and nothing asks for its
  outputs. Here the record of the last success is kept.
- A job that was submitted leaves its record to the Snakemake that submitted it. Where that one was killed, the outputs
  have no record, and no change of options or code would ever make them again. Here such a job writes a record itself,
  without checksums of its inputs, which its submitter adds if it still runs.
"""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import snakemake
from snakemake.jobs import Job
from snakemake.persistence import PersistenceBase
from snakemake_interface_executor_plugins.settings import ExecMode

# The last version that these changes were tested with; the first is `min_version` in the Snakefile.
LAST_TESTED = "9.27.1"
CHANGED = ((PersistenceBase, "finished", {"self", "job"}), (Job, "postprocess", {"self", "error"}))

_failed = ContextVar("failed", default=False)


def differences() -> list[str]:
    """What of this Snakemake is not as these changes expect it, one sentence each."""
    found = []
    for holder, name, parameters in CHANGED:
        function = getattr(holder, name, None)
        missing = sorted(parameters - set(inspect.signature(function).parameters)) if function else []
        if missing or not inspect.iscoroutinefunction(function):
            what = f"does not take {', '.join(missing)}" if missing else "is not a coroutine"
            found.append(f"Snakemake {snakemake.__version__}: {holder.__name__}.{name} {what}")
    return found


def keep_true_records() -> list[str]:
    """Make both changes in this process, unless Snakemake is not as expected; returns why it is not."""
    if found := differences():
        return found
    postprocess, finished = Job.postprocess, PersistenceBase.finished

    async def postprocess_noting_failure(job: Any, *arguments: Any, error: bool = False, **more: Any) -> None:
        _failed.set(error)
        await postprocess(job, *arguments, error=error, **more)

    async def finished_unless_failed(persistence: Any, job: Any) -> None:
        if not _failed.get():
            workflow = persistence.dag.workflow
            await finished(persistence if workflow.is_main_process else _as_in_main_process(persistence), job)

    Job.postprocess, PersistenceBase.finished = postprocess_noting_failure, finished_unless_failed
    return []


def at_start(workflow: Any, function: Callable[[], None]) -> None:
    """Call `function` when a run starts, but not in a dry run nor in the processes of jobs.

    As `onstart`, of which Snakemake runs only that of the main Snakefile, not that of a module.
    """
    others = workflow._onstart

    def start(log: Any) -> None:
        function()
        others(log)

    workflow._onstart = start


def _as_in_main_process(persistence: Any) -> Any:
    """Persistence that takes itself for that of the main process, and computes no checksums."""
    workflow = _With(persistence.dag.workflow, exec_mode=ExecMode.DEFAULT)
    return _With(persistence, dag=_With(persistence.dag, workflow=workflow), max_checksum_file_size=0)


class _With:
    """An object as it is, but for some attributes."""

    def __init__(self, original: Any, **attributes: Any) -> None:
        self._original = original
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)
