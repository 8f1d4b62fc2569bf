"""The models that the page can answer with."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textcnn import DataError, HeadlineClassifier

__all__ = ["Models", "Served", "bundled"]

ARTIFACTS = Path(__file__).parent.parent / "artifacts"


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

    def __init__(self, *served: Served) -> None:
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


def bundled() -> Models:
    """Read the models that ship with the project."""
    folders = [ARTIFACTS / name for name in ("default", "lesson")]
    return Models(*(Served(folder.name, HeadlineClassifier.from_pretrained(folder), folder) for folder in folders))
