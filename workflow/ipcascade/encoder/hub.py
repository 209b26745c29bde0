"""Files of a Hugging Face hub repository at one commit: fetched into the hub's cache on this machine, and verified.

A commit pins what the files are, but a download that broke off or a damaged cache can still change a copy. So
huggingface_hub compares each file with the hash that the hub declares for it at that commit. Where the hub cannot be
asked, the copy that an earlier fetch left in the cache is used, and the log says so.

Two parts are our own:
- Files are downloaded one after the other, in this thread, over plain HTTPS. `snapshot_download` starts a thread pool,
  even for one worker, so that a signal (Ctrl-C, or SIGTERM at the end of a job) is answered only when the file has
  ended or its retries are over (65 s on a stalled connection, 0.1 s here); and it reports one total in place of each
  file's progress. It is used to find the copy in the cache where the hub cannot be asked. A chunk store with hosts and
  retries of its own (Xet) takes minutes to give up on a blocked host.
- A copy that differs is removed from the cache: `verify_repo_checksums` only reports it, and the next download would
  take the copy in the cache again.
"""

import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from ipcascade.core.errors import UserError
from ipcascade.core.progress import Progress
from ipcascade.encoder.options import COMMIT

log = logging.getLogger(__name__)
# huggingface_hub reads these when it is first imported. Its telemetry is a request of its own.
SETTINGS = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

Choice = Callable[[Collection[str]], Sequence[str]]


class Names(NamedTuple):
    """What messages call the place in which a user names a repository and its commit: keys of the config, an option."""

    name: str
    revision: str


_OF_THE_CONFIG = Names("encoder.name", "encoder.revision")
# Messages alone read it: an argument of `fetch` would have every encoder fetched again (orchestration/fingerprint.py).
_NAMES: ContextVar[Names] = ContextVar("names", default=_OF_THE_CONFIG)


@contextmanager
def named_as(names: Names) -> Iterator[None]:
    """Within the block, messages of `fetch` call what a user gave by these names."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


class NotFetchedError(UserError):
    """The hub cannot be reached or broke off, and its cache on this machine does not hold the files."""


def fetch(name: str, revision: str | None, choose: Choice) -> Path:
    """The folder in the hub's cache that holds the chosen files of a repository.

    name: OWNER/NAME. revision: the full hash of a commit. choose: picks the files to fetch, in order, from the names of
    all files in the repository, or of those in the cache where the hub cannot be asked; raises LookupError saying what
    is missing.
    Raises UserError where there is no such repository, commit or file, or where a file is not what the hub declares;
    NotFetchedError where the hub cannot be reached and the cache does not hold the files.
    """
    if revision is None or not re.fullmatch(COMMIT, revision):
        raise UserError(
            f"{_NAMES.get().revision} is {revision or 'not set'}: a hub id ({name}) needs the full hash of a commit "
            "(40 digits), since a branch or tag may point to other files tomorrow"
        )
    os.environ.update(SETTINGS)
    from huggingface_hub import hf_hub_download

    with _warnings_in_our_log():
        try:
            files = _files(name, revision)
        except NotFetchedError as error:
            return _cached(name, revision, choose, error)
        try:
            chosen = choose(files)
        except LookupError as lack:
            raise UserError(f"{_NAMES.get().name}: {name} at revision {revision} has {lack}") from None
        with _one_sentence(name, revision):
            paths = [hf_hub_download(name, file, revision=revision, tqdm_class=_progress_of(file)) for file in chosen]
        _verify(name, revision, chosen)
    log.info("%s at revision %s: %d files, all as the hub declares them", name, revision, len(chosen))
    return Path(paths[0]).parent


@contextmanager
def _warnings_in_our_log() -> Iterator[None]:
    """Warnings of huggingface_hub (a connection that broke, a server that asks to wait) go where ours go."""
    library = logging.getLogger("huggingface_hub")
    before = library.handlers[:]
    library.handlers[:] = logging.getLogger("ipcascade").handlers
    try:
        yield
    finally:
        library.handlers[:] = before


def _files(name: str, revision: str) -> list[str]:
    """The names of all files of the repository."""
    from huggingface_hub import HfApi, constants

    with _one_sentence(name, revision):
        found = HfApi().model_info(name, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    return [file.rfilename for file in found.siblings or ()]


def _cached(name: str, revision: str, choose: Choice, unreachable: NotFetchedError) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # No patterns: which files are needed is for `choose` to say, from those that are there.
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=[]))
    except LocalEntryNotFoundError:
        raise NotFetchedError(f"{unreachable}, and it is not in the cache {constants.HF_HUB_CACHE}") from unreachable
    try:
        choose([path.name for path in folder.iterdir() if path.is_file()])
    except LookupError as lack:
        raise NotFetchedError(f"{unreachable}, and its copy in the cache {folder} has {lack}") from unreachable
    log.warning("%s; the copy in the cache %s is used as it is, without asking the hub", unreachable, folder)
    return folder


def _verify(name: str, revision: str, chosen: Collection[str]) -> None:
    """Compare the fetched files with the hashes that the hub declares; remove from the cache those that differ."""
    from huggingface_hub import HfApi

    with _one_sentence(name, revision):
        found = HfApi().verify_repo_checksums(name, revision=revision)
    wrong = [mismatch for mismatch in found.mismatches if mismatch["path"] in chosen]
    remedies = [_remove(found.verified_path / mismatch["path"]) for mismatch in wrong]
    for mismatch, remedy in zip(wrong, remedies, strict=True):
        raise UserError(
            f"{_NAMES.get().name}: {mismatch['path']} of {name} at revision {revision} has the hash "
            f"{mismatch['actual']}, but the hub declares {mismatch['expected']}; {remedy}"
        )


def _remove(path: Path) -> str:
    """Remove a file from the cache, where its name links to its content; say what the user is to do."""
    copy = path.resolve()
    try:
        copy.unlink()
        path.unlink(missing_ok=True)
    except OSError:
        return f"delete {copy} and run this again"
    return "the copy was removed from the cache, so run this again"


@contextmanager
def _one_sentence(name: str, revision: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence."""
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        raise UserError(
            f"{_NAMES.get().name}: {name} is gated: accept its terms on its page, and set HF_TOKEN to a token of yours"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{_NAMES.get().name}: {name} is not on the hub, and there is no such folder here; check the name, or set "
            "HF_TOKEN if the repository is private"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"{_NAMES.get().revision}: {name} has no commit {revision}; {constants.ENDPOINT}/{name}/commits/main lists "
            "them"
        ) from None
    except errors.HFValidationError as error:
        raise UserError(f"{_NAMES.get().name}: {name} is not a valid hub id: {_first_line(error)}") from None
    except errors.OfflineModeIsEnabled as error:
        raise NotFetchedError(_unreachable(name, revision, "HF_HUB_OFFLINE is set")) from error
    except Exception as error:
        # Its own errors, its HTTP client's and bare OSErrors all mean that nothing came; an error of the operating
        # system in the cache (disk full, no permission) does not.
        if isinstance(error, OSError) and error.strerror is not None:
            raise
        raise NotFetchedError(_unreachable(name, revision, f"{type(error).__name__}: {_first_line(error)}")) from error


def _unreachable(name: str, revision: str, reason: str) -> str:
    return f"{_NAMES.get().name}: {name} at revision {revision} cannot be fetched from the hub ({reason})"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0]


def _progress_of(file: str) -> Any:
    """The class that huggingface_hub uses, as it would tqdm, to report a file's download."""

    class Download(Progress):
        def __init__(self, *, total: int | None = None, initial: int = 0, **_: object) -> None:
            super().__init__(f"fetching {file}", total, "bytes", done=initial)

        def update(self, amount: int) -> None:
            self.advance(amount)

    return Download
