"""Files of a Hugging Face hub repository at one commit: fetched into the hub's cache on this machine, and checked.

A commit pins what the files are, not what a broken line or a broken cache makes of them. So each file is compared with
the hash that the hub declares for it at that commit. Where the hub cannot be asked, what an earlier fetch left in the
cache is taken, and the log says so.

Files come one after the other over plain HTTPS. A thread pool (snapshot_download) or a chunk store with hosts and
retries of its own (Xet) might save seconds of the one download, but answer no signal before a file has ended, or take
minutes to give up on a blocked host.
"""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .doors import file_checksum
from .errors import UserError
from .progress import Progress

log = logging.getLogger(__name__)
COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256_DIGITS = 64
# huggingface_hub reads these when it is first imported. Its telemetry is a request of its own.
SETTINGS = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

Choice = Callable[[Collection[str]], Sequence[str]]


class NotFetchedError(UserError):
    """The hub cannot be asked or broke off, and its cache on this machine does not hold the files."""


def fetch(name: str, revision: str | None, choose: Choice) -> Path:
    """The folder in the hub's cache that holds the chosen files of a repository.

    name: OWNER/NAME. revision: the full hash of a commit. choose: picks the files to fetch, in order, from the names of
    all files in the repository, or of those in the cache where the hub cannot be asked; raises LookupError saying what
    is lacking.
    Raises UserError where there is no such repository, commit or file, or where a file is not what the hub declares;
    NotFetchedError where the hub cannot be reached and the cache does not do.
    """
    if revision is None or not COMMIT.fullmatch(revision):
        raise UserError(
            f"encoder.revision is {revision or 'not set'}: a hub id ({name}) needs the full hash of a commit "
            "(40 digits), since a branch or tag may stand for other files tomorrow"
        )
    os.environ.update(SETTINGS)
    from huggingface_hub import hf_hub_download

    # Its warnings (a line that broke, a server that asks to wait) belong into the log as well.
    logging.getLogger("huggingface_hub").handlers = logging.getLogger("ipcascade").handlers[:]
    try:
        declared = _declared_hashes(name, revision)
    except NotFetchedError as error:
        return _cached(name, revision, choose, error)
    try:
        chosen = choose(list(declared))
    except LookupError as lack:
        raise UserError(f"encoder.name: {name} at revision {revision} has {lack}") from None
    for file in chosen:
        with _one_sentence(name, revision):
            path = Path(hf_hub_download(name, file, revision=revision, tqdm_class=_progress_of(file)))
        _check(path, declared[file], f"{file} of {name} at revision {revision}")
    log.info("%s at revision %s: %d files, all as the hub declares them", name, revision, len(chosen))
    return path.parent


def _declared_hashes(name: str, revision: str) -> dict[str, str | None]:
    """File names to hashes: SHA-256 where Git LFS holds the file, Git's own hash of its content otherwise."""
    from huggingface_hub import HfApi, constants

    with _one_sentence(name, revision):
        found = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    return {file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id for file in found.siblings or ()}


def _cached(name: str, revision: str, choose: Choice, unreachable: NotFetchedError) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=[]))
    except LocalEntryNotFoundError:
        raise NotFetchedError(f"{unreachable}, and it is not in the cache {constants.HF_HUB_CACHE}") from unreachable
    try:
        choose([path.name for path in folder.iterdir() if path.is_file()])
    except LookupError as lack:
        raise NotFetchedError(f"{unreachable}, and its copy in the cache {folder} has {lack}") from unreachable
    log.warning("%s; taken from the cache %s as it stands there, without asking the hub", unreachable, folder)
    return folder


@contextmanager
def _one_sentence(name: str, revision: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence."""
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        raise UserError(
            f"encoder.name: {name} is gated: accept its terms on its page, and set HF_TOKEN to a token of yours"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"encoder.name: the hub knows no {name}, and there is no such folder here; check the name, or set HF_TOKEN "
            "where the repository is private"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"encoder.revision: {name} has no commit {revision}; {constants.ENDPOINT}/{name}/commits/main lists them"
        ) from None
    except errors.HFValidationError as error:
        raise UserError(f"encoder.name: {name} is no hub id: {_first_line(error)}") from None
    except errors.OfflineModeIsEnabled as error:
        raise NotFetchedError(_unreachable(name, revision, "HF_HUB_OFFLINE is set")) from error
    except Exception as error:
        # Its own errors, its HTTP client's and bare OSErrors: nothing came. Only what the operating system says of the
        # cache (no room, no right) is another matter.
        if isinstance(error, OSError) and error.strerror is not None:
            raise
        raise NotFetchedError(_unreachable(name, revision, f"{type(error).__name__}: {_first_line(error)}")) from error


def _unreachable(name: str, revision: str, reason: str) -> str:
    return f"encoder.name: {name} at revision {revision} cannot be fetched from the hub ({reason})"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0]


def _check(path: Path, declared: str | None, what: str) -> None:
    """Compare a fetched file with the hash that the hub declares; remove it from the cache where it differs."""
    if declared is None:
        log.warning("the hub declares no checksum of %s", what)
        return
    found = file_checksum(path) if len(declared) == SHA256_DIGITS else _git_hash(path)
    if found == declared:
        return
    copy = path.resolve()
    try:
        copy.unlink()
        path.unlink(missing_ok=True)
        remedy = "the copy was removed from the cache, so run this again"
    except OSError:
        remedy = f"delete {copy} and run this again"
    raise UserError(f"encoder.name: {what} has the hash {found}, but the hub declares {declared}; {remedy}")


def _git_hash(path: Path) -> str:
    """The name that Git gives a file's content: SHA-1 over a header with its length, and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _progress_of(file: str) -> Any:
    """What huggingface_hub reports a file's download to: a class that it uses like tqdm's."""

    class Download(Progress):
        def __init__(self, *, total: int | None = None, initial: int = 0, **_: object) -> None:
            super().__init__(f"fetching {file}", total, "bytes", done=initial)

        def update(self, amount: int) -> None:
            self.advance(amount)

    return Download
