"""The visitors of serve.py: distinct headlines, the ways to ask the demo, and patterns of load."""

import http.client
import io
import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from gradio_client import Client
from PIL import Image

PATIENCE_S = 60.0  # a request that takes longer hangs
# A headline has one word of each line, in this order.
LINES = """
oil microsoft yankees iraq google stocks nasa england dollar intel iran arsenal oracle russia apple sudan boeing
prices shares leaders workers fans scientists rebels officials players investors users voters makers
rise fall face win lose seek sign reject launch warn attack report beat halt plan
record new second final major early global deadly late strong joint
profit deal talks game software mission strike vote title chip peace search season budget
after before despite amid over
storm election trial merger injury outage protest hearing victory launch crash review
in on near for
london baghdad tokyo texas athens moscow paris boston beijing space sunday monday europe
"""
WORDS = [line.split() for line in LINES.strip().splitlines()]
TOTAL = int(np.prod([len(words) for words in WORDS]))
_STEP = 1_000_000_007  # a prime, so that one headline differs from the next in many words
_numbers = itertools.count()


class Refused(Exception):
    """The demo said that it has too much to do."""


def headline(number: int | None = None) -> str:
    """Return a headline; each number below `TOTAL` gives another one, and without a number each call does."""
    place = (next(_numbers) if number is None else number) * _STEP % TOTAL
    chosen = []
    for words in WORDS:
        place, index = divmod(place, len(words))
        chosen.append(words[index])
    return " ".join(chosen).capitalize()


# --- one request ----------------------------------------------------------------------------------------------------


def fetch(address: str, body: bytes | None = None, patience_s: float = PATIENCE_S) -> bytes:
    """Return what an address answers, over a connection of its own.

    Raises:
        Refused: status 503, with a message.
        OSError: any other status than 200, or no answer.
    """
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=patience_s)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        kind = {"Content-Type": "application/json"} if body else {}
        connection.request("POST" if body else "GET", path, body, kind)
        response = connection.getresponse()
        content = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if response.status == 503:
        said = json.loads(content)
        raise Refused(said.get("detail") or said["error"])
    if response.status != 200:
        raise OSError(f"status {response.status}: {content[:200]!r}")
    return content


def call(address: str, name: str, *values: Any) -> list[Any]:
    """Call an endpoint over plain HTTP: ask, then read the stream of events to its end."""
    started = fetch(f"{address}gradio_api/call/{name}", json.dumps({"data": values}).encode())
    stream = fetch(f"{address}gradio_api/call/{name}/{json.loads(started)['event_id']}")
    return completed(stream.decode())


def completed(stream: str) -> list[Any]:
    """Return the values of a stream of events.

    Raises:
        OSError: it says an error, or ends early.
    """
    for event in stream.split("\n\n"):
        kind, _, data = event.partition("\ndata: ")
        if kind == "event: complete":
            values: list[Any] = json.loads(data)
            return values
    raise OSError(f"the stream ended without an answer: {stream[-200:]!r}")


def explain(address: str, text: str) -> str:
    """Ask /explain over plain HTTP; return the address of its picture."""
    said, file = call(address, "explain", text, None, "default", "light")
    assert said["title"] == text
    return str(file["url"])


def explain_with_its_file(address: str, text: str) -> bytes:
    """Ask /explain over plain HTTP and load the picture that it names."""
    return fetch(explain(address, text))


def picture(address: str, text: str) -> bytes:
    """Load the picture of a headline."""
    return fetch(f"{address}picture.png?headline={quote(text)}")


def visit(address: str, text: str) -> bytes:
    """Ask /explain over plain HTTP, then load the picture of the headline."""
    explain(address, text)
    return picture(address, text)


def asked_on_the_page(address: str) -> Callable[[str, str], bytes]:
    """Return a function that does what the page does in a browser: its event, then the picture that it shows."""
    listed = json.loads(fetch(f"{address}config"))["dependencies"]
    event = next(of["id"] for of in listed if any(kind == "submit" for _, kind in of["targets"]))

    def ask(address: str, text: str) -> bytes:
        session = uuid.uuid4().hex
        asked = {"data": [text, "default", None], "fn_index": event, "session_hash": session}
        fetch(f"{address}gradio_api/queue/join", json.dumps(asked).encode())
        stream = fetch(f"{address}gradio_api/queue/data?session_hash={session}").decode()
        assert '"msg":"process_completed"' in stream, stream[-200:]
        assert "picture.png?headline=" in stream, stream[-200:]
        return picture(address, text)

    return ask


def client(address: str, folder: str) -> Client:
    """Return a program's connection, which keeps its pictures in `folder`."""
    return Client(address, verbose=False, analytics_enabled=False, download_files=folder)


def through_client(of: Client, text: str | None = None) -> bytes:
    """Ask /explain with gradio_client, which loads the picture too; a new headline unless one is given."""
    text = headline() if text is None else text
    said, path = of.predict(text, api_name="/explain")
    assert said["title"] == text
    return Path(path).read_bytes()


# --- many requests --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """How one request went."""

    seconds: float
    picture: bytes = b""
    error: str = ""
    refused: bool = False
    hung: bool = False


Request = Callable[[], bytes]


def sample(request: Request, due: float | None = None) -> Sample:
    """Make a request; its time counts from when it was due."""
    started = time.perf_counter() if due is None else due
    try:
        content = request()
    except Exception as error:  # whatever it is, a visitor had no answer
        seconds = time.perf_counter() - started
        refused = isinstance(error, Refused) or "queue is full" in str(error).lower()
        said = str(error) if refused else f"{type(error).__name__}: {error}"
        return Sample(seconds, error=said, refused=refused, hung=isinstance(error, TimeoutError))
    return Sample(time.perf_counter() - started, content)


def in_threads(jobs: Sequence[Callable[[], list[Sample]]]) -> list[list[Sample]]:
    """Run all at once, each in a thread of its own; return the samples of each."""
    found: list[list[Sample]] = [[] for _ in jobs]
    gate = threading.Barrier(len(jobs))

    def run(place: int) -> None:
        gate.wait()
        found[place] = jobs[place]()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def flat(found: Sequence[Sequence[Sample]]) -> list[Sample]:
    """Return the samples of all threads."""
    return [one for samples in found for one in samples]


def burst(requests: Sequence[Request]) -> list[Sample]:
    """Make all requests at the same moment."""

    def only(request: Request) -> list[Sample]:
        return [sample(request)]

    return flat(in_threads([partial(only, request) for request in requests]))


def closed_loop(request: Request, workers: int, seconds: float) -> list[list[Sample]]:
    """Let each worker make one request after the other without a pause."""

    def work() -> list[Sample]:
        end = time.perf_counter() + seconds
        samples = []
        while time.perf_counter() < end:
            samples.append(sample(request))
        return samples

    return in_threads([work] * workers)


def counted_loop(requests: Iterator[Request], workers: int) -> list[list[Sample]]:
    """Let so many workers make all requests."""
    lock = threading.Lock()

    def work() -> list[Sample]:
        samples: list[Sample] = []
        while True:
            with lock:
                request = next(requests, None)
            if request is None:
                return samples
            samples.append(sample(request))

    return in_threads([work] * workers)


def on_schedule(request: Request, start: float, every_s: float, count: int) -> list[Sample]:
    """Make a request at each due time; one that comes late because the last took long counts from when it was due."""
    samples = []
    for turn in range(count):
        due = start + turn * every_s
        time.sleep(max(0.0, due - time.perf_counter()))
        samples.append(sample(request, due))
    return samples


# --- what came back -------------------------------------------------------------------------------------------------


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Count answers and errors, decode every picture, and say how long the answers took."""
    good = [one for one in samples if not one.error]
    bad = Counter(one.error for one in samples if one.error and not one.refused)
    return {
        "requests": len(samples),
        "answers": len(good),
        "errors": bad.total(),
        "errors_said": dict(bad.most_common(5)),
        "whole_pictures": sum(is_whole(one.picture) for one in good),
        "ms": percentiles([one.seconds for one in good]),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return the percentiles in milliseconds that are spoken of."""
    if not seconds:
        return None
    shares = {"p50": 50, "p95": 95, "p99": 99, "maximum": 100}
    return {name: float(np.percentile(seconds, share) * 1e3) for name, share in shares.items()}


def is_whole(content: bytes) -> bool:
    """Say whether a picture can be decoded to its last line."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):  # of a cut file, of a broken one
        return False
    return content.endswith(b"IEND\xaeB`\x82")
