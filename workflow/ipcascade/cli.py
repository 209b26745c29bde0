"""`ipcascade <command>`: one sub-command per module in commands/, most of them one per rule.

A command's module is imported only when it is called, after the thread count is set: numeric libraries read it once.
"""

import argparse
import ast
import errno
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ipcascade import __version__
from ipcascade import config as settings
from ipcascade.core.errors import UserError
from ipcascade.core.logs import logging_to
from ipcascade.core.names import HUB, LAUNCHED

COMMANDS = Path(__file__).parent / "commands"
# The only command that may use the network; all others run where there is none, but with a model on the hub.
FETCHING_COMMAND = "encoder"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
# Settings of matplotlib. Figures need none of them: a backend that is not installed would stop its import, and a
# SOURCE_DATE_EPOCH that is not a number would stop the PDF, which has no date.
FIGURE_VARIABLES = ("MPLBACKEND", "MATPLOTLIBRC", "SOURCE_DATE_EPOCH")
# torchrun sets these for the processes that it starts. So do other launchers, whose ranks are not ours.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
# Mostly all ranks fail for the same reason. The first one reports it, and the others are ended within this time.
SECONDS_BEFORE_OTHER_RANKS_REPORT = 15

log = logging.getLogger("ipcascade")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, or 1 after one sentence on stderr for an error that a user can fix.

    The process is left as it was: environment, signal handlers and loggers.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    with _process_state_restored():
        parsed, module = _parse(words)
        # A job that is cancelled or out of time gets SIGTERM: leave no temporary file behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        return _run(parsed, module)


def command_names() -> dict[str, str]:
    """The commands and what each does: the first line of its module's docstring."""
    found = {}
    for path in sorted(COMMANDS.glob("*.py")):
        described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if described.startswith("Command: "):
            found[path.stem] = described.splitlines()[0].removeprefix("Command: ")
    return found


def _parse(words: list[str]) -> tuple[argparse.Namespace, Any]:
    """The parsed arguments and the module of the command, imported with its threads set."""
    shared = argparse.ArgumentParser(prog="ipcascade", add_help=False)
    shared.add_argument("--threads", type=_positive, default=os.cpu_count(), help="CPU threads (default: all cores)")
    if LAUNCHED not in os.environ:
        for name in RANK_VARIABLES:
            os.environ.pop(name, None)
    threads = _threads_of_rank(shared.parse_known_args(words)[0].threads)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"TOKENIZERS_PARALLELISM": "true"})
    for name in FIGURE_VARIABLES:
        os.environ.pop(name, None)
    shared.add_argument(
        "--config", type=Path, help="config in YAML, as results/run_config.yaml (default: all defaults)"
    )
    shared.add_argument("--log", type=Path, help="file for plain progress lines and causes of errors")
    parser = argparse.ArgumentParser(prog="ipcascade", description="From a patent database to a trained classifier.")
    parser.add_argument("--version", action="version", version=f"ipcascade {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    module = None
    for name, what in command_names().items():
        of_command = commands.add_parser(name, help=what, description=what, parents=[shared])
        if words and words[0] == name:
            if name != FETCHING_COMMAND and not any(word.removeprefix("--model=").startswith(HUB) for word in words):
                os.environ["HF_HUB_OFFLINE"] = "1"
            module = importlib.import_module(f"ipcascade.commands.{name}")
            module.add_arguments(of_command)
    parsed = parser.parse_args(words)
    assert module is not None
    parsed.words, parsed.threads = words, threads
    return parsed, module


def _run(parsed: argparse.Namespace, module: Any) -> int:
    try:
        with logging_to(parsed.log), _sentences(parsed.command):
            module.run(parsed, settings.read(parsed.config))
    except _Reported as reported:
        return reported.code
    except OSError as error:  # of the log file itself
        print(f"ipcascade {parsed.command}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


class _Reported(Exception):
    """An error that was reported; `code` is what the process exits with."""

    def __init__(self, code: int) -> None:
        self.code = code


@contextmanager
def _sentences(command: str) -> Iterator[None]:
    """Report what a user can fix in one sentence on stderr.

    The log file gets its causes, too, and the traceback of any other error.
    """
    try:
        yield
        sys.stdout.flush()  # Python would do so after the command, with a traceback where the disk is full
    except UserError as error:
        if os.environ.get("RANK", "0") != "0":
            time.sleep(SECONDS_BEFORE_OTHER_RANKS_REPORT)
        for cause in _causes(error):
            log.debug("caused by %s: %s", type(cause).__name__, cause)
        log.error("ipcascade %s: %s", command, error)
        raise _Reported(1) from None
    except BrokenPipeError:  # the reader of the output has closed it: `ipcascade summary | head`
        _drop_output()
        raise _Reported(1) from None
    except KeyboardInterrupt:
        raise _Reported(130) from None
    except Exception as error:
        log.debug("", exc_info=True)
        if not isinstance(error, OSError) or error.strerror is None:
            raise
        # What the operating system refuses (disk full, no permission, no such folder) is for the user to fix.
        named = error.filename or "reading or writing failed"
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _drop_output()  # writes to files name the file (core/files.py), so this was a write to the standard output
            named = "the standard output could not be written"
        log.error("ipcascade %s: %s: %s", command, named, error.strerror)
        raise _Reported(1) from None


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, so that the end of the process does not fail for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _causes(error: BaseException) -> list[BaseException]:
    """The errors behind an error, the nearest first; `from None` keeps one off the screen, not out of the log file."""
    found = []
    while behind := error.__cause__ or error.__context__:
        found.append(behind)
        error = behind
    return found


@contextmanager
def _process_state_restored() -> Iterator[None]:
    """Leave environment and signal handler as they were."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        if handler is not None:  # None: one that was not installed from Python, which cannot be installed again
            signal.signal(signal.SIGTERM, handler)


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _threads_of_rank(threads: int) -> int:
    """The share of a job's threads of one of the processes that `launch_ranks` started."""
    return max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


if __name__ == "__main__":
    sys.exit(main())
