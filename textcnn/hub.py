"""The Hugging Face Hub: fetch named files within bounds of time and size, publish a folder in one commit.

Nothing here reads what it fetches: `artifacts.load` checks every hash and never takes a pickle.
"""

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from textcnn.errors import HubError

__all__ = ["SECONDS", "fetch", "is_repo_id", "publish"]

log = logging.getLogger(__name__)

SECONDS = 120.0  # that a fetch may take in all
_PUBLISH_SECONDS = 1_800.0
_MAX_BYTES = 500 * 2**20  # of the fetched files together; a model of a million words has 270 MB
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")

T = TypeVar("T")


def is_repo_id(source: str | Path) -> bool:
    """Return whether this is a Hub id (owner/name) rather than a path.

    >>> is_repo_id("owner/name"), is_repo_id("a/b/c"), is_repo_id("/tmp/name"), is_repo_id("../name")
    (True, False, False, False)
    """
    owner, slash, name = str(source).partition("/")
    return bool(slash) and all(
        part and part.strip(".-") == part and part.replace("-", "").replace("_", "").replace(".", "").isalnum()
        for part in (owner, name)
    )


def fetch(
    repo: str, names: Sequence[str], *, optional: Sequence[str] = (), revision: str | None = None,
    seconds: float = SECONDS,
) -> dict[str, Path]:  # fmt: skip
    """Return the paths of a model's files in the Hub's cache; what is missing there is downloaded.

    A revision that is a commit's full hash is taken from the cache without a request if all files are there. Where the
    Hub cannot be reached, a complete copy in the cache serves for other revisions too.

    Args:
        repo: owner/name.
        names: files that the model must have.
        optional: files to fetch too where it has them.
        revision: branch, tag or commit; by default the main branch.
        seconds: that it may take in all.

    Raises:
        HubError: the files cannot be had; the message says why, and what to do.
    """
    if (
        revision is not None
        and len(revision) == 40
        and (cached := _cached(repo, names, optional, revision, settled=True))
    ):
        return cached
    try:
        return _within(seconds, lambda: _fetch(repo, names, optional, revision, seconds))
    except TimeoutError:
        if cached := _from_cache(repo, names, optional, revision):
            return cached
        raise HubError(f"{repo} did not come from the Hub within {seconds:g} s: try again, or use a folder.") from None


def _fetch(
    repo: str, names: Sequence[str], optional: Sequence[str], revision: str | None, seconds: float
) -> dict[str, Path]:
    from huggingface_hub import HfApi, hf_hub_download  # heavy, and only needed here
    from huggingface_hub.errors import EntryNotFoundError

    with _said(repo, revision), _client(seconds, 2 * _MAX_BYTES):
        try:
            info = HfApi().model_info(repo, revision=revision, files_metadata=True)
        except Exception as error:
            cached = None if _answered(error) else _from_cache(repo, names, optional, revision)
            if cached is None:
                raise
            return cached
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        _check_files(repo, names, sizes)
        wanted = [*names, *(name for name in optional if name in sizes)]
        # The first by the name of its revision, which the cache then knows; the others of the very same commit.
        first = Path(hf_hub_download(repo, wanted[0], revision=revision))
        commit = first.parents[len(Path(wanted[0]).parts) - 1].name
        others = {name: Path(hf_hub_download(repo, name, revision=commit)) for name in wanted[1:]}
        for name in set(optional) - set(wanted):  # the cache then knows that there is none
            with suppress(EntryNotFoundError):
                hf_hub_download(repo, name, revision=commit)
        found = {wanted[0]: first, **others}
        _check_blobs(repo, found, {file.rfilename: file.blob_id for file in info.siblings or [] if not file.lfs})
        return found


def _check_blobs(repo: str, found: dict[str, Path], blobs: dict[str, str | None]) -> None:
    """Hold small files to the hashes that git has of them; config.json, which names the other hashes, has no other."""
    for name, path in found.items():
        content = path.read_bytes() if blobs.get(name) else b""
        if blobs.get(name) and hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() != blobs[name]:
            path.resolve().unlink(missing_ok=True)  # or the cache would hand it on without a question
            path.unlink(missing_ok=True)
            raise HubError(f"{name} of {repo} is not what the Hub says it is: it is out of the cache, try again.")


def _from_cache(
    repo: str, names: Sequence[str], optional: Sequence[str], revision: str | None
) -> dict[str, Path] | None:
    """The files in the cache, in place of the Hub's, which is said."""
    if cached := _cached(repo, names, optional, revision):
        log.warning("The Hub cannot be reached: %s is taken from the cache.", repo)
    return cached


def _cached(
    repo: str, names: Sequence[str], optional: Sequence[str], revision: str | None, *, settled: bool = False
) -> dict[str, Path] | None:
    """The files in the cache, if all that are needed are there, and if `settled`, of the others is known whether they
    exist.
    """
    from huggingface_hub import try_to_load_from_cache

    found = {}
    for name in (*names, *optional):
        path = try_to_load_from_cache(repo, name, revision=revision)
        if isinstance(path, str):
            found[name] = Path(path)
        elif name in names or (settled and path is None):
            return None
    return found


def _check_files(repo: str, names: Sequence[str], sizes: dict[str, int]) -> None:
    total = sum(sizes.get(name, 0) for name in names)
    if total > _MAX_BYTES:
        most = _MAX_BYTES / 2**20
        raise HubError(f"{repo} has {total / 2**20:,.0f} MB: more than {most:,.0f} MB is no textcnn model.")
    missing = [name for name in names if name not in sizes]
    if not missing:
        return
    pickles = [name for name in sizes if name.endswith(_PICKLES)]
    note = f" It holds {pickles[0]}: textcnn never reads a pickle." if pickles else ""
    raise HubError(f"{repo} has no {', '.join(missing)}: it is not a complete textcnn model.{note}")


def publish(
    folder: Path, repo: str, *, private: bool = False, tag: str | None = None, kind: str = "model",
    old_figures: bool = False, after: str = "",
) -> str:  # fmt: skip
    """Upload a folder in one commit and return the address of the repository, which is created if it is not there.

    Files of the repository that the folder does not have stay. Equal content makes no commit.

    Args:
        folder: what to upload.
        repo: owner/name.
        private: whether a new repository is private; one that is there must be so already.
        tag: a name for this state, such as v1.
        kind: "model" or "space".
        old_figures: delete the pictures under figures/ that the folder does not have.
        after: a sentence to add to an error, for example on where the files are.

    Raises:
        HubError: it failed; the message says what to do.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    new = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    with _said(repo, None, after), _client(_PUBLISH_SECONDS, _MAX_BYTES):
        sdk = "gradio" if kind == "space" else None
        url = api.create_repo(repo, private=private, repo_type=kind, exist_ok=True, space_sdk=sdk)
        info = api.repo_info(repo, repo_type=kind)
        if private and not info.private:
            raise HubError(f"{repo} is there already and public: make it private on its page, or leave out --private.")
        if tag is not None:
            _check_tag(api.list_repo_refs(repo, repo_type=kind).tags, tag, repo)
        there = [file.rfilename for file in getattr(info, "siblings", None) or []]
        old = [name for name in there if old_figures and name.startswith("figures/") and name not in new]
        done = api.create_commit(
            repo,
            [
                *(CommitOperationAdd(name, path) for name, path in new.items()),
                *(CommitOperationDelete(name) for name in old),
            ],
            commit_message=f"Publish {folder.name}",
            repo_type=kind,
            parent_commit=info.sha,  # somebody else's commit in between is not written over
        )
        if tag is not None:
            api.create_tag(repo, tag=tag, revision=done.oid, repo_type=kind)
    return str(url)


@contextmanager
def _client(seconds: float, max_bytes: int) -> Iterator[None]:
    from textcnn.transport import bounded_client  # stands on huggingface_hub's inside, which a version may change

    with bounded_client(seconds, max_bytes):
        yield


def _check_tag(tags: Sequence[object], tag: str, repo: str) -> None:
    if tag in [getattr(there, "name", None) for there in tags]:
        raise HubError(f"{repo} has the tag {tag} already: give another, or delete it on the repository's page.")


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Run `work` in a thread that is left to itself when the time is over, as a name server's silence has no bound.

    Raises:
        TimeoutError: the time is over.
    """
    results: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((work(), None))
        except BaseException as error:  # handed on to the caller
            results.put((None, error))

    threading.Thread(target=run, daemon=True, name="hub").start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


@contextmanager
def _said(repo: str, revision: str | None, after: str = "") -> Iterator[None]:
    """Turn what huggingface_hub raises into a HubError: its errors have no base in common."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        raise HubError(_in_words(error, repo, revision) + after) from None


def _answered(error: Exception) -> bool:
    """Whether the Hub itself answered, so that the cache is not asked instead."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    return isinstance(error, HfHubHTTPError | HFValidationError)


def _in_words(error: Exception, repo: str, revision: str | None) -> str:
    """What went wrong, in a sentence, and what to do."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "status", None)
    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} is not a Hub id: give owner/name."
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: ask for access on its page, then log in with `hf auth login`."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {revision}: give a branch, a tag or a commit of it."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"The Hub has no {repo}, or it is private: check the name, or log in with `hf auth login`."
    if isinstance(error, errors.LocalTokenNotFoundError):
        return "Nobody is logged in to the Hub: log in with `hf auth login`."
    return _by_status(status, repo) if status else _by_kind(error, repo)


def _by_status(status: int, repo: str) -> str:
    if status in (401, 403):
        return f"The Hub refused ({status}) for {repo}: log in with `hf auth login`, with a token that has the right."
    if status == 404:
        return f"A file of {repo} is not there (404)."
    if status == 412:
        return f"Somebody else changed {repo} at the same time (412): try again."
    if status == 429:
        return "The Hub asks to wait, as there were too many requests (429): try again in some minutes."
    return f"The Hub answered {status} for {repo}: try again later."


def _by_kind(error: Exception, repo: str) -> str:
    reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200].rstrip('.')}"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
        return f"The Hub's cache cannot be written ({error.strerror}): make room, or set HF_HOME to another folder."
    if "Consistency check failed" in reason:
        return f"A file of {repo} did not come whole: try again."
    if isinstance(error, ImportError):
        return f"The installed huggingface_hub does not fit ({reason}): pip install -r requirements.txt."
    if isinstance(error, ValueError | KeyError | TypeError):
        return f"What answered for {repo} is not the Hub ({reason}): is there a login page in between?"
    cause: Any = error.__cause__
    if isinstance(error, RuntimeError) and cause is not None:  # of an upload
        return _in_words(cause, repo, None)
    return f"The Hub cannot be reached for {repo} ({reason}): check the network."
