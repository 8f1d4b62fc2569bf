"""Drawing heat maps, a few at a time."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from threading import Lock

from demo.links import Query
from demo.models import Models
from textcnn import DataError
from textcnn.plots import alternative_text, heatmap
from textcnn.sheet import to_png, to_svg

__all__ = ["KINDS", "Drawing", "Full"]

KINDS = {"png": "image/png", "svg": "image/svg+xml", "json": "application/json"}
_AT_ONCE = 2
_WAITING = 64  # requests that may wait
_KEPT = 48  # pictures are kept for who asks again, some 150 kB each


class Full(Exception):
    """As many requests as may wait are waiting already; the message is for the visitor."""


class Drawing:
    """Draws a few pictures at a time, keeps the last ones, and turns away what would wait too long.

    In threads of its own, and few: what drawing frees goes back to the thread's part of the memory, and forty threads
    would have forty parts.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="drawing")
        self._kept = lru_cache(maxsize=_KEPT)(self._draw)
        self._lock, self._waiting = Lock(), 0

    def submit(self, kind: str, query: Query, style: str = "light", reach: float | None = None) -> "Future[bytes]":
        """Return the future of a heat map as "png" or "svg", or of the explanation behind it as "json".

        Raises:
            DataError: no such style; the future raises it where there is no such model or class.
            Full: too many are waiting.
        """
        if style not in ("light", "dark"):
            raise DataError(f"Got style={str(style)[:20]!r}: give light or dark.")
        with self._lock:
            if self._waiting >= _WAITING:
                raise Full("Too many pictures are being drawn at this moment: try again in a few seconds.")
            self._waiting += 1
        one = Query(query.headline, query.target, query.model)  # what a picture depends on
        future = self._threads.submit(self._kept if kind == "png" else self._draw, kind, one, style, reach)
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: object) -> None:
        with self._lock:
            self._waiting -= 1

    def _draw(self, kind: str, query: Query, style: str, reach: float | None) -> bytes:
        explanation = self.models[query.model].classifier.explain(query.headline, left_out=kind == "json")
        if kind == "json":
            about = {"model": query.model, "hash": self.models.hashes[query.model]}
            return json.dumps(about | explanation.to_dict(), ensure_ascii=False).encode()
        figure = heatmap(explanation, style, target=query.target, reach=reach)
        return (to_png if kind == "png" else to_svg)(
            figure, description=alternative_text(explanation, target=query.target)
        )
