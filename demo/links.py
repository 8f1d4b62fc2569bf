"""What is asked of the page, and the link that asks it again.

Everything is in the link: it outlives the process, and opens with the same answer wherever the same model is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from demo.models import Models
from textcnn import DataError

__all__ = ["MAX_CHARACTERS", "Query", "checked"]

MAX_CHARACTERS = 1_000  # of a headline; the browser stops there, and the server refuses more


def checked(headline: str | None) -> str:
    """Return a headline that can be answered.

    Raises:
        DataError: nothing was typed, or too much, or no text.
    """
    if headline is None:
        headline = ""
    if not isinstance(headline, str):  # a program may send anything
        raise DataError(f"Got {type(headline).__name__}: a headline is a text.")
    if not headline.strip():
        raise DataError("Type a headline first.")
    if len(headline) > MAX_CHARACTERS:
        raise DataError(f"This is {len(headline):,} characters long; a headline may have {MAX_CHARACTERS:,}.")
    try:
        headline.encode()
    except UnicodeEncodeError as error:  # a browser does not send it, a script may
        half = headline[error.start]
        raise DataError(f"Character {error.start + 1:,} is half of one, {half!r}: no link can hold it.") from None
    return headline


@dataclass(frozen=True)
class Query:
    """One question to the page."""

    headline: str
    target: str | None = None  # the class to explain; the predicted one by default
    model: str = "default"
    versus: str | None = None  # a headline that was kept to compare with
    seen_hash: str | None = None  # of the model that the link was made with

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str], models: Models) -> Self:
        """Read the part of a link after the question mark.

        Raises:
            DataError: a headline is missing or too long, or there is no such model or class.
        """
        name, _, seen_hash = parameters.get("model", models.names[0]).partition("-")
        target = parameters.get("class") or None
        classes = models[name].classifier.classes
        if target is not None and target not in classes:
            raise DataError(f"Got the class {target[:40]!r}: this model has {', '.join(classes)}.")
        versus = parameters.get("versus") or None
        return cls(checked(parameters.get("headline")), target, name, versus and checked(versus), seen_hash or None)

    def link(self, models: Models) -> str:
        """Return the link, from its question mark on, with the hash of the model that is served now."""
        parts = {
            "headline": self.headline,
            "class": self.target,
            "model": f"{self.model}-{models.hashes[self.model]}",
            "versus": self.versus,
        }
        return "?" + urlencode({name: value for name, value in parts.items() if value is not None})

    def warning(self, models: Models) -> str | None:
        """Say so where the link was made with another model than the one that is served now."""
        now = models.hashes[self.model]
        if self.seen_hash in (None, now):
            return None
        return (
            f"This link was made with version {self.seen_hash[:8]} of the model “{self.model}”; "
            f"this page serves {now}: its figures may differ."
        )
