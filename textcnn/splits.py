"""Training, validation and test rows: stratified by class, the copies of one title on one side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from textcnn.cleaning import clean
from textcnn.errors import DataError

__all__ = ["Split", "split", "title_key"]


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, int64 arrays without overlap."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def title_key(title: str) -> str:
    """Return what two copies of one title have in common: their letters and digits, debris of HTML undone.

    >>> title_key("Oil &lt;b&gt;Up&lt;/b&gt;, won #39;t fall") == title_key("oil up, won't  fall!")
    True
    """
    return "".join(filter(str.isalnum, clean(title)))


def split(
    titles: Sequence[str],
    labels: Sequence[str],
    method: str = "duplicates",
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 1234,
) -> Split:
    """Divide rows into three parts with the same shares of classes.

    AG News repeats titles, some under two classes, and the lesson's random split puts copies on both sides
    (lesson: Split data, whose `train_size` argument is ignored; here the fractions count).

    Args:
        titles: headlines as typed.
        labels: the class of each.
        method: "duplicates" keeps the rows with one `title_key` in one part, whatever their classes, so that the
            parts' sizes differ slightly from the fractions; "random" splits row by row, as the lesson does.
        fractions: shares of train, validation and test, which sum to 1.
        seed: the same seed gives the same parts.

    Raises:
        DataError: a class has too few distinct titles to stand in every part.
    """
    labels_array = np.array(labels, dtype=object)
    if method == "random":
        groups = np.arange(len(labels_array))
        firsts = groups
    else:
        # By a dictionary: an array of strings would give every key the room of the longest.
        numbers: dict[str, int] = {}
        groups = np.array([numbers.setdefault(title_key(title), len(numbers)) for title in titles])
        _, firsts = np.unique(groups, return_index=True)
    strata = labels_array[firsts]  # a title under two classes counts for the class of its first row
    units = np.arange(len(strata))
    try:
        train, rest = train_test_split(units, train_size=fractions[0], stratify=strata, random_state=seed)
        second = fractions[1] / (fractions[1] + fractions[2])
        validation, test = train_test_split(rest, train_size=second, stratify=strata[rest], random_state=seed)
    except ValueError:
        raise _too_few(strata) from None
    parts = [np.flatnonzero(np.isin(groups, part)) for part in (train, validation, test)]
    if any(set(labels_array[part]) != set(labels_array) for part in parts):
        raise _too_few(strata)
    return Split(*parts)


def _too_few(strata: np.ndarray) -> DataError:
    classes, counts = np.unique(strata.astype(str), return_counts=True)
    found = ", ".join(f"{name} {count}" for name, count in zip(classes, counts, strict=True))
    return DataError(
        f"Too few distinct titles to have every class in training, validation and test: found {found}. "
        "Give at least 20 distinct titles of each class."
    )
