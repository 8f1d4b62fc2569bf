"""A Hugging Face Hub on this machine, for tests: the real client works against it, and it can misbehave on purpose.

    with serve_hub() as hub:
        hub.commit("user/model", {"config.json": b"{}"})
        snapshot_download("user/model", endpoint=hub.url)

Files of the kinds in `lfs_suffixes`, or over `lfs_size` bytes, are LFS files: these come from a second server,
at another port, as they come from a CDN on the real Hub. Xet is not spoken: set HF_HUB_DISABLE_XET=1.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .hub_api import CDN_ROUTES, ROUTES, Answer, Call, Route, answer, failure
from .hub_faults import Fault, flip, reset, send_body
from .hub_store import Blob, Commit, Repo


@dataclass
class Hub:
    """What the server holds and does, and what it was asked for. A repository is "owner/name" or "spaces/owner/name".

    Args:
        token: May write, and read what is private; writing needs none where this is None.
        revoked: Tokens that are refused everywhere. Any other token is another user's.
    """

    token: str | None = None
    revoked: set[str] = field(default_factory=set)
    lfs_size: int = 10_000_000
    lfs_suffixes: tuple[str, ...] = (".safetensors",)
    always_regular: bool = False  # no file is an LFS file
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)  # method and path
    tokens: list[str | None] = field(default_factory=list)  # that came with the requests, in the same order
    faults: list[Fault] = field(default_factory=list)
    url: str = ""
    cdn_url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    sockets: set[socket] = field(default_factory=set)

    def create(self, name: str, **options: Any) -> Repo:
        """Make a repository with its first commit; options: private, gated, sdk."""
        prefix, _, rest = name.partition("/")
        kind = {"spaces": "space", "datasets": "dataset"}.get(prefix, "model") if "/" in rest else "model"
        self.repos[name] = Repo(kind, name if kind == "model" else rest, **options)
        return self.repos[name]

    def commit(self, name: str, files: dict[str, bytes | None], message: str = "test", branch: str = "main") -> Commit:
        """Write files, or delete those that are None, in one commit; the repository is made if it is missing."""
        with self.lock:
            repo = self.repos.get(name) or self.create(name)
            tree = dict(repo.commits[repo.branches.setdefault(branch, repo.branches["main"])].tree)
            for path, content in files.items():
                tree.pop(path, None)
                if content is not None:
                    tree[path] = Blob(content, self.is_lfs(path, len(content)))
            return repo.add(tree, message, branch)

    def tag(self, name: str, tag: str, revision: str = "main") -> None:
        repo = self.repos[name]
        repo.tags[tag] = repo.resolve(revision).sha

    def is_lfs(self, path: str, size: int) -> bool:
        large = size > self.lfs_size or path.endswith(self.lfs_suffixes)
        return large and size > 0 and not self.always_regular

    def fault(
        self, pattern: str, kind: str | int | Callable[[], object], times: int | None = None, **more: Any
    ) -> Fault:
        """Misbehave where a path fits; see `Fault`. For a method, too: "HEAD */config.json"."""
        self.faults.append(Fault(pattern, kind, times, **more))
        return self.faults[-1]

    def take(self, method: str, path: str, in_body: bool) -> Fault | None:
        """The first fault that fits, counted."""
        with self.lock:
            for fault in self.faults:
                if fault.in_body == in_body and fault.fits(method, path):
                    fault.hits += 1
                    return fault
        return None

    def asked(self, pattern: str) -> int:
        """How many requests fitted a pattern."""
        probe = Fault(pattern, 500)
        return sum(probe.fits(method, path) for method, path in self.requests)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the answers that are under way

    def __init__(self, hub: Hub, routes: list[Route]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.routes = hub, routes


class Handler(BaseHTTPRequestHandler):
    """Reads one request, misbehaves if it shall, answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's acknowledgement of its headers
    server: Server

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def setup(self) -> None:
        super().setup()
        with self.hub.lock:
            self.hub.sockets.add(self.connection)
            if self.hub.closing.is_set():
                self.connection.shutdown(SHUT_RDWR)

    def finish(self) -> None:
        with self.hub.lock:
            self.hub.sockets.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client went away
            self.close_connection = True

    def serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
            self.hub.tokens.append(token)
        fault = self.early(path)
        if fault and isinstance(fault.kind, str):
            self.give_up(fault)
            return
        body = self.body()
        if fault:
            self.send(failure(fault), path)
            return
        if self.command == "PUT" and self.hub.take("PUT", path, in_body=True):
            body = flip(body)
        query = parse_qs(url.query, keep_blank_values=True)
        with self.hub.lock:
            call = Call(self.hub, self.command, url.path, query, self.headers, body, token)
            answered = answer(call, self.server.routes)
        self.send(answered, path)

    do_HEAD = do_GET = do_POST = do_PUT = do_DELETE = serve

    def early(self, path: str) -> Fault | None:
        """A fault before the answer; functions are called on the way to it."""
        while fault := self.hub.take(self.command, path, in_body=False):
            if not callable(fault.kind):
                return fault
            fault.kind()
        return None

    def give_up(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.kind == "hang":
            self.hub.closing.wait()
        elif fault.kind == "reset":
            reset(self)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def send(self, answered: Answer, path: str) -> None:
        self.send_response(answered.status)
        for key, value in answered.headers.items():
            self.send_header(key, value)
        if (
            self.command in ("GET", "POST")
            and answered.body
            and (fault := self.hub.take(self.command, path, in_body=True))
        ):
            send_body(self, answered.body, fault, self.hub.closing)
            return
        self.send_header("Content-Length", str(len(answered.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answered.body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve_hub(**options: Any) -> Iterator[Hub]:
    """Run a Hub and its CDN on free ports of 127.0.0.1 for as long as the block lasts; options are those of `Hub`."""
    hub = Hub(**options)
    servers = [Server(hub, ROUTES), Server(hub, CDN_ROUTES)]
    hub.url, hub.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        for server in servers:
            server.shutdown()
        with hub.lock:
            for connection in hub.sockets:
                with suppress(OSError):
                    connection.shutdown(SHUT_RDWR)
        for server, thread in zip(servers, threads):
            server.server_close()
            thread.join()
