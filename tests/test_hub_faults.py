"""What goes wrong at the stand-in for the Hugging Face Hub, as the real client sees it."""

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import httpx2
import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, IncompleteSnapshotError, LocalEntryNotFoundError

from tests.hub_client import FILES, WEIGHTS, Pull, pulled, quick_client
from tests.hub_server import Hub, serve_hub


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_client(monkeypatch)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub() as hub:
        yield hub


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url)


@pytest.fixture
def pull(hub: Hub, tmp_path: Path) -> Pull:
    return partial(pulled, hub, tmp_path / "cache")


def ask(url: str) -> None:
    with suppress(httpx2.HTTPError):
        httpx2.get(url, timeout=20)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_status(hub: Hub, api: HfApi, status: int) -> None:
    hub.commit("user/model", FILES)
    fault = hub.fault("/api/models/user/*", status, retry_after=7)
    with pytest.raises(HfHubHTTPError) as caught:
        api.model_info("user/model")
    answer = caught.value.response
    assert (answer.status_code, answer.headers["Retry-After"], fault.hits) == (status, "7", 1)


def test_a_status_with_a_code(hub: Hub, api: HfApi) -> None:
    hub.fault("*", 403, code="GatedRepo")
    with pytest.raises(GatedRepoError):
        api.model_info("user/model")


def test_a_login_page_in_place_of_the_hub(hub: Hub, pull: Pull) -> None:
    hub.commit("user/model", FILES)
    hub.fault("*", 200)
    with pytest.raises(ValueError, match="Expecting value"):
        pull()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refuse", httpx2.RemoteProtocolError),
        ("reset", httpx2.ReadError),
        ("hang", httpx2.ReadTimeout),
        ("hang-body", httpx2.ReadTimeout),
        ("truncate", httpx2.RemoteProtocolError),
    ],
)
def test_a_connection_that_fails(hub: Hub, api: HfApi, kind: str, error: type[Exception]) -> None:
    hub.commit("user/model", FILES)
    hub.fault("/api/models/user/model", kind, times=1)
    with pytest.raises(error):
        api.model_info("user/model", timeout=0.3)
    assert api.model_info("user/model", timeout=5).id == "user/model"


@pytest.mark.parametrize("kind", ["refuse", "reset", "truncate", "hang-body", "hang"])
@pytest.mark.parametrize("path", ["*/config.json", "/cdn/*"])
def test_the_client_gets_over_one_broken_download(hub: Hub, pull: Pull, path: str, kind: str) -> None:
    hub.commit("user/model", FILES)
    fault = hub.fault(f"GET {path}", kind, times=1)
    if kind == "reset":
        with pytest.raises(httpx2.ReadError):
            pull()
    assert pull() == FILES
    assert fault.hits == 1


def test_the_client_does_not_see_other_bytes_of_the_same_length(hub: Hub, pull: Pull) -> None:
    """Nor that a large file is not what its sha256 says: whoever downloads has to look."""
    hub.commit("user/model", FILES)
    hub.fault("/cdn/*", "flip")
    hub.fault("GET */config.json", "content", content=b'{"a": 2}')
    found = pull()
    weights = found["deep/model.safetensors"]
    assert sum(a != b for a, b in zip(weights, WEIGHTS)) == 1
    assert found["config.json"] == b'{"a": 2}'


def test_content_of_another_length(hub: Hub, pull: Pull) -> None:
    hub.commit("user/model", FILES)
    hub.fault("/cdn/*", "content", content=b"short")
    with pytest.raises(OSError, match="Consistency check failed"):
        pull()


def test_a_body_that_drips(hub: Hub) -> None:
    hub.commit("user/model", FILES)
    hub.fault("*/config.json", "drip")
    start = time.monotonic()
    with urllib.request.urlopen(f"{hub.url}/user/model/resolve/main/config.json", timeout=5) as answer:
        assert answer.read(2) == FILES["config.json"][:2]
    assert time.monotonic() - start > 0.9


def test_a_body_without_an_end(hub: Hub) -> None:
    hub.commit("user/model", FILES)
    hub.fault("*/config.json", "endless")
    with urllib.request.urlopen(f"{hub.url}/user/model/resolve/main/config.json", timeout=5) as answer:
        assert answer.headers["Content-Length"] is None
        assert answer.read(1_000_000) == bytes(1_000_000)


def test_parts_of_a_file(hub: Hub) -> None:
    hub.commit("user/model", FILES)
    for path, content in FILES.items():
        url = f"{hub.url}/user/model/resolve/main/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=2-5"}), timeout=5) as answer:
            assert (answer.status, answer.read()) == (206, content[2:6])
        with pytest.raises(HTTPError, match="416"):
            urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=99999-"}), timeout=5)


def test_faults_are_by_method_path_and_number(hub: Hub, api: HfApi) -> None:
    hub.commit("user/model", FILES)
    hub.fault("HEAD *", 500)
    hub.fault("*/user/other*", 500)
    fault = hub.fault("GET /api/models/user/model", 404, times=2)
    for _ in range(2):
        with pytest.raises(HfHubHTTPError):
            api.model_info("user/model")
    assert api.model_info("user/model").id == "user/model"
    assert fault.hits == 2
    with pytest.raises(ValueError, match="unknown fault"):
        hub.fault("*", "explode")


@pytest.mark.parametrize("kind", ["hang", "hang-body", "drip", "endless"])
def test_closing_ends_what_would_last(kind: str) -> None:
    with serve_hub() as hub:
        hub.commit("user/model", FILES)
        hub.fault("/api/*", kind)
        asked = threading.Thread(target=lambda: ask(f"{hub.url}/api/models/user/model"), daemon=True)
        asked.start()
        while not hub.requests:
            time.sleep(0.01)
        start = time.monotonic()
    asked.join(2)
    assert not asked.is_alive()
    assert time.monotonic() - start < 2


# Without the Hub


def test_from_the_cache(hub: Hub, pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.commit("user/model", FILES)
    pull()
    hub.fault("*", 503)
    assert pull() == FILES
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert pull() == FILES
    with pytest.raises(LocalEntryNotFoundError):
        pull("user/other")
    assert len(hub.requests) == asked


def test_half_a_snapshot_is_no_snapshot(hub: Hub, pull: Pull) -> None:
    hub.commit("user/model", FILES)
    hub.fault("/cdn/*", 404)
    with pytest.raises(HfHubHTTPError):
        pull()
    with pytest.raises(IncompleteSnapshotError):
        pull(local_files_only=True)
