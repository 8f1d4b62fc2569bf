"""The demo as a process of its own for serve.py: its start, its memory, its folder of files, its end."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_load import explain, fetch, headline, picture
from speed_growth import ROOT, extent

MB = 1e6
PARTS_OF_START = """
import json, time
marks = [time.perf_counter()]
import app
marks.append(time.perf_counter())
models = app.chosen(None)
marks.append(time.perf_counter())
app.Page(models, app.Drawing(models))
marks.append(time.perf_counter())
print(json.dumps([after - before for before, after in zip(marks, marks[1:])]))
"""


@dataclass(frozen=True)
class Server:
    """A demo that answers."""

    address: str  # with a slash at the end
    process: subprocess.Popen[bytes]
    files: Path  # what Gradio writes
    log: Path
    started: float  # when the process was started, as perf_counter says
    healthy_s: float  # from there to the first answer of /health

    def memory_mb(self) -> float:
        """Resident memory of the process and of those that it started."""
        return sum(resident_kb(pid) for pid in family(self.process.pid)) * 1024 / MB

    def tracebacks(self) -> int:
        """How many were printed."""
        return self.log.read_text(encoding="utf-8", errors="replace").count("Traceback (most recent call last)")

    def written(self) -> dict[str, float]:
        """What lies in Gradio's folder."""
        sizes = [path.stat().st_size for path in self.files.rglob("*") if path.is_file()]
        return {"files": len(sizes), "mb": sum(sizes) / MB}


@contextmanager
def serving(patience_s: float = 60.0) -> Iterator[Server]:
    """Start `python app.py` on a free port, give it to the block once it answers, and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="serve-") as name:
        files, log = Path(name) / "gradio", Path(name) / "log.txt"
        files.mkdir()
        port = free_port()
        started = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=environment(port, files), stdout=out, stderr=out
            )
        try:
            address = f"http://127.0.0.1:{port}/"
            wait(address, process, log, started + patience_s)
            yield Server(address, process, files, log, started, time.perf_counter() - started)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment(port: int, files: Path) -> dict[str, str]:
    """Return what the server finds in its environment: this process's, with a port and a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}
    return kept | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(files),
    }


def free_port() -> int:
    """Return a port of 127.0.0.1 at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait(address: str, process: subprocess.Popen[bytes], log: Path, until: float) -> None:
    """Return once /health answers.

    Raises:
        RuntimeError: the process ended, or took too long.
    """
    while True:
        try:
            fetch(f"{address}health", patience_s=5)
            return
        except OSError:
            pass
        if process.poll() is not None or time.perf_counter() > until:
            raise RuntimeError(f"The demo did not start: {log.read_text(encoding='utf-8', errors='replace')[-2_000:]}")
        time.sleep(0.02)


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += family(int(child))
    return found


def resident_kb(pid: int) -> int:
    """Return what /proc says of a process's resident memory."""
    return resident(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))


def resident(status: str) -> int:
    """Read the resident kilobytes from the text of /proc/PID/status."""
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def cold_start(repeats: int) -> dict[str, Any]:
    """Measure fresh processes up to the first answer with its picture over plain HTTP, and what the start consists of.

    The files are in the system's cache, from a start that is not counted.
    """
    healthy, answered = [], []
    for turn in range(repeats + 1):
        with serving() as server:
            text = headline()
            explain(server.address, text)
            picture(server.address, text)
            if turn:
                answered.append(time.perf_counter() - server.started)
                healthy.append(server.healthy_s)
    parts = zip(*(parts_of_start() for _ in range(repeats)), strict=True)
    return {
        "first_answer_s": extent(answered),
        "healthy_s": extent(healthy),
        **{name: extent(of) for name, of in zip(("import_s", "models_s", "page_s"), parts, strict=True)},
    }


def parts_of_start() -> list[float]:
    """Return the seconds of importing the demo, reading the models and laying out the page, in a new process."""
    command = [sys.executable, "-c", PARTS_OF_START]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return [float(seconds) for seconds in json.loads(done.stdout)]
