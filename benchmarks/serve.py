"""How the demo stands up to its visitors: it starts `python app.py` itself, on a free port, and asks it.

    python benchmarks/serve.py [--only PART ...] [--quick]

Asking and answering share the processor: what is asked here takes its part of the cores that answer. No two headlines
are the same but where it says so, so that no cache helps. Each part has a server of its own.

- start: seconds from a fresh process to the first answer with its picture, and what they go to.
- one: one request after the other, each way to ask: the picture's address, /explain over plain HTTP, both (a visit),
  and what the page's own button does in a browser, with the picture that it shows then.
- users: 32 users, each with a new headline every 3 s, half with gradio_client, half over plain HTTP, where the picture
  is then loaded from its address; time counts from when the request was due, to the last byte of the picture.
- saturation: visits without a pause by more and more workers, and bursts of visitors at one moment.
- memory: of the server, before and after requests half for /classify and half for pictures.
- identical: the same headline many times at one moment; no picture may be cut.

Every picture is decoded to its last line, after the clock has stopped. `--only` measures some parts anew and keeps the
others of the last result. `--quick` is a trial of a minute or two, its figures mean little; TEXTCNN_RESULTS=FOLDER says
where they go.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import common
from serve_load import (
    Request,
    Sample,
    asked_on_the_page,
    burst,
    call,
    client,
    closed_loop,
    counted_loop,
    explain_with_its_file,
    flat,
    headline,
    in_threads,
    on_schedule,
    percentiles,
    picture,
    sample,
    summary,
    through_client,
    visit,
)
from serve_process import Server, cold_start, serving


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    starts: int = 3
    sequential: int = 100  # of each way
    users: int = 32
    every_s: float = 3.0
    turns: int = 20  # of each user
    workers: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    seconds: float = 10.0  # of each number of workers
    burst: int = 200
    warm_up: int = 500
    requests: int = 5_000
    same: int = 32
    rounds: int = 5


QUICK = Scale(1, 20, 8, 1.0, 4, (1, 4), 1.0, 100, 50, 200, 16, 1)
AT_A_TIME = 4  # requests of the measurement of memory


def main() -> None:
    """Measure the parts that were chosen and write the result."""
    options = arguments()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # of the clients here; the server gets no such variable
    load = os.getloadavg()[0]  # of other work
    scale = QUICK if options.quick else Scale()
    content = kept() if options.only else {}
    for part in options.only or PARTS:
        started = time.perf_counter()
        content[part] = PARTS[part](scale)
        content[part]["took_s"] = time.perf_counter() - started
        print(part, json.dumps(content[part], indent=2), flush=True)
    ordered = {part: content[part] for part in PARTS if part in content}
    threads = os.environ.get("OMP_NUM_THREADS")
    common.write(
        "serve", {"quick": options.quick, "load_before": load, "server_threads": threads, **ordered}, show=False
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="measure these parts, keep the others")
    parser.add_argument("--quick", action="store_true", help="few requests: a trial")
    options = parser.parse_args()
    if options.quick and not os.environ.get("TEXTCNN_RESULTS"):
        parser.error("--quick would write over the committed results: set TEXTCNN_RESULTS=FOLDER.")
    return options


def kept() -> dict[str, Any]:
    """Return the parts of the last result, none if there is none."""
    path: Path = common.RESULTS / "serve.json"
    last = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {part: last[part] for part in PARTS if part in last}


def start(scale: Scale) -> dict[str, Any]:
    """Measure fresh processes."""
    return cold_start(scale.starts)


def one(scale: Scale) -> dict[str, Any]:
    """Measure one request after the other, the ways to ask taking turns."""
    with serving() as server:
        warm(server)
        page = asked_on_the_page(server.address)
        ways = {"picture": picture, "explain": explain_with_its_file, "visit": visit, "page": page}
        found: dict[str, list[Sample]] = {way: [] for way in ways}
        for _ in range(scale.sequential):
            for way, ask in ways.items():
                found[way].append(sample(partial(ask, server.address, headline())))
        return {**{way: summary(samples) for way, samples in found.items()}, "tracebacks": server.tracebacks()}


def warm(server: Server, count: int = 20) -> None:
    """Ask a few things that do not count."""
    for _ in range(count):
        visit(server.address, headline())


def users(scale: Scale) -> dict[str, Any]:
    """Measure many users at once, their first headlines spread evenly over the pause between two."""
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        warm(server)
        clients = [client(server.address, folder) for _ in range(scale.users // 2)]
        asks: list[Request] = [partial(visit_anew, server)] * scale.users
        asks[::2] = [partial(through_client, each) for each in clients]
        begin = time.perf_counter() + 1.0
        dues = [begin + place / scale.users * scale.every_s for place in range(scale.users)]
        jobs = [partial(on_schedule, ask, due, scale.every_s, scale.turns) for ask, due in zip(asks, dues, strict=True)]
        found = in_threads(jobs)
        seconds = time.perf_counter() - begin
        for each in clients:
            each.close()
        return {
            "users": scale.users,
            "every_s": scale.every_s,
            "seconds": seconds,
            "together": summary(flat(found)),
            "client": summary(flat(found[::2])),
            "http": summary(flat(found[1::2])),
            "tracebacks": server.tracebacks(),
            "memory_mb": server.memory_mb(),
            "written": server.written(),
        }


def visit_anew(server: Server) -> bytes:
    """Visit with a new headline."""
    return visit(server.address, headline())


def saturation(scale: Scale) -> dict[str, Any]:
    """Measure the rate of visits that the demo can answer, and what it says when too many come at one moment."""
    with serving() as server:
        warm(server)
        levels = [level(server, workers, scale.seconds) for workers in scale.workers]
        bursts = {
            "explain": crowd(partial(explain_with_its_file, server.address), scale.burst),
            "picture": crowd(partial(picture, server.address), scale.burst),
        }
        return {
            "levels": levels,
            **saturated(levels),
            "bursts": bursts,
            "after_the_bursts": summary([sample(partial(visit_anew, server))]),  # it still answers
            "tracebacks": server.tracebacks(),
        }


def level(server: Server, workers: int, seconds: float) -> dict[str, Any]:
    """Measure visits without a pause by so many workers."""
    started = time.perf_counter()
    samples = flat(closed_loop(partial(visit_anew, server), workers, seconds))
    took = time.perf_counter() - started
    counted = summary(samples)
    return {"workers": workers, "visits_a_second": counted["answers"] / took, **counted}


def saturated(levels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Say what the highest rate is, and how few workers nearly reach it."""
    most = max(of["visits_a_second"] for of in levels)
    enough = next(of for of in levels if of["visits_a_second"] >= 0.95 * most)
    return {"visits_a_second": most, "reached_by_workers": enough["workers"], "ms_there": enough["ms"]}


def crowd(ask: Callable[[str], bytes], count: int) -> dict[str, Any]:
    """Let so many visitors ask at the same moment, each a headline of their own."""
    samples = burst([partial(ask, headline()) for _ in range(count)])
    return {
        **summary(samples),
        "refused": sum(of.refused for of in samples),
        "refusals_said": sorted({of.error for of in samples if of.refused})[:3],
        "refusal_ms": percentiles([of.seconds for of in samples if of.refused]),
        "hung": sum(of.hung for of in samples),
    }


def memory(scale: Scale) -> dict[str, Any]:
    """Measure how far the memory of the server grows over many distinct requests."""
    with serving() as server:
        fresh = server.memory_mb()
        answered = [mixed(server, scale.warm_up)]
        megabytes = [server.memory_mb()]
        for _ in range(10):
            answered.append(mixed(server, scale.requests // 10))
            megabytes.append(server.memory_mb())
        counted = summary([of for samples in answered for of in samples if of.picture or of.error])
        return {
            "warm_up": scale.warm_up,
            "requests": scale.requests,
            "fresh_mb": fresh,
            "before_mb": megabytes[0],
            "after_mb": megabytes[-1],
            "growth_mb": megabytes[-1] - megabytes[0],
            "each_tenth_mb": megabytes,
            "errors": counted["errors"],
            "errors_said": counted["errors_said"],
            "pictures": counted["answers"],
            "whole_pictures": counted["whole_pictures"],
            "tracebacks": server.tracebacks(),
        }


def mixed(server: Server, count: int) -> list[Sample]:
    """Ask /classify and for pictures in turns, each time a new headline."""

    def classify() -> bytes:
        call(server.address, "classify", headline(), "default")
        return b""

    def draw() -> bytes:
        return picture(server.address, headline())

    return flat(counted_loop(iter([classify, draw] * (count // 2)), AT_A_TIME))


def identical(scale: Scale) -> dict[str, Any]:
    """Ask for the same headline many times at one moment, and look for pictures that are cut or differ."""
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        warm(server)
        program = client(server.address, folder)
        ways: dict[str, Callable[[str], bytes]] = {
            "client": partial(through_client, program),
            "explain": partial(explain_with_its_file, server.address),
            "picture": partial(picture, server.address),
        }
        found: dict[str, Any] = {}
        for way, ask in ways.items():
            rounds = []
            for _ in range(scale.rounds):
                text = headline()
                rounds.append(burst([partial(ask, text)] * scale.same))
            found[way] = same(rounds)
        program.close()
        return {"at_once": scale.same, "rounds": scale.rounds, **found, "tracebacks": server.tracebacks()}


def same(rounds: Sequence[Sequence[Sample]]) -> dict[str, Any]:
    """Count the pictures that are cut, and the rounds in which two pictures differ."""
    counted = summary([of for samples in rounds for of in samples])
    return {
        **counted,
        "cut": counted["answers"] - counted["whole_pictures"],
        "rounds_that_differ": sum(len({of.picture for of in samples if not of.error}) > 1 for samples in rounds),
    }


PARTS: dict[str, Callable[[Scale], dict[str, Any]]] = {
    "start": start,
    "one": one,
    "users": users,
    "saturation": saturation,
    "memory": memory,
    "identical": identical,
}


if __name__ == "__main__":
    main()
