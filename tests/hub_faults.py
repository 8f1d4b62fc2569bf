"""What can go wrong between a client and a server: the ways in which hub_server.py misbehaves on purpose."""

import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler

# Faults before anything is answered, and faults in the body of an answer to GET or POST.
EARLY = ("refuse", "reset", "hang")
IN_BODY = ("hang-body", "drip", "truncate", "flip", "content", "endless")


@dataclass
class Fault:
    """One way to misbehave. Faults in a body leave HEAD, and answers without one, alone.

    Args:
        pattern: Of fnmatch, for the path ("/api/models/*"), or for method and path ("GET */resolve/*").
        kind: One of EARLY and IN_BODY (at a PUT, these flip a byte of what it brings); or a status, below 400 with
            `content`, as a Wi-Fi's login page; or a function to call before the answer, as for a commit by another.
        times: How often, None for always; a function is called once.
        content: The other content, for "content".
        code: X-Error-Code, for a status.
        retry_after: Seconds, for a status.
    """

    pattern: str
    kind: str | int | Callable[[], object]
    times: int | None = None
    content: bytes = b"<html>Please log in to this Wi-Fi</html>"
    code: str = ""
    retry_after: int | None = None
    hits: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.kind, str) and self.kind not in EARLY + IN_BODY:
            raise ValueError(f"unknown fault {self.kind!r}")
        if callable(self.kind) and self.times is None:
            self.times = 1

    @property
    def status(self) -> int:
        return self.kind if isinstance(self.kind, int) else 0

    @property
    def in_body(self) -> bool:
        return self.kind in IN_BODY

    def fits(self, method: str, path: str) -> bool:
        spent = self.times is not None and self.hits >= self.times
        return not spent and fnmatchcase(f"{method} {path}" if " " in self.pattern else path, self.pattern)


def flip(body: bytes) -> bytes:
    """The same bytes but for one in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Drop the connection so that the client reads "connection reset by peer"."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def send_body(handler: BaseHTTPRequestHandler, body: bytes, fault: Fault, closing: threading.Event) -> None:
    """End the headers and send the body as the fault wants it; `closing` ends what would last for ever."""
    handler.close_connection = True
    if fault.kind == "flip":
        body = flip(body)
    elif fault.kind == "content":
        body = fault.content
    if fault.kind != "endless":
        handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    half = body[: len(body) // 2]
    if fault.kind == "endless":
        while not closing.wait(0.005):
            handler.wfile.write(b"\0" * 65536)
    elif fault.kind == "drip":
        for byte in body:
            handler.wfile.write(bytes([byte]))
            if closing.wait(1):
                return
    elif fault.kind == "hang-body":
        handler.wfile.write(half)
        closing.wait()
    else:
        handler.wfile.write(half if fault.kind == "truncate" else body)
