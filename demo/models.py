"""The models that the page can answer with."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textcnn import DataError, HeadlineClassifier, TextCNNError, artifacts, hub

__all__ = ["HUB_SECONDS", "Models", "Served", "bundled", "chosen"]

log = logging.getLogger(__name__)

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
HUB_SECONDS = 10.0  # that the start may wait for the Hub
_SHOWN = ["README.md", *(f"figures/{name}.png" for name in ("confusion_matrix", "reliability", "learning_curves"))]


@dataclass(frozen=True)
class Served:
    """One model, and what links name it by."""

    name: str
    classifier: HeadlineClassifier
    folder: Path

    @property
    def short_hash(self) -> str:
        """Eight digits that change with anything an answer depends on: config.json names the hashes of all files."""
        return hashlib.sha256((self.folder / "config.json").read_bytes()).hexdigest()[:8]


class Models:
    """The models by name; the first is the one that answers unless another is asked for."""

    def __init__(self, *served: Served, note: str = "") -> None:
        self.note = note  # where the first came from, for the tab on the model
        self._by_name = {model.name: model for model in served}
        self.hashes = {model.name: model.short_hash for model in served}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._by_name.values())

    @property
    def names(self) -> list[str]:
        """Their names, the default first."""
        return list(self._by_name)

    def __getitem__(self, name: str) -> Served:
        """Return a model.

        Raises:
            DataError: no such model.
        """
        if not isinstance(name, str) or name not in self._by_name:  # a program may send anything
            raise DataError(f"Got the model {str(name)[:40]!r}: this page has {', '.join(self.names)}.")
        return self._by_name[name]


def bundled(note: str = "") -> Models:
    """Read the models that ship with the project."""
    return Models(*(_read(name, ARTIFACTS / name) for name in ("default", "lesson")), note=note)


def chosen(repo: str | None, revision: str | None = None, seconds: float = HUB_SECONDS) -> Models:
    """Return the models with the first one from the Hub, or the bundled ones where that is not to be had.

    Nothing that the Hub does keeps the page from starting: what went wrong is logged, and said in `note`.

    Args:
        repo: owner/name; without it no network is touched.
        revision: branch, tag or commit; a commit's full hash is served from the cache where it is complete there.
        seconds: that the Hub may take.
    """
    if not repo:
        return bundled("This page serves the model that ships with it.")
    try:
        names = [artifacts.CONFIG, *artifacts.HASHED]
        optional = [artifacts.PERFORMANCE, *_SHOWN]
        paths = hub.fetch(repo, names, optional=optional, revision=revision, seconds=seconds)
        served = _read("default", paths[artifacts.CONFIG].parent)
    except TextCNNError as error:
        reason = str(error)
    except Exception as error:  # whatever it was, the page starts
        log.exception("The model %s of the Hub cannot be served", repo)
        reason = f"{type(error).__name__}: {error}"
    else:
        lesson = _read("lesson", ARTIFACTS / "lesson")
        comparable = lesson.classifier.classes == served.classifier.classes
        note = f"This page serves {repo} from the Hub, commit {served.folder.name}."
        return Models(served, *([lesson] if comparable else []), note=note)
    log.warning("Serving the bundled model: %s", reason)
    return bundled(f"This page was to serve {repo} from the Hub, and serves the model that ships with it: {reason}")


def _read(name: str, folder: Path) -> Served:
    return Served(name, HeadlineClassifier.from_pretrained(folder), folder)
