"""Repositories as the Hugging Face Hub keeps them, in memory: commits, branches, tags, LFS objects."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import yaml

ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
SPACE_CARD = b"---\ntitle: Space\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\npinned: false\n---\n"
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


class Refusal(Exception):
    """An answer that is an error, with the headers by which the client tells errors apart."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers


@dataclass(frozen=True)
class Blob:
    """A file's content; an LFS file is a pointer in git, its content lies in the object store."""

    content: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        head = "version https://git-lfs.github.com/spec/v1"
        return f"{head}\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()

    @cached_property
    def oid(self) -> str:
        """The sha1 of the git blob."""
        content = self.pointer if self.lfs else self.content
        return hashlib.sha1(b"blob %d\x00" % len(content) + content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """What listings say of the file."""
        entry = {"type": "file", "path": path, "oid": self.oid, "size": len(self.content)}
        if self.lfs:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry


@dataclass(frozen=True)
class Commit:
    tree: dict[str, Blob]
    message: str
    parent: str | None = None
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))

    @cached_property
    def sha(self) -> str:
        tree = sorted((path, blob.oid) for path, blob in self.tree.items())
        return hashlib.sha1(json.dumps([self.parent, self.message, tree]).encode()).hexdigest()

    @property
    def files(self) -> dict[str, bytes]:
        return {path: blob.content for path, blob in self.tree.items()}


@dataclass
class Repo:
    """A repository; `kind` is model, dataset or space, `id` is owner/name."""

    kind: str
    id: str
    private: bool = False
    gated: bool = False
    sdk: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)  # LFS, by sha256

    def __post_init__(self) -> None:
        first = {".gitattributes": Blob(ATTRIBUTES)}
        if self.kind == "space":
            first["README.md"] = Blob(SPACE_CARD)
        self.add(first, "initial commit")

    @property
    def head(self) -> Commit:
        return self.commits[self.branches["main"]]

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the branch main, without the .gitattributes of the Hub."""
        return {path: content for path, content in self.head.files.items() if path != ".gitattributes"}

    @property
    def history(self) -> list[Commit]:
        """The commits of main, the newest first."""
        return self.log(self.head)

    def log(self, commit: Commit | None) -> list[Commit]:
        found = []
        while commit is not None:
            found.append(commit)
            commit = self.commits.get(commit.parent or "")
        return found

    def add(self, tree: dict[str, Blob], message: str, branch: str = "main") -> Commit:
        commit = Commit(dict(tree), message, self.branches.get(branch))
        self.commits[commit.sha] = commit
        self.branches[branch] = commit.sha
        self.objects |= {blob.sha256: blob.content for blob in tree.values() if blob.lfs}
        return commit

    def resolve(self, revision: str) -> Commit:
        """The commit that a branch, a tag, or a sha of at least seven letters names."""
        sha = self.branches.get(revision) or self.tags.get(revision)
        if sha is None and re.fullmatch("[0-9a-f]{7,40}", revision):
            sha = next((known for known in self.commits if known.startswith(revision)), None)
        if sha is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def blob(self, commit: Commit, path: str) -> Blob:
        if path not in commit.tree:
            raise Refusal(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": commit.sha})
        return commit.tree[path]

    def listing(self, commit: Commit, under: str, recursive: bool) -> list[dict[str, Any]]:
        """Files and folders, as /tree answers."""
        prefix = f"{under.strip('/')}/" if under else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.tree.items()):
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix) :].split("/")
            for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
                folder = prefix + "/".join(parts[:depth])
                oid = hashlib.sha1(folder.encode()).hexdigest()
                entries[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
            if recursive or len(parts) == 1:
                entries[path] = blob.entry(path)
        if prefix and not entries:
            raise Refusal(404, f"{under} does not exist on this revision", "EntryNotFound")
        return list(entries.values())

    def change(self, branch: str, lines: list[dict[str, Any]]) -> Commit:
        """Make one commit of the lines of a commit request, or none if any line is wrong."""
        if branch not in self.branches:
            raise Refusal(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        if not lines or lines[0].get("key") != "header" or not lines[0]["value"].get("summary"):
            raise Refusal(400, "The first line must be a header with a summary")
        header = lines[0]["value"]
        parent = header.get("parentCommit")
        if parent and not self.branches[branch].startswith(parent.lower()):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(self.commits[self.branches[branch]].tree)
        for line in lines[1:]:
            self._apply(tree, line.get("key", ""), line.get("value", {}))
        if problems := card_problems(tree["README.md"].content, self.kind) if "README.md" in tree else []:
            raise Refusal(400, f"Invalid metadata in README.md: {'; '.join(problems)}")
        message = "\n\n".join(filter(None, (header["summary"], header.get("description"))))
        return self.add(tree, message, branch)

    def _apply(self, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
        path = str(value.get("path", ""))
        parts = path.rstrip("/").split("/")
        if any(part in ("", ".", "..", ".git") for part in parts):
            raise Refusal(400, f"Invalid path: {path!r}")
        inside = [known for known in tree if known.startswith(f"{path.rstrip('/')}/")]
        if key in ("file", "lfsFile"):
            above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
            if inside or above & set(tree):
                raise Refusal(400, f"{path} would be a file and a folder")
            tree[path] = self._content(path, key, value)
        elif key == "deletedFile" and path in tree:
            del tree[path]
        elif key == "deletedFolder" and inside:
            for known in inside:
                del tree[known]
        elif key in ("deletedFile", "deletedFolder"):
            raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        else:
            raise Refusal(400, f"Unknown operation: {key!r}")

    def _content(self, path: str, key: str, value: dict[str, Any]) -> Blob:
        if key == "lfsFile":
            content = self.objects.get(value["oid"])
            if content is None or value.get("size", len(content)) != len(content):
                raise Refusal(400, f"An LFS pointer pointed to a file that does not exist. Offending file: - {path}")
            return Blob(content, lfs=True)
        if value.get("encoding") != "base64":
            return Blob(str(value["content"]).encode())
        try:
            return Blob(base64.b64decode(value["content"], validate=True))
        except ValueError as error:
            raise Refusal(400, f"{path}: {error}") from error


def card(content: bytes) -> Any:
    """The metadata at the top of a README.md, None where there are none."""
    found = re.match(r"---[ \t]*\r?\n(.*?)^---[ \t]*$", content.decode(errors="replace"), re.DOTALL | re.MULTILINE)
    return yaml.safe_load(found[1]) if found else None


def card_problems(content: bytes, kind: str) -> list[str]:
    """What the Hub refuses in a README.md: broken YAML, and some of its rules for Spaces."""
    try:
        data = card(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [f"YAML Metadata Error: {error}"]
    if data is None:
        return []
    if not isinstance(data, dict):
        return ["YAML Metadata Error: metadata must be an object"]
    problems = []
    if kind == "space":
        if len(str(data.get("short_description", ""))) > 60:
            problems.append('"short_description" length must be less than or equal to 60 characters long')
        for key in ("colorFrom", "colorTo"):
            if data.get(key, "red") not in COLOURS:
                problems.append(f'"{key}" must be one of [{", ".join(COLOURS)}]')
        if data.get("sdk") not in ("gradio", "docker", "static", "streamlit"):
            problems.append('"sdk" must be one of [gradio, docker, static, streamlit]')
    if not all(isinstance(tag, str) for tag in as_list(data.get("tags"))):
        problems.append('"tags" must be an array of strings')
    return problems


def as_list(value: Any) -> list[Any]:
    return (
        [] if value is None else list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    )
