"""A small Hugging Face hub on this machine: what `ipcascade encoder` asks of the real one, and its accidents.

It answers for one repository at a commit: its metadata, the hashes of its files, and the files, small ones itself and
large ones (Git LFS) by a redirect to another host, as the real hub does. `content` is what it declares; other fields
make it serve otherwise.
"""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

LFS_ENDINGS = (".safetensors", ".bin", ".h5", ".msgpack")
POINTER_SIZE = 135  # of Git LFS; any number will do


@dataclass
class FakeHub:
    """One repository at one commit; every other repository and revision is unknown."""

    name: str
    commit: str
    content: Mapping[str, bytes]
    served: dict[str, bytes] = field(default_factory=dict)
    """Bytes to serve in place of those declared."""
    cut_off: dict[str, int] = field(default_factory=dict)
    """The connection breaks off before this byte of a file, however often it is asked for."""
    breaks_once: dict[str, int] = field(default_factory=dict)
    """The connection breaks off before this byte of a file, the first time."""
    stalls: dict[str, int] = field(default_factory=dict)
    """Nothing more comes after this byte of a file, though the connection stays open."""
    status: int | None = None
    """Answer every request with this status."""
    hashes_status: int | None = None
    """Answer requests for the files' hashes with this status."""
    gated: bool = False
    """Files are for those who have accepted the repository's terms; its metadata are for all."""
    asked: list[str] = field(default_factory=list)
    """Method and path of every request."""
    url: str = ""
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set when a file has stalled."""
    ended: threading.Event = field(default_factory=threading.Event)

    def downloaded(self) -> Counter[str]:
        """How often each file's bytes were asked for."""
        return Counter(path.rsplit("/", 1)[-1] for path in self.asked if re.match("GET /(files|.+/resolve)/", path))

    @contextmanager
    def running(self) -> Iterator["FakeHub"]:
        """Serve on a free port until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            server.shutdown()
            server.server_close()
            thread.join()


def turn_to(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have huggingface_hub in this process ask a running fake hub, with an empty cache."""
    for constant, value in {
        "ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": False,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_TELEMETRY": True, "DOWNLOAD_CHUNK_SIZE": 1000,
    }.items():  # fmt: skip
        monkeypatch.setattr(f"huggingface_hub.constants.{constant}", value)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)


def git_blob_hash(content: bytes) -> str:
    """What Git, and so the hub, calls a file that is not in LFS."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _declared(name: str, content: bytes) -> dict[str, Any]:
    """An entry of the repository's tree."""
    declared = {"type": "file", "path": name, "size": len(content), "oid": git_blob_hash(content)}
    if name.endswith(LFS_ENDINGS):
        digest = hashlib.sha256(content).hexdigest()
        declared["lfs"] = {"oid": digest, "size": len(content), "pointerSize": POINTER_SIZE}
    return declared


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            path = self.path.split("?")[0]
            if hub.status is not None:
                self._refuse(hub.status)
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
                self._described(*found.groups())
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/(.+)", path):
                self._hashes(*found.groups())
            elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._resolved(*found.groups())
            elif found := re.fullmatch(r"/files/(.+)", path):
                self._file(found[1])
            else:
                self._refuse(404)

        def _known(self, name: str, revision: str) -> bool:
            if name != hub.name:  # the hub does not say whether a repository is absent or private
                self._refuse(401, "RepoNotFound")
            elif revision != hub.commit:
                self._refuse(404, "RevisionNotFound")
            return (name, revision) == (hub.name, hub.commit)

        def _described(self, name: str, revision: str) -> None:
            if self._known(name, revision):
                siblings = [{"rfilename": file} for file in hub.content]
                self._send_json({"id": name, "sha": revision, "siblings": siblings})

        def _hashes(self, name: str, revision: str) -> None:
            if hub.hashes_status is not None:
                self._refuse(hub.hashes_status)
            elif self._known(name, revision):
                self._send_json([_declared(file, content) for file, content in hub.content.items()])

        def _resolved(self, name: str, revision: str, file: str) -> None:
            if not self._known(name, revision):
                return
            if hub.gated:
                self._refuse(403, "GatedRepo")
                return
            declared = _declared(file, hub.content[file])
            headers = {"X-Repo-Commit": revision}
            if "lfs" not in declared and self.command == "GET":
                self._file(file)
            elif "lfs" not in declared:
                self._send(200, hub.content[file], {**headers, "ETag": f'"{declared["oid"]}"'})
            else:
                elsewhere = hub.url.replace("127.0.0.1", "localhost")
                linked = {"X-Linked-Etag": f'"{declared["lfs"]["oid"]}"', "X-Linked-Size": str(declared["size"])}
                self._send(302, b"", {**headers, **linked, "Location": f"{elsewhere}/files/{file}"})

        def _file(self, file: str) -> None:
            content = hub.served.get(file, hub.content[file])
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if asked else {}
            end = hub.breaks_once.pop(file, hub.cut_off.get(file, hub.stalls.get(file, len(content))))
            self._send(206 if asked else 200, content[start:], headers, content[start:end])
            if file in hub.stalls:
                hub.stalled.set()
                hub.ended.wait()
            if end < len(content):
                self.close_connection = True

        def _refuse(self, status: int, code: str | None = None) -> None:
            self._send(status, b"{}", {"X-Error-Code": code} if code else {})

        def _send_json(self, content: Any) -> None:
            self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str], sent: bytes | None = None) -> None:
            """Announce `body`; send `sent` of it where given."""
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body if sent is None else sent)
                self.wfile.flush()

    return Handler
