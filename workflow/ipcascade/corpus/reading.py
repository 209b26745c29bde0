"""The parts of a source's tables, several at a time in processes of their own, each with its result on disk.

What was read of a part stays where a run is killed, and the next run of the same source, options and code reads only
the other parts. Nothing depends on how many processes there are.
"""

import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ipcascade.core.errors import UserError
from ipcascade.core.files import dump_json, read_json, write_json
from ipcascade.core.progress import Progress
from ipcascade.corpus.scratch import Scratch, is_whole
from ipcascade.sources.base import PartRead, Source

SMALL_BYTES = 16 << 20
"""A table below is read by this process: others would take longer to start."""
_IDENTITY, _FACTS, _READ = "identity", "facts.json", "read"
_THREADS = "POLARS_MAX_THREADS"


class PartWork(Protocol):
    """What is done with a part: it puts tables on disk and returns facts, plain data. Other processes get it, too.

    what: of the source, as `Source.parts` takes it; stage: a name that no other work has.
    """

    @property
    def what(self) -> str:
        """What is read."""

    @property
    def stage(self) -> str:
        """What is done with it."""

    def __call__(self, source: Source, part: int, scratch: Scratch) -> dict[str, Any]:
        """Do it with a part."""


class ProcessLost(UserError):
    """A process that read a part was ended by something else."""


class PartReader:
    """Reads the parts of a source's tables. `reading` makes one.

    reopen: opens the same source in another process; processes: how many read at the same time.
    """

    def __init__(self, source: Source, scratch: Scratch, reopen: Callable[[], Source], processes: int) -> None:
        self.source, self.scratch = source, scratch
        self._reopen, self._processes = reopen, processes

    def keep(self, name: str, numbers: np.ndarray) -> Path:
        """A file of numbers, for works to read with `kept_numbers`."""
        path = self.scratch.folder / f"{name}.npy"
        try:
            np.save(path, numbers)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
        return path

    def read(self, work: PartWork, task: str) -> list[dict[str, Any]]:
        """The facts of all parts, with progress named `task`; the tables of all are in `scratch` then.

        Raises UserError as the source does, and where a process was ended by something else.
        """
        sizes = self.source.parts(work.what)
        folders = [self.scratch.folder / _READ / work.stage / f"{part:06d}" for part in range(len(sizes))]
        left = [part for part, folder in enumerate(folders) if not _was_read(folder)]
        # The largest first, so that none is left alone at the end.
        left.sort(key=lambda part: (-sizes[part], part))
        done = sum(_rows_of(folder) for part, folder in enumerate(folders) if part not in set(left))
        with Progress(task, self.source.expected_rows(work.what), "rows", done=done) as progress:
            if self._processes == 1 or len(left) < 2 or sum(sizes[part] for part in left) < SMALL_BYTES:
                with self.advancing(progress):
                    for part in left:
                        _read_part(self.source, work, part, folders[part])
            else:
                for rows in self._by_processes(work, {part: folders[part] for part in left}):
                    progress.advance(rows)
        found = [read_json(folder / _FACTS) for folder in folders]
        # What was noted of parts that another process read, or an earlier run.
        self.source.notes += [note for facts in found for note in facts["notes"] if note not in self.source.notes]
        self.source.complete([PartRead(**read) for facts in found for read in facts["reads"]])
        for folder in folders:
            self.scratch.adopt(folder)
        return [facts["facts"] for facts in found]

    @contextmanager
    def advancing(self, progress: Progress) -> Iterator[None]:
        """Inside, rows that the source reads advance some progress."""
        before = self.source.advance
        self.source.advance = progress.advance
        try:
            yield
        finally:
            self.source.advance = before

    def _by_processes(self, work: PartWork, folders: Mapping[int, Path]) -> Iterator[int]:
        """Rows of each part as it is done."""
        context = get_context("spawn")
        # Not an event, whose setting waits for all who wait for it: one of these may have been killed.
        stop = context.RawValue("b", 0)
        with (
            _one_thread_each(),
            ProcessPoolExecutor(
                min(self._processes, len(folders)), context, _begin, (self._reopen, work, stop)
            ) as processes,
        ):
            try:
                jobs = [processes.submit(_read_part_here, part, folder) for part, folder in folders.items()]
                for job in as_completed(jobs):
                    yield job.result()
            except BrokenProcessPool as error:
                raise ProcessLost(
                    f"{self.source.place}: a process that read {self.source.table_of(work.what)} was ended from "
                    "outside, mostly for want of memory; give the job more memory or fewer threads, and run it again "
                    "(parts that were read stay)"
                ) from error
            except BaseException:
                stop.value = 1
                raise


def kept_numbers(path: Path) -> np.ndarray:
    """The numbers that `PartReader.keep` put into a file, read as they are needed."""
    numbers: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return numbers


@contextmanager
def reading(
    source: Source, folder: Path, identity: Mapping[str, Any], reopen: Callable[[], Source], processes: int
) -> Iterator[PartReader]:
    """A reader of a source with tables in a folder of that path, which is deleted at the end.

    It is not where the run is killed or interrupted; then the next one begins with the parts that were read. identity:
    what, with the content of the source, decides what is read, plain data: parts of anything else are deleted first.
    """
    of_source = source.identity()
    _begin_folder(folder, None if of_source is None else {**identity, "source": of_source})
    try:
        yield PartReader(source, Scratch(folder), reopen, processes)
    except (KeyboardInterrupt, SystemExit, ProcessLost):
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _begin_folder(folder: Path, identity: Mapping[str, Any] | None) -> None:
    """Delete what is there, but for parts that were read of the same source."""
    key = None if identity is None else hashlib.sha256(dump_json(identity).encode()).hexdigest()
    try:
        if key is not None and (folder / _IDENTITY).is_file() and (folder / _IDENTITY).read_text() == key:
            for other in folder.iterdir():
                if other.name not in (_IDENTITY, _READ):
                    shutil.rmtree(other) if other.is_dir() else other.unlink()
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if key is not None:
            (folder / _IDENTITY).write_text(key)
    except OSError as error:
        raise UserError(f"{folder}: tables cannot be put there: {error.strerror or error}") from error


def _was_read(folder: Path) -> bool:
    """Whether a part was read before, and what was put on disk then is there."""
    return (folder / _FACTS).is_file() and is_whole(folder)


def _read_part(source: Source, work: PartWork, part: int, folder: Path) -> int:
    """Read a part, and put what is known of it into its folder; return the number of its rows."""
    shutil.rmtree(folder, ignore_errors=True)  # half of it, of a run that was killed
    source.reads.clear()
    noted = len(source.notes)
    scratch = Scratch(folder)
    facts = work(source, part, scratch)
    scratch.close()
    reads = [asdict(read) for read in source.reads]
    write_json(folder / _FACTS, {"facts": facts, "reads": reads, "notes": source.notes[noted:]})
    return _rows_of(folder)


def _rows_of(folder: Path) -> int:
    """The rows of a part that was read."""
    return sum(read["rows"] for read in read_json(folder / _FACTS)["reads"])


_here: dict[str, Any] = {}
"""Of a process that reads parts: the source, opened when the first part comes, and the work."""


def _begin(reopen: Callable[[], Source], work: PartWork, stop: Any) -> None:
    """Begin a process that reads parts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which comes to all processes of a terminal
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    _here.update(reopen=reopen, work=work)


def _end_with_parent(stop: Any) -> None:
    """End this process, whatever it does, where the one that started it has ended or needs nothing more of it.

    stop: a shared number, 0 until then.
    """
    parent = parent_process()
    while not stop.value and parent is not None and parent.is_alive():
        time.sleep(0.5)
    os._exit(0)


def _read_part_here(part: int, folder: Path) -> int:
    if "source" not in _here:
        _here["source"] = _here["reopen"]()
    return _read_part(_here["source"], _here["work"], part, folder)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Inside, processes that are started have one thread for polars, since there are as many processes as cores."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before
