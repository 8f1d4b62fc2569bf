"""The real client of the Hugging Face Hub, without what would make tests slow."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, file_download, snapshot_download
from huggingface_hub.utils import _detect_agent, _http

from tests.hub_server import Hub

WEIGHTS = bytes(range(256)) * 40
FILES = {
    "config.json": b'{"a": 1}',
    "deep/model.safetensors": WEIGHTS,
    "README.md": b"---\ntags: [news]\n---\nA model.\n",
}
Pull = Callable[..., dict[str, bytes]]


def quick_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Xet, short timeouts, no waits between retries, no question about agents to the real Hub."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    monkeypatch.setattr(file_download, "_ETAG_RETRY_TIMEOUT", 0.3)
    monkeypatch.setattr(_detect_agent, "_registry", {})
    for module in (_http, file_download):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda seconds: None))


def pulled(hub: Hub, cache: Path, repo: str = "user/model", **options: object) -> dict[str, bytes]:
    """Download a repository and read it."""
    options = {"endpoint": hub.url, "cache_dir": cache, "token": False, "etag_timeout": 0.3} | options
    folder = Path(snapshot_download(repo, **options))
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".gitattributes"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
