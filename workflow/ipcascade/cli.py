"""`ipcascade <step>`: one sub-command a rule. Files in, files out, options in.

A step's module is imported only when it is called, after the thread count is set: numeric libraries read it once.
"""

import argparse
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import __version__
from .config import parse_options
from .errors import UserError

STEPS = {
    "demo_delivery": "write a small synthetic PATSTAT delivery",
    "corpus": "select documents, labels and a sample from a PATSTAT delivery",
    "splits": "split families into train, val and test",
    "encoder": "find or fetch the pre-trained encoder and lay it down as one checked folder",
    "tokens": "tokenise the corpus once",
    "train": "fine-tune the encoder with its section and class heads",
    "score": "probabilities of every label for the documents of a split",
    "baseline": "fit TF-IDF and a linear SVM, and score val and test with it",
    "thresholds": "fit thresholds on the validation split",
    "metrics": "measure the decisions on a split",
    "table1": "labels by level and split",
    "table2": "the headline measures on test",
    "figure1": "corpus statistics",
    "figure2": "the workflow diagram",
    "figure3": "training curves",
    "predict": "label new texts with a trained model",
    "run_config": "write down the merged config",
    "schema": "write the JSON schema of the config",
    "summary": "print the headline numbers and where the results stand",
}
# The only step that may ask the network for anything; all others run where there is none.
FETCHING_STEP = "encoder"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)

log = logging.getLogger("ipcascade")
# Which of a training's processes this is; 0 also where there is only one.
RANK = int(os.environ.get("RANK", "0"))
# Mostly all ranks fail for the same reason. The first one says it, and the others are ended within this time.
SECONDS_TO_BE_SILENT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step; return the exit code: 0, or 1 after one sentence on stderr for an error that a user can mend."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    step = words[0] if words else None
    threads = argparse.ArgumentParser(add_help=False)
    threads.add_argument("--threads", type=_positive, default=os.cpu_count(), help="CPU threads (default: all cores)")
    _use_threads(_threads_of_rank(threads.parse_known_args(words)[0].threads))
    if step != FETCHING_STEP:
        os.environ["HF_HUB_OFFLINE"] = "1"
    module = importlib.import_module(f".steps.{step}", __package__) if step in STEPS else None
    parser = argparse.ArgumentParser(prog="ipcascade", description="From PATSTAT to a trained patent classifier.")
    parser.add_argument("--version", action="version", version=f"ipcascade {__version__}")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, what in STEPS.items():
        of_step = steps.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", parents=[threads])
        if name == step and module is not None:
            module.add_arguments(of_step)
            of_step.add_argument(
                "--options", default="{}", help="sections of the config, as JSON (default: all defaults)"
            )
            of_step.add_argument("--log", type=Path, help="file for plain progress lines and tracebacks")
    parsed = parser.parse_args(words)
    assert module is not None
    parsed.words = words
    parsed.threads = _threads_of_rank(parsed.threads)
    # A job that is cancelled or out of time gets SIGTERM: leave no temporary file behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _log_to(parsed.log)
        module.run(parsed, parse_options(parsed.options))
    except UserError as error:
        if RANK:
            time.sleep(SECONDS_TO_BE_SILENT)
        log.error("ipcascade %s: %s", step, error)
        return 1
    except BrokenPipeError:  # whoever read the output has had enough: `ipcascade summary | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.strerror is None:
            raise
        # What the operating system refuses (no room, no right, no such folder) is for the user to mend.
        log.error("ipcascade %s: %s: %s", step, error.filename or "a file", error.strerror)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:
        log.debug("", exc_info=True)
        raise
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _threads_of_rank(threads: int) -> int:
    """The share of a job's threads of one of the processes that `launch_ranks` started."""
    return max(1, threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _use_threads(threads: int) -> None:
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"


def _log_to(path: Path | None) -> None:
    """Warnings, errors and steps' facts to stderr; with `path` also every progress line and traceback, to that file.

    On a terminal progress shows as a bar, so its plain lines stay out of stderr there.
    """
    log.setLevel(logging.DEBUG)
    log.propagate = False
    for handler in log.handlers[:]:
        log.removeHandler(handler)
    screen = logging.StreamHandler(sys.stderr)
    # Of several ranks the first speaks for all; of the others only errors are heard.
    screen.setLevel(logging.INFO if RANK == 0 else logging.ERROR)
    if RANK:
        screen.setFormatter(logging.Formatter(f"rank {RANK}: %(message)s"))
    if sys.stderr.isatty():
        screen.addFilter(lambda record: not record.name.endswith(".progress"))
    log.addHandler(screen)
    if path is not None and RANK == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        if "RANK" not in os.environ:
            path.write_bytes(b"")
        # Appended to, since the process that launched ranks has it open too.
        file = logging.FileHandler(path, mode="a", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
        log.addHandler(file)


if __name__ == "__main__":
    sys.exit(main())
