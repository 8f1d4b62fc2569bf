"""What the Hugging Face Hub answers to each request, for hub_server.py."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

from .hub_faults import Fault
from .hub_store import Refusal, Repo, as_list, card, card_problems

if TYPE_CHECKING:
    from .hub_server import Hub

OWNER = "user"  # whom the token belongs to


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> "Answer":
        return cls(json.dumps(value).encode(), status, {"Content-Type": "application/json"} | headers)


@dataclass
class Call:
    """One request, as the routes see it."""

    hub: "Hub"
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Any
    body: bytes
    token: str | None

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refusal(400, f"not JSON: {error}") from error

    def allow_write(self) -> None:
        if self.hub.token and not self.token:
            raise Refusal(401, "Invalid username or password.")
        if self.hub.token and self.token != self.hub.token:
            raise Refusal(403, "Forbidden: you don't have the required permissions to perform this action")

    def repo(self, kind: str, name: str) -> Repo:
        """The repository, where whoever asks may know of it."""
        repo = self.hub.repos.get(name if kind == "model" else f"{kind}s/{name}")
        owner = bool(self.token) and self.hub.token in (None, self.token)
        if repo is None or (repo.private and not owner):
            status, message = (404, "Repository not found") if self.token else (401, "Invalid username or password.")
            raise Refusal(status, message, "RepoNotFound")
        if self.method not in ("GET", "HEAD") and "/paths-info/" not in self.path:
            self.allow_write()
        return repo


def problem(refusal: Refusal) -> Answer:
    headers = {"X-Error-Message": refusal.message.replace("\n", " ").encode("ascii", "replace").decode()}
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    errors = {"error": refusal.message, "errors": [{"message": refusal.message}], "warnings": []}
    return Answer.json(errors, refusal.status, **headers, **refusal.headers)


def failure(fault: Fault) -> Answer:
    """The answer that a fault of a status asks for."""
    if fault.status < 400:
        return Answer(fault.content, fault.status, {"Content-Type": "text/html"})
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return problem(Refusal(fault.status, "on purpose", fault.code, **headers))


def whoami(call: Call) -> Answer:
    if not call.token:
        raise Refusal(401, "Invalid username or password.")
    name = OWNER if call.hub.token in (None, call.token) else "other"
    access = {"displayName": "test", "role": "write", "createdAt": "2026-01-01T00:00:00.000Z"}
    about = {"type": "user", "id": "1", "name": name, "fullname": name, "isPro": False, "orgs": []}
    return Answer.json(about | {"auth": {"type": "access_token", "accessToken": access}})


def create(call: Call) -> Answer:
    call.allow_write()
    asked = call.json
    kind = asked.get("type") or "model"
    full = f"{asked.get('organization') or OWNER}/{asked['name']}"
    name = full if kind == "model" else f"{kind}s/{full}"
    about = {"url": f"{call.hub.url}/{name}", "name": full, "id": full}
    if name in call.hub.repos:
        return Answer.json(about | {"error": f"You already created this {kind} repo"}, 409)
    call.hub.create(
        name, private=asked.get("visibility") == "private" or bool(asked.get("private")), sdk=asked.get("sdk")
    )
    return Answer.json(about)


def delete(call: Call) -> Answer:
    kind = call.json.get("type") or "model"
    repo = call.repo(kind, f"{call.json.get('organization') or OWNER}/{call.json['name']}")
    del call.hub.repos[repo.id if kind == "model" else f"{kind}s/{repo.id}"]
    return Answer(b"OK")


def validate_yaml(call: Call) -> Answer:
    content = call.json["content"].encode()
    problems = [{"message": text} for text in card_problems(content, call.json.get("repoType", "model"))]
    warnings = [] if problems or card(content) else [{"message": "empty or missing yaml metadata in repo card"}]
    return Answer.json({"errors": problems, "warnings": warnings}, 400 if problems else 200)


def info(call: Call, repo: Repo, revision: str = "main") -> Answer:
    commit = repo.resolve(revision)
    data = card(commit.tree["README.md"].content) if "README.md" in commit.tree else None
    data = data if isinstance(data, dict) else {}
    siblings: list[dict[str, Any]] = [{"rfilename": path} for path in sorted(commit.tree)]
    if "blobs" in call.query:
        for sibling in siblings:
            entry = commit.tree[sibling["rfilename"]].entry("")
            sibling |= {"size": entry["size"], "blobId": entry["oid"]}
            if "lfs" in entry:
                sibling["lfs"] = entry["lfs"] | {"sha256": entry["lfs"]["oid"]}
    return Answer.json(
        {"_id": "1", "id": repo.id, "modelId": repo.id, "author": repo.id.split("/")[0], "sha": commit.sha}
        | {"lastModified": commit.date, "createdAt": repo.log(commit)[-1].date, "private": repo.private}
        | {"gated": "manual" if repo.gated else False, "disabled": False, "downloads": 0, "likes": 0}
        | {"tags": as_list(data.get("tags")), "cardData": data, "siblings": siblings}
        | {key: data[key] for key in ("library_name", "pipeline_tag") if key in data}
        | ({"sdk": data.get("sdk", repo.sdk)} if repo.kind == "space" else {})
    )


def refs(call: Call, repo: Repo) -> Answer:
    def listed(folder: str, names: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": sha} for name, sha in names.items()]

    return Answer.json({"branches": listed("heads", repo.branches), "tags": listed("tags", repo.tags), "converts": []})


def commits(call: Call, repo: Repo, revision: str) -> Answer:
    return Answer.json(
        [
            {
                "id": commit.sha,
                "title": commit.message.split("\n")[0],
                "message": "",
                "date": commit.date,
                "authors": [],
            }
            for commit in repo.log(repo.resolve(revision))
        ]
    )


def tree(call: Call, repo: Repo, revision: str, under: str = "") -> Answer:
    recursive = call.query.get("recursive", ["false"])[0].lower() in ("true", "1")
    return Answer.json(repo.listing(repo.resolve(revision), under, recursive))


def paths_info(call: Call, repo: Repo, revision: str) -> Answer:
    asked = parse_qs(call.body.decode()).get("paths", [])
    entries = repo.listing(repo.resolve(revision), "", recursive=True)
    return Answer.json([entry for entry in entries if entry["path"] in asked])


def preupload(call: Call, repo: Repo, revision: str) -> Answer:
    known = repo.resolve(revision).tree
    answers = []
    for file in call.json["files"]:
        path, lfs = file["path"], call.hub.is_lfs(file["path"], file["size"])
        oid = known[path].etag if path in known else None
        answers.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, "oid": oid})
    return Answer.json({"files": answers})


def commit(call: Call, repo: Repo, branch: str) -> Answer:
    if "create_pr" in call.query:
        raise Refusal(501, "No pull requests here")
    try:
        lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
    except ValueError as error:
        raise Refusal(400, f"not lines of JSON: {error}") from error
    sha = repo.change(branch, lines).sha
    where = repo.id if repo.kind == "model" else f"{repo.kind}s/{repo.id}"
    return Answer.json({"success": True, "commitOid": sha, "commitUrl": f"{call.hub.url}/{where}/commit/{sha}"})


def make_tag(call: Call, repo: Repo, revision: str) -> Answer:
    if call.json["tag"] in repo.tags:
        raise Refusal(409, "Tag reference exists already")
    repo.tags[call.json["tag"]] = repo.resolve(revision).sha
    return Answer.json({})


def drop_tag(call: Call, repo: Repo, tag: str) -> Answer:
    if repo.tags.pop(tag, None) is None:
        raise Refusal(404, f"Tag not found: {tag}", "RevisionNotFound")
    return Answer.json({})


def make_branch(call: Call, repo: Repo, branch: str) -> Answer:
    if branch in repo.branches:
        raise Refusal(409, "Reference already exists")
    repo.branches[branch] = repo.resolve(call.json.get("startingPoint", "main")).sha
    return Answer.json({})


def settings(call: Call, repo: Repo) -> Answer:
    repo.private = call.json.get("visibility", "private" if repo.private else "public") == "private"
    repo.gated = bool(call.json.get("gated", repo.gated))
    return Answer.json({})


def resolve(call: Call, repo: Repo, revision: str, path: str) -> Answer:
    """A file, or where the CDN has it."""
    if repo.gated and not (call.token and call.hub.token in (None, call.token)):
        raise Refusal(403 if call.token else 401, f"Access to {repo.id} is restricted", "GatedRepo")
    found = repo.resolve(revision)
    blob = repo.blob(found, path)
    headers = {
        "X-Repo-Commit": found.sha,
        "ETag": f'"{blob.oid}"',
        "Content-Disposition": f'inline; filename="{path}";',
    }
    if not blob.lfs:
        return ranged(call, blob.content, headers)
    headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.content))}
    where = f"{repo.kind}/{repo.id}/{blob.sha256}/{path}"
    return Answer(b"", 302, headers | {"Location": f"{call.hub.cdn_url}/cdn/{quote(where)}"})


def ranged(call: Call, content: bytes, headers: dict[str, str]) -> Answer:
    headers = headers | {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", call.headers.get("Range", ""))
    if not found:
        return Answer(content, 200, headers)
    start, stop = int(found[1]), min(int(found[2] or len(content)) + 1, len(content))
    if start >= len(content):
        return Answer(b"", 416, {"Content-Range": f"bytes */{len(content)}"})
    return Answer(content[start:stop], 206, headers | {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"})


def lfs_batch(call: Call, repo: Repo) -> Answer:
    objects = []
    for asked in call.json["objects"]:
        answer = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in repo.objects:
            where = f"{repo.kind}/{repo.id}/{asked['oid']}"
            verify = {"href": f"{call.hub.url}/api/{repo.kind}s/{repo.id}/lfs-verify"}
            answer["actions"] = {"upload": {"href": f"{call.hub.cdn_url}/lfs/{where}"}, "verify": verify}
        objects.append(answer)
    return Answer.json({"transfer": "basic", "objects": objects})


def lfs_verify(call: Call, repo: Repo) -> Answer:
    if len(repo.objects.get(call.json["oid"], b"")) != call.json["size"]:
        raise Refusal(404, "Object not found")
    return Answer.json({})


def from_cdn(call: Call, kind: str, name: str, oid: str, path: str) -> Answer:
    """What a signed address gives: no token is asked for."""
    content = call.hub.repos[name if kind == "model" else f"{kind}s/{name}"].objects[oid]
    return ranged(call, content, {"ETag": f'"{oid}"'})


def to_cdn(call: Call, kind: str, name: str, oid: str) -> Answer:
    if sha256(call.body).hexdigest() != oid:
        raise Refusal(400, "The SHA256 you specified did not match what we received")
    call.hub.repos[name if kind == "model" else f"{kind}s/{name}"].objects[oid] = call.body
    return Answer(headers={"ETag": f'"{oid}"'})


Route = tuple[str, str, Callable[..., Answer]]  # method, path, what answers
ID, REV, KIND = r"(?P<name>[^/]+/[^/]+)", "(?P<rev>[^/]+)", "(?P<kind>model|dataset|space)"
API = f"/api/{KIND}s/{ID}"
WEB = f"/(?:(?P<kind>dataset|space)s/)?{ID}"
# The groups of a path that are not kind or name go to the function, in order.
ROUTES: list[Route] = [
    ("GET", "/api/whoami-v2", whoami),
    ("GET", "/api/agent-harnesses", lambda call: Answer.json({"standardEnvVars": [], "harnesses": {}})),
    ("POST", "/api/repos/create", create),
    ("DELETE", "/api/repos/delete", delete),
    ("POST", "/api/validate-yaml", validate_yaml),
    ("GET", API, info),
    ("GET", f"{API}/revision/{REV}", info),
    ("GET", f"{API}/auth-check(?:/write)?", lambda call, repo: Answer.json({})),
    ("GET", f"{API}/refs", refs),
    ("GET", f"{API}/commits/{REV}", commits),
    ("GET", f"{API}/tree/{REV}", tree),
    ("GET", f"{API}/tree/{REV}/(?P<path>.+)", tree),
    ("POST", f"{API}/paths-info/{REV}", paths_info),
    ("POST", f"{API}/preupload/{REV}", preupload),
    ("POST", f"{API}/commit/{REV}", commit),
    ("POST", f"{API}/tag/{REV}", make_tag),
    ("DELETE", f"{API}/tag/{REV}", drop_tag),
    ("POST", f"{API}/branch/{REV}", make_branch),
    ("PUT", f"{API}/settings", settings),
    ("POST", f"{API}/lfs-verify", lfs_verify),
    ("POST", f"{WEB}\\.git/info/lfs/objects/batch", lfs_batch),
    ("GET", f"{WEB}/resolve/{REV}/(?P<path>.+)", resolve),
]
CDN_ROUTES: list[Route] = [
    ("GET", f"/cdn/{KIND}/{ID}/(?P<oid>[^/]+)/(?P<path>.+)", from_cdn),
    ("PUT", f"/lfs/{KIND}/{ID}/(?P<oid>[^/]+)", to_cdn),
]


def answer(call: Call, routes: list[Route]) -> Answer:
    """What the first route that fits answers; an error where none does, or where the route refuses."""
    try:
        if call.token and call.token in call.hub.revoked:
            raise Refusal(401, "Invalid credentials in Authorization header")
        for method, pattern, route in routes:
            found = re.fullmatch(pattern, call.path)
            if found and method == ("GET" if call.method == "HEAD" else call.method):
                return _routed(call, route, found.groupdict())
        raise Refusal(404, "Sorry, we can't find the page you are looking for.")
    except Refusal as refusal:
        return problem(refusal)


def _routed(call: Call, route: Callable[..., Answer], groups: dict[str, str | None]) -> Answer:
    parts = [unquote(value) for key, value in groups.items() if key not in ("kind", "name") and value is not None]
    if "name" not in groups:
        return route(call)
    kind, name = groups["kind"] or "model", unquote(groups["name"] or "")
    if route in (from_cdn, to_cdn):
        return route(call, kind, name, *parts)
    return route(call, call.repo(kind, name), *parts)
