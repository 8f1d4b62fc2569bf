"""The page as it starts against a Hub that is well, and against one that is not, measured from outside the process."""

import json
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.hub_server import serve_hub
from tests.pages import ready, start, stop
from tests.test_hub import REPO, folder  # noqa: F401  # a fixture
from textcnn import HeadlineClassifier

SECONDS = 15  # within which a visitor is served whatever the Hub does


def asked(url: str, path: str) -> dict[str, object]:
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def hub(folder: Path):  # noqa: F811
    with serve_hub() as site:
        site.commit(REPO, {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")
                           if path.is_file()})  # fmt: skip
        yield site


def served(hub_url: str, tmp_path: Path, **settings: object) -> tuple[dict[str, object], float, str]:
    """Start the page; return its answer to a headline, the seconds until it answered, and its log."""
    started = time.monotonic()
    process, url, log = start(
        tmp_path, HF_ENDPOINT=hub_url, HF_HOME=str(tmp_path / "home"), TEXTCNN_REPO=REPO, **settings
    )
    try:
        ready(process, url, log)
        seconds = time.monotonic() - started
        return asked(url, "explanation.json?headline=Oil+prices+rise"), seconds, log.read_text()
    finally:
        stop(process)


def test_the_hubs_model_answers_as_from_the_disk(hub, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    answer, seconds, log = served(hub.url, tmp_path)
    expected = HeadlineClassifier.from_pretrained(folder).predict("Oil prices rise").distribution
    assert answer["distribution"] == pytest.approx(expected, abs=1e-6)
    assert seconds < SECONDS
    assert "bundled" not in log


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("*", "refuse"),
        ("/api/models/*", "hang"),
        ("/api/models/*", "hang-body"),
        ("GET *model.safetensors", "hang"),
        ("GET *model.safetensors", "hang-body"),
        ("GET *model.safetensors", "drip"),
        ("GET *model.safetensors", "endless"),
        ("GET *model.safetensors", "truncate"),
        ("GET *model.safetensors", "flip"),
        ("*", 401),
        ("*", 404),
        ("*", 429),
        ("*", 500),
    ],
)
def test_whatever_the_hub_does_the_bundled_model_answers_in_time(
    hub, tmp_path: Path, pattern: str, kind: object
) -> None:
    hub.fault(pattern, kind)
    answer, seconds, log = served(hub.url, tmp_path)
    bundled = HeadlineClassifier.from_pretrained("artifacts/default").predict("Oil prices rise").distribution
    assert answer["distribution"] == pytest.approx(bundled, abs=1e-6)
    assert seconds < SECONDS
    assert "Serving the bundled model: " in log
    assert "Traceback" not in log


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_without_a_hub_the_bundled_model_answers_in_time(tmp_path: Path, endpoint: str) -> None:
    answer, seconds, log = served(endpoint, tmp_path)
    assert answer["label"] == "Business"
    assert seconds < SECONDS
    assert "Serving the bundled model: The Hub cannot be reached" in log


@pytest.mark.long
@pytest.mark.timeout(120)
def test_with_a_full_disk_the_bundled_model_answers(hub, tmp_path: Path) -> None:
    """No file may grow beyond 60 kB here, which the weights do."""
    limited = tmp_path / "python"
    limited.write_text(f'#!/bin/bash\nulimit -f 60\nexec "{sys.executable}" "$@"\n')
    limited.chmod(0o755)
    answer, seconds, log = served(hub.url, tmp_path, python=limited)
    assert answer["label"] == "Business"
    assert seconds < SECONDS
    assert "Serving the bundled model: The Hub's cache cannot be written" in log
