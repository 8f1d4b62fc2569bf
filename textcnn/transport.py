"""Bounds on what huggingface_hub's HTTP client may take: time in all, time for one answer, bytes.

Its own timeouts are for one read each, and some of its requests have none: an answer that comes a byte at a time, or
without an end, would never be over.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils._http import default_client_factory

__all__ = ["OutOfBounds", "bounded_client"]

_ANSWER_SECONDS = 10.0  # that one answer may be waited for
_ONE_AT_A_TIME = Lock()  # the client is one for the whole process


class OutOfBounds(httpx2.TransportError):
    """The time is over, too much came, or the server is in trouble; a kind that huggingface_hub does not try again."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def bounded_client(seconds: float, max_bytes: int) -> Iterator[None]:
    """Give huggingface_hub a client with bounds for as long as the block lasts.

    Proxies and certificates are those of its own client. Xet is off: its transfers go past the client.

    Args:
        seconds: in all.
        max_bytes: of all answers together.
    """
    bounds = _Bounds(seconds, max_bytes)

    def client() -> httpx2.Client:
        made = default_client_factory()
        hooks = made.event_hooks
        made.event_hooks = {
            "request": [*hooks["request"], bounds.before],
            "response": [*hooks["response"], bounds.after],
        }
        return made

    with _ONE_AT_A_TIME:
        xet = constants.HF_HUB_DISABLE_XET
        constants.HF_HUB_DISABLE_XET = True
        set_client_factory(client)
        try:
            yield
        finally:
            set_client_factory(default_client_factory)
            constants.HF_HUB_DISABLE_XET = xet


class _Bounds:
    """What is left of the time and of the bytes."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self.end, self.bytes_left = time.monotonic() + seconds, max_bytes

    def seconds_left(self) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise OutOfBounds("the time is over")
        return left

    def before(self, request: httpx2.Request) -> None:
        """Give a request the time that is left."""
        left = min(_ANSWER_SECONDS, self.seconds_left())
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)

    def after(self, response: httpx2.Response) -> None:
        """Watch an answer's body; a server in trouble is not asked again."""
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise OutOfBounds(f"the server answered {response.status_code}", response.status_code)
        response.stream = _Watched(response.stream, self)


class _Watched(httpx2.SyncByteStream):
    def __init__(self, stream: object, bounds: _Bounds) -> None:
        self.stream, self.bounds = stream, bounds

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.stream:  # type: ignore[attr-defined]
            self.bounds.seconds_left()
            self.bounds.bytes_left -= len(chunk)
            if self.bounds.bytes_left < 0:
                raise OutOfBounds("more came than was announced")
            yield chunk

    def close(self) -> None:
        self.stream.close()  # type: ignore[attr-defined]
