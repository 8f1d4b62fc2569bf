"""The stand-in for the Hugging Face Hub, asked by the real client."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    get_hf_file_metadata,
    hf_hub_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub_client import FILES, WEIGHTS, Pull, pulled, quick_client
from tests.hub_server import Hub, serve_hub


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_client(monkeypatch)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub(token="hf_owner") as hub:
        yield hub


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token="hf_owner")


@pytest.fixture
def pull(hub: Hub, tmp_path: Path) -> Pull:
    return partial(pulled, hub, tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        (tmp_path / "model" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / path).write_bytes(content)
    return tmp_path / "model"


def add(api: HfApi, path: str, content: bytes, **options: object) -> str:
    operations = [CommitOperationAdd(path, content)]
    return api.create_commit("user/model", operations, commit_message="test", **options).oid


def post(url: str, lines: list[dict[str, object]]) -> int:
    """Send a commit as it comes, past the client's checks."""
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    request = urllib.request.Request(url, body, {"Authorization": "Bearer hf_owner"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


# Upload and download


def test_what_is_uploaded_is_what_is_downloaded(hub: Hub, api: HfApi, folder: Path, pull: Pull) -> None:
    url = api.create_repo("user/model")
    done = api.upload_folder(repo_id="user/model", folder_path=folder)
    assert (url.repo_id, url.repo_type) == ("user/model", "model")
    assert hub.repos["user/model"].files == pull() == FILES
    assert hub.repos["user/model"].head.sha == done.oid
    assert [commit.message for commit in hub.repos["user/model"].history][1:] == ["initial commit"]


def test_large_files_come_from_elsewhere_and_no_token_goes_there(
    hub: Hub, api: HfApi, folder: Path, pull: Pull
) -> None:
    api.create_repo("user/model")
    api.upload_folder(repo_id="user/model", folder_path=folder)
    pull(token="hf_owner")
    sent = {path.split("/")[1]: token for (_, path), token in zip(hub.requests, hub.tokens)}
    assert (sent["lfs"], sent["cdn"]) == (None, None)
    assert sent["api"] == "hf_owner"


def test_etags_are_those_of_git_and_of_lfs(hub: Hub) -> None:
    hub.commit("user/model", FILES)
    sizes = {}
    for path, content in FILES.items():
        found = get_hf_file_metadata(f"{hub.url}/user/model/resolve/main/{path}")
        blob = hashlib.sha1(b"blob %d\x00" % len(content) + content).hexdigest()
        assert found.etag == (hashlib.sha256(content).hexdigest() if "model" in path else blob)
        assert found.commit_hash == hub.repos["user/model"].head.sha
        sizes[path] = found.size
    assert sizes == {path: len(content) for path, content in FILES.items()}


def test_files_over_a_size_are_large(api: HfApi, hub: Hub) -> None:
    hub.lfs_size = 100
    api.create_repo("user/model")
    add(api, "small.bin", b"x" * 100)
    add(api, "large.bin", b"x" * 101)
    assert {path: blob.lfs for path, blob in hub.repos["user/model"].head.tree.items()} == {
        ".gitattributes": False,
        "small.bin": False,
        "large.bin": True,
    }


def test_a_hub_without_large_files(api: HfApi, hub: Hub, pull: Pull) -> None:
    hub.always_regular = True
    api.create_repo("user/model")
    add(api, "model.safetensors", WEIGHTS)
    assert pull() == {"model.safetensors": WEIGHTS}
    assert hub.asked("*/lfs/*") == hub.asked("/cdn/*") == 0


def test_the_same_files_again_are_no_commit(hub: Hub, api: HfApi, folder: Path) -> None:
    api.create_repo("user/model")
    first = api.upload_folder(repo_id="user/model", folder_path=folder)
    again = api.upload_folder(repo_id="user/model", folder_path=folder)
    assert again.oid == first.oid
    assert hub.asked("POST */commit/*") == hub.asked("PUT /lfs/*") == 1


def test_deletions_and_what_is_kept(hub: Hub, api: HfApi, folder: Path) -> None:
    hub.commit("user/model", {"old.txt": b"1", "old.json": b"{}", "logs/a": b"a", "logs/b": b"b"})
    api.upload_folder(repo_id="user/model", folder_path=folder, delete_patterns="*.txt")
    assert set(hub.repos["user/model"].files) == {*FILES, "old.json", "logs/a", "logs/b"}
    api.create_commit("user/model", [CommitOperationDelete("logs/")], commit_message="tidy")
    api.delete_file("old.json", "user/model")
    assert hub.repos["user/model"].files == FILES
    assert ".gitattributes" in hub.repos["user/model"].head.tree


def test_copies(hub: Hub, api: HfApi) -> None:
    hub.commit("user/model", FILES)
    for path in FILES:
        api.create_commit("user/model", [CommitOperationCopy(path, f"copy/{path}")], commit_message="copy")
    assert hub.repos["user/model"].files == FILES | {f"copy/{path}": content for path, content in FILES.items()}


def test_listings(hub: Hub, api: HfApi) -> None:
    head = hub.commit("user/model", FILES)
    info = api.model_info("user/model", files_metadata=True)
    assert (info.id, info.sha, info.private, info.tags) == ("user/model", head.sha, False, ["news"])
    sizes = {file.rfilename: file.size for file in info.siblings}
    assert sizes.pop(".gitattributes") > 0
    assert sizes == {path: len(content) for path, content in FILES.items()}
    assert set(api.list_repo_files("user/model")) == {*FILES, ".gitattributes"}
    top = {entry.path for entry in api.list_repo_tree("user/model")}
    assert top == {".gitattributes", "README.md", "config.json", "deep"}
    anybody = HfApi(endpoint=hub.url, token=False)
    (weights,) = anybody.get_paths_info("user/model", ["deep/model.safetensors", "none"])
    assert weights.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert [commit.title for commit in api.list_repo_commits("user/model")] == ["test", "initial commit"]
    assert api.file_exists("user/model", "config.json")
    assert not api.file_exists("user/model", "none")
    assert api.whoami()["name"] == "user"


def test_repositories_come_and_go(api: HfApi) -> None:
    assert not api.repo_exists("user/model")
    api.create_repo("user/model")
    assert api.repo_exists("user/model")
    assert api.create_repo("user/model", exist_ok=True).repo_id == "user/model"
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("user/model")
    api.delete_repo("user/model")
    assert not api.repo_exists("user/model")


def test_spaces(hub: Hub, api: HfApi, pull: Pull) -> None:
    hub.commit("user/page", {"config.json": b"{}"})  # a model of the same name
    url = api.create_repo("user/page", repo_type="space", space_sdk="gradio")
    api.upload_file(path_or_fileobj=b"print()", path_in_repo="app.py", repo_id="user/page", repo_type="space")
    assert (url.repo_type, url) == ("space", f"{hub.url}/spaces/user/page")
    assert set(pull("user/page", repo_type="space")) == {"README.md", "app.py"}
    assert api.space_info("user/page").sdk == "gradio"
    assert pull("user/page") == {"config.json": b"{}"}


# Revisions


def test_revisions(hub: Hub, api: HfApi, pull: Pull) -> None:
    first = hub.commit("user/model", {"config.json": b"1"})
    api.create_tag("user/model", tag="v1")
    hub.commit("user/model", {"config.json": b"2"})
    api.create_branch("user/model", branch="next/one")
    hub.commit("user/model", {"config.json": b"3"}, branch="next/one")
    found = {name: pull(revision=name)["config.json"] for name in ("main", "v1", first.sha, first.sha[:8], "next/one")}
    assert found == {"main": b"2", "v1": b"1", first.sha: b"1", first.sha[:8]: b"1", "next/one": b"3"}
    listed = api.list_repo_refs("user/model")
    assert [(tag.name, tag.target_commit) for tag in listed.tags] == [("v1", first.sha)]


def test_a_tag_stays_where_it_is(hub: Hub, api: HfApi) -> None:
    first = hub.commit("user/model", {"config.json": b"1"})
    hub.tag("user/model", "v1")
    hub.commit("user/model", {"config.json": b"2"})
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag("user/model", tag="v1")
    api.create_tag("user/model", tag="v1", exist_ok=True)
    assert hub.repos["user/model"].tags == {"v1": first.sha}
    api.delete_tag("user/model", tag="v1")
    assert not api.revision_exists("user/model", "v1")


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        ({"repo": "user/none"}, RepositoryNotFoundError),
        ({"revision": "v9"}, RevisionNotFoundError),
        ({"repo": "user/gated"}, GatedRepoError),
        ({"repo": "user/private"}, RepositoryNotFoundError),
        ({"repo": "user/private", "token": "hf_other"}, RepositoryNotFoundError),
        ({"token": "hf_revoked"}, HfHubHTTPError),
    ],
)
def test_what_is_not_there_or_not_for_you(hub: Hub, pull: Pull, ask: dict[str, str], error: type[Exception]) -> None:
    for name in ("user/model", "user/private", "user/gated"):
        hub.commit(name, FILES)
    hub.repos["user/private"].private = hub.repos["user/gated"].gated = True
    hub.revoked = {"hf_revoked"}
    with pytest.raises(error):
        pull(**ask)
    assert pull("user/private", token="hf_owner") == pull("user/gated", token="hf_owner") == pull() == FILES


def test_a_file_that_is_not_there(hub: Hub, tmp_path: Path) -> None:
    hub.commit("user/model", FILES)
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("user/model", "none.json", endpoint=hub.url, cache_dir=tmp_path)


# What a commit may be


@pytest.mark.parametrize(("token", "status"), [(False, 401), ("hf_other", 403), ("hf_revoked", 401)])
def test_who_may_not_write(hub: Hub, token: str | bool, status: int) -> None:
    before = hub.commit("user/model", FILES)
    hub.revoked = {"hf_revoked"}
    api = HfApi(endpoint=hub.url, token=token)
    for write in (
        lambda: add(api, "a.txt", b"a"),
        lambda: api.create_tag("user/model", tag="v1"),
        lambda: api.create_repo("user/new"),
        lambda: api.delete_repo("user/model"),
    ):
        with pytest.raises(HfHubHTTPError) as caught:
            write()
        assert caught.value.response.status_code == status
    assert set(hub.repos) == {"user/model"}
    assert hub.repos["user/model"].head is before
    assert hub.repos["user/model"].tags == {}


def test_a_commit_on_an_older_parent_is_refused(hub: Hub, api: HfApi) -> None:
    older = hub.commit("user/model", {"a.txt": b"1"})
    newer = hub.commit("user/model", {"a.txt": b"2"})
    with pytest.raises(HfHubHTTPError, match="412"):
        add(api, "a.txt", b"3", parent_commit=older.sha)
    assert hub.repos["user/model"].head is newer
    assert add(api, "a.txt", b"3", parent_commit=newer.sha) == hub.repos["user/model"].head.sha


def test_somebody_else_commits_at_the_last_moment(hub: Hub, api: HfApi) -> None:
    before = hub.commit("user/model", {"a.txt": b"1"})
    hub.fault("POST */commit/*", lambda: hub.commit("user/model", {"a.txt": b"theirs"}))
    with pytest.raises(HfHubHTTPError, match="412"):
        add(api, "a.txt", b"ours", parent_commit=before.sha)
    assert hub.repos["user/model"].files == {"a.txt": b"theirs"}


def test_of_two_uploads_at_once_one_loses(hub: Hub, api: HfApi) -> None:
    before = hub.commit("user/model", {"a.txt": b"1"})
    both = threading.Barrier(2)
    hub.fault("POST */commit/*", both.wait, times=2)

    def upload(content: bytes) -> bytes:
        try:
            add(api, "model.safetensors", content, parent_commit=before.sha)
        except HfHubHTTPError as error:
            return str(error.response.status_code).encode()
        return content

    with ThreadPoolExecutor() as pool:
        lost, won = sorted(pool.map(upload, (b"one", b"two")))
    assert lost == b"412"
    assert hub.repos["user/model"].files == {"a.txt": b"1", "model.safetensors": won}


def test_an_altered_upload_is_refused(hub: Hub, api: HfApi) -> None:
    before = hub.commit("user/model", FILES)
    hub.fault("PUT /lfs/*", "flip", times=1)
    with pytest.raises(RuntimeError, match="Error while uploading"):
        add(api, "new.safetensors", b"weights")
    assert hub.repos["user/model"].head is before
    add(api, "new.safetensors", b"weights")
    assert hub.repos["user/model"].files["new.safetensors"] == b"weights"


HEADER: dict[str, object] = {"key": "header", "value": {"summary": "test"}}
GOOD: dict[str, object] = {"key": "file", "value": {"path": "good.txt", "content": "Zw==", "encoding": "base64"}}


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("lfsFile", {"path": "a.safetensors", "algo": "sha256", "oid": "0" * 64, "size": 3}, 400),
        ("deletedFile", {"path": "none.txt"}, 404),
        ("deletedFolder", {"path": "none/"}, 404),
        ("file", {"path": "a.txt", "content": "%%%", "encoding": "base64"}, 400),
        ("file", {"path": "../a.txt", "content": "Zw==", "encoding": "base64"}, 400),
        ("file", {"path": "config.json/a.txt", "content": "Zw==", "encoding": "base64"}, 400),
        ("file", {"path": "deep", "content": "Zw==", "encoding": "base64"}, 400),
        ("file", {"path": "README.md", "content": "---\na: [\n---\n"}, 400),
        ("renamed", {"path": "config.json"}, 400),
    ],
)
def test_one_wrong_line_and_nothing_is_stored(hub: Hub, key: str, value: dict[str, object], status: int) -> None:
    before = hub.commit("user/model", FILES)
    url = f"{hub.url}/api/models/user/model/commit/main"
    assert post(url, [HEADER, GOOD, {"key": key, "value": value}]) == status
    assert post(url, [GOOD]) == 400
    assert hub.repos["user/model"].head is before
    assert post(url, [HEADER, GOOD]) == 200
    assert hub.repos["user/model"].files == FILES | {"good.txt": b"g"}


@pytest.mark.parametrize(
    ("card", "kind"),
    [
        ("---\ntags: [\n---\n", "model"),
        ("---\n- 1\n---\n", "model"),
        (f"---\nsdk: gradio\nshort_description: {'x' * 61}\n---\n", "space"),
        ("---\nsdk: gradio\ncolorFrom: teal\n---\n", "space"),
        ("---\nsdk: nothing\n---\n", "space"),
    ],
)
def test_a_card_that_the_hub_would_not_take(hub: Hub, api: HfApi, card: str, kind: str) -> None:
    hub.commit("user/model" if kind == "model" else "spaces/user/model", {"a.txt": b"a"})
    operations = [CommitOperationAdd("README.md", card.encode())]
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
        api.create_commit("user/model", operations, commit_message="test", repo_type=kind)
    assert hub.asked("*/preupload/*") == hub.asked("*/commit/*") == 0


SCRIPT = """
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
api = HfApi()
api.create_repo("user/model", private=True)
done = api.create_commit("user/model", [CommitOperationAdd("m.safetensors", b"weights")], commit_message="test")
api.create_tag("user/model", tag="v1", revision=done.oid)
print(open(hf_hub_download("user/model", "m.safetensors", revision="v1")).read())
"""


def test_by_the_environment(hub: Hub, tmp_path: Path) -> None:
    hf = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_owner", "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=os.environ | hf, capture_output=True, text=True)
    assert done.stdout == "weights\n", done.stderr
    assert hub.repos["user/model"].private
    assert set(hub.repos["user/model"].tags) == {"v1"}
